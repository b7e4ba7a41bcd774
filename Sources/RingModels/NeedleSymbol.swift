// What facts are about. A symbol is one of 240 abstract things; a key token asks for it, a value token names it.
// The model never sees a number: it sees two one-hot digits, which keeps every dot product exact and every length equal.

/// One of the 240 things that planted facts relate to each other.
package struct NeedleSymbol: Hashable, Comparable, Sendable {
    /// Values of the first digit.
    package static let highCount = 16
    /// Values of the second digit. Odd on purpose: the two halves of a symbol must never be mixed up unnoticed.
    package static let lowCount = 15
    /// Places that the two one-hot digits take together.
    package static let placeCount = highCount + lowCount
    /// Number of symbols.
    package static let count = highCount * lowCount
    /// The symbol that no key asks for: as an answer it means that there is nothing more to say.
    package static let end = NeedleSymbol(count - 1)

    /// `0 ..< count`.
    package let index: Int

    /// The symbol numbered `index`.
    package init(_ index: Int) {
        precondition(index >= 0 && index < Self.count, "there is no symbol \(index)")
        self.index = index
    }

    /// The symbol with these digits.
    package init(high: Int, low: Int) { self.init(high * Self.lowCount + low) }

    /// The first digit.
    package var high: Int { index / Self.lowCount }
    /// The second digit.
    package var low: Int { index % Self.lowCount }
    /// Where the two ones stand among `placeCount` places.
    package var places: [Int] { [high, Self.highCount + low] }

    /// Orders symbols by number.
    package static func < (left: NeedleSymbol, right: NeedleSymbol) -> Bool { left.index < right.index }
}

/// The permutation that only the feed-forward part knows. Planting a value never shows the answer: a model whose
/// feed-forward weights are wrong answers wrongly.
package struct NeedleSecret: Hashable, Sendable {
    /// New first digit for each first digit.
    package let high: [Int]
    /// New second digit for each second digit.
    package let low: [Int]

    /// The permutation of `seed`.
    package init(seed: UInt64) {
        var random = NeedleRandom(seed: seed, stream: .secret)
        high = random.shuffled(Array(0..<NeedleSymbol.highCount))
        low = random.shuffled(Array(0..<NeedleSymbol.lowCount))
    }

    /// A permutation read from a file; nil unless both lists are permutations of the right length.
    package init?(high: [Int], low: [Int]) {
        guard high.sorted() == Array(0..<NeedleSymbol.highCount), low.sorted() == Array(0..<NeedleSymbol.lowCount) else { return nil }
        self.high = high
        self.low = low
    }

    /// What the model says when it retrieves `planted`.
    package func answer(to planted: NeedleSymbol) -> NeedleSymbol {
        NeedleSymbol(high: high[planted.high], low: low[planted.low])
    }

    /// What must be planted for the model to say `wanted`.
    package func planted(for wanted: NeedleSymbol) -> NeedleSymbol {
        guard let first = high.firstIndex(of: wanted.high), let second = low.firstIndex(of: wanted.low) else {
            preconditionFailure("\(wanted) has no origin under \(self)")
        }
        return NeedleSymbol(high: first, low: second)
    }
}
