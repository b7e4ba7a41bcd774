// Which query rows a sample takes: the same for the same seed, so that a check can be run again.

import RingModels

enum SampledRows {
    /// `count` different rows of `tokens`, ascending, always with the last and, of several, the first: that is where edges go wrong.
    static func choose(_ count: Int, of tokens: Int, seed: UInt64) -> [Int] {
        if count >= tokens { return Array(0..<tokens) }
        var random = NeedleRandom(seed: seed, stream: .queries)
        var chosen: Set<Int> = [tokens - 1]
        if count > 1 { chosen.insert(0) }
        while chosen.count < count { chosen.insert(random.below(tokens)) }
        return chosen.sorted()
    }
}
