// How much of a run of keys a run of queries may see. The engine asks before it computes: `none` must cost nothing, and only
// `partial` needs a mask inside the tile. `Mask` gives the verdict.

/// How much of a key range a query range may see.
public enum Visibility: Hashable, Sendable {
    /// No pair is visible: nothing is computed, and nothing needs to be here.
    case none
    /// Every pair is visible: no mask is needed.
    case all
    /// Some pairs are visible: the mask says which.
    case partial

    /// Number of pairs with key position <= query position, exact for any two ranges; positions may be negative.
    static func causalPairs(queries: Range<Int>, keys: Range<Int>) -> Int {
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
