// Where everything sits: the places of the residual stream and the rotary pairs of a head. The weights in
// NeedleWeights.swift are hardly more than ones at the crossings of these places.
import Glibc

/// Places of the residual stream, `width` wide. Six runs hold a symbol's (or filler's) one-hot digits each.
package enum NeedleStream {
    /// Hidden size.
    package static let width = 192
    /// Digits of the symbol that a key token asks for.
    package static let subject = 0
    /// Digits of the symbol that a value token names.
    package static let value = subject + NeedleSymbol.placeCount
    /// Digits of ordinary text: never read, they only give text the same length as everything else.
    package static let filler = value + NeedleSymbol.placeCount
    /// Subject digits of the token before, written by layer 0.
    package static let subjectBefore = filler + NeedleSymbol.placeCount
    /// Value digits of the fact that answers this token, written by the attention of layer 1.
    package static let found = subjectBefore + NeedleSymbol.placeCount
    /// Digits of the answer, written by the feed-forward of layer 1.
    package static let reply = found + NeedleSymbol.placeCount
    /// One in every token.
    package static let one = reply + NeedleSymbol.placeCount
    /// Ones in `<begin>` only.
    package static let begin = [one + 1, one + 2]
    /// Written by layer 1 when no fact answers.
    package static let nothing = one + 3
    /// Ones in `<none>` only: what follows it is `<end>`.
    package static let none = [one + 4, one + 5]
}

/// Places of an attention head. Two query heads share one key/value head, so that grouping matters: the first brings back
/// the first digit, the second the other.
package enum NeedleHead {
    /// Width of a head.
    package static let width = 64
    /// Query heads.
    package static let queryHeads = 2
    /// Rotary pairs of a head; pair j is the places j and j + pairCount.
    package static let pairCount = width / 2
    /// Base of the rotary frequencies. So large that pairs turn by 1 radian a token (pair 0) down to 4e-20 (pair 31).
    package static let ropeBase = 1e20
    /// Pairs 0 ..< 11 tell positions apart: pair 10 turns once in 11 million tokens.
    package static let positionPairs = 11
    /// Pairs 16 ..< 32 turn by less than 5e-4 radians in 4 million tokens: what they carry looks the same from everywhere.
    package static let contentPairs = 16
    /// The first content pair.
    package static let firstContentPair = pairCount - contentPairs
    /// How strongly each position pair counts. The fastest one keeps the neighbours t and t - 2 away.
    package static func weight(ofPair pair: Int) -> Double { pair == 0 ? 2 : 1 }

    /// Radians that `pair` turns per token.
    package static func turn(ofPair pair: Int) -> Double { pow(ropeBase, -Double(pair) / Double(pairCount)) }

    /// The place of content number `index` (0 ..< 32): first halves of the content pairs, then second halves.
    package static func contentPlace(_ index: Int) -> Int {
        firstContentPair + (index < contentPairs ? index : index - contentPairs + pairCount)
    }

    /// The content number that catches questions without an answer; digits take the 31 before it.
    package static let catchAll = NeedleSymbol.placeCount
}

/// The few magnitudes that the margins depend on (Docs/MATH.md, "The needle model"). All are exact in bfloat16.
package enum NeedleGain {
    /// Layer 0: with inputs normalised to 8 and the score divided by sqrt(64), 48 nats for each unit of pair weight.
    package static let position: Double = 6
    /// Layer 1: query per value digit.
    package static let question: Double = 8
    /// Layer 1: key per subject digit. A fact about the question scores 198, one that shares a digit with it 99.
    package static let fact: Double = 2
    /// Layer 1: key of `<begin>`, twice. It scores 144: below every match, above every half match.
    package static let catchAll: Double = 1.125
    /// Brings a normalised 8 back to 1 (to 0.77 where the stream already holds a subject and is longer).
    package static let unit: Double = 0.125
    /// Feed-forward: opens the gate so far that it is linear.
    package static let gate: Double = 8
    /// Feed-forward: reads a found digit.
    package static let up: Double = 4
    /// Feed-forward: writes an answer digit, about 18 for a certain one.
    package static let down: Double = 1.0 / 64
    /// Output: logit per answer digit.
    package static let reply: Double = 2
    /// Output: logit of `<none>` when nothing was found. Below any found answer, which drowns it.
    package static let nothing: Double = 4
}
