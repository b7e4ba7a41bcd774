// What ranks keep when a ring breaks, and who goes on with the rest. A lost rank takes its tokens' keys, values and hidden states
// with it; those of the others are still good. The ring that follows computes only what is missing: the lost tokens from the
// first layer on, against keys and values that are there, and from the layer where the ring broke on all of them together.

/// Tokens of one owner that have been through the same number of layers.
public struct Share: Hashable, Sendable, Codable {
    /// Global position of the first token.
    public var start: Int
    /// Number of tokens.
    public var length: Int
    /// Layers they have been through: their keys and values of these layers are there, and their hidden states behind the last.
    public var layers: Int

    /// Tokens `start ..< start + length`, through `layers` layers.
    public init(start: Int, length: Int, layers: Int) {
        (self.start, self.length, self.layers) = (start, length, layers)
    }

    /// One past the last token.
    public var end: Int { start + length }
}

/// Deals the tokens that nobody holds to the ranks that go on.
public enum Inheritance {
    /// Every rank's shares of a context of `tokens` tokens, in order of position: what it holds (`kept`, by rank; none for a rank
    /// that is new) and its part of what nobody holds. Ranks that hold less get more, so that all end with about as much;
    /// neighbouring runs are dealt in opposite orders, which balances causal work as the zigzag layout does. `nil` if nothing
    /// is held, or if what is held cannot be true: it overlaps, or lies outside the context.
    public static func shares(tokens: Int, kept: [[Share]]) -> [[Share]]? {
        guard !kept.isEmpty, let missing = gaps(tokens: tokens, kept: kept.flatMap { $0 }) else { return nil }
        let held = kept.map { $0.reduce(0) { $0 + $1.length } }
        let ideal = (tokens + kept.count - 1) / kept.count
        var needs = held.map { max(0, ideal - $0) }
        if needs.allSatisfy({ $0 == 0 }) { needs = needs.map { _ in 1 } }
        var table = kept
        for (place, gap) in missing.enumerated() {
            let order = place % 2 == 0 ? Array(kept.indices) : kept.indices.reversed()
            for (rank, part) in cut(gap, by: needs, in: order) {
                table[rank].append(Share(start: part.lowerBound, length: part.count, layers: 0))
            }
        }
        return table.map { $0.sorted { $0.start < $1.start } }
    }

    /// What lies between the shares; `nil` if there are none or they cannot be true.
    private static func gaps(tokens: Int, kept: [Share]) -> [Range<Int>]? {
        guard !kept.isEmpty else { return nil }
        var (gaps, end): ([Range<Int>], Int) = ([], 0)
        for share in kept.sorted(by: { $0.start < $1.start }) {
            // Compared without adding, so that hostile numbers do not overflow.
            guard share.start >= end, share.length > 0, share.start < tokens, share.length <= tokens - share.start, share.layers >= 1 else {
                return nil
            }
            if share.start > end { gaps.append(end..<share.start) }
            end = share.end
        }
        if end < tokens { gaps.append(end..<tokens) }
        return gaps
    }

    /// Parts of `gap` in proportion to `needs`, none empty; edges fall on tiles where the gap has enough of them.
    private static func cut(_ gap: Range<Int>, by needs: [Int], in order: [Int]) -> [(rank: Int, part: Range<Int>)] {
        let whole = needs.reduce(0, +)
        let tile = gap.count / needs.count >= Limits.tileTokens ? Limits.tileTokens : 1
        var parts: [(Int, Range<Int>)] = []
        var (taken, from) = (0, gap.lowerBound)
        for rank in order {
            taken += needs[rank]
            let ideal = Int((Double(gap.count) * Double(taken) / Double(whole)).rounded())
            let to = taken == whole ? gap.upperBound : min(gap.lowerBound + (ideal + tile / 2) / tile * tile, gap.upperBound)
            if to > from { parts.append((rank, from..<to)) }
            from = max(from, to)
        }
        return parts
    }
}
