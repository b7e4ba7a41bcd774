// Which keys a run of queries may see. The engine asks before it computes: `none` must cost nothing, and only `causal`
// needs a mask inside the tile.

/// How much of a key range a query range may see.
public enum Visibility: Hashable, Sendable {
    /// No pair is visible: nothing is computed.
    case none
    /// Every pair is visible: no mask is needed.
    case all
    /// Some pairs are visible: key position <= query position decides.
    case causal

    /// Visibility under a causal mask. Empty ranges see nothing.
    public init(of keys: Range<Int>, to queries: Range<Int>) {
        if keys.isEmpty || queries.isEmpty || keys.lowerBound > queries.upperBound - 1 {
            self = .none
        } else if keys.upperBound - 1 <= queries.lowerBound {
            self = .all
        } else {
            self = .causal
        }
    }

    /// Number of pairs with key position <= query position, exact for any two ranges.
    public static func causalPairs(queries: Range<Int>, keys: Range<Int>) -> Int {
        if queries.isEmpty || keys.isEmpty { return 0 }
        // Query q sees min(max(q + 1 - first, 0), keys.count) keys: nothing, then a ramp, then everything.
        let rampStart = max(queries.lowerBound, keys.lowerBound)
        let rampEnd = min(queries.upperBound, keys.upperBound)
        var pairs = 0
        if rampEnd > rampStart {
            let first = rampStart + 1 - keys.lowerBound
            let last = rampEnd - keys.lowerBound
            pairs += (first + last) * (last - first + 1) / 2
        }
        let full = max(queries.upperBound - max(queries.lowerBound, keys.upperBound), 0)
        return pairs + full * keys.count
    }
}
