// Random numbers for the constructed model and its prompts: integers only, so that one seed means the same bytes on
// every machine. Nothing here is fit for secrets.

/// SplitMix64 (Steele, Lea and Flood, 2014), one independent stream per purpose.
package struct NeedleRandom: Sendable {
    /// What the numbers are drawn for; streams of one seed do not overlap in practice.
    package enum Stream: UInt64, Sendable {
        case secret = 1
        case fillerDigits, paragraphs, plan, distractors, ballot, padding, queries
    }

    private var state: UInt64

    /// The stream `stream` of `seed`.
    package init(seed: UInt64, stream: Stream) {
        state = seed
        // Two draws spread seed and stream over all bits before the first number is used.
        state = next() ^ (stream.rawValue &* 0xD1B5_4A32_D192_ED03)
        state = next()
    }

    /// The next 64 bits.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var word = state
        word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
        word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
        return word ^ (word >> 31)
    }

    /// A number in `0 ..< bound`; the bias is below bound / 2^64.
    package mutating func below(_ bound: Int) -> Int {
        precondition(bound > 0, "a draw needs at least one outcome")
        return Int(next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// A number in `range`, which must not be empty.
    package mutating func within(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + below(range.upperBound - range.lowerBound + 1)
    }

    /// `items` in random order (Fisher and Yates).
    package mutating func shuffled<Item>(_ items: [Item]) -> [Item] {
        var result = items
        for place in stride(from: result.count - 1, to: 0, by: -1) { result.swapAt(place, below(place + 1)) }
        return result
    }
}
