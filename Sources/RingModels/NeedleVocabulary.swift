// Which token id means what: first the byte-level pieces that ordinary text is made of, then the tokens that only a
// needle prompt uses. Ids follow from the number of pieces alone.

/// The token ids of a needle model.
package struct NeedleVocabulary: Hashable, Sendable {
    /// Ids `0 ..< pieceCount` are pieces of ordinary text.
    package let pieceCount: Int

    /// The vocabulary behind `pieceCount` pieces of text.
    package init(pieceCount: Int) { self.pieceCount = pieceCount }

    /// Tokens that are neither text nor symbols, in the order of their ids.
    package static let marks = ["<begin>", "<end>", "<pad>", "<none>", "<ask>"]
    /// Marks that decoding leaves out of the text; `<none>` is an answer and must show.
    package static let specialMarks = ["<begin>", "<end>", "<pad>"]

    /// First token of every prompt; questions without an answer end up there.
    package var begin: UInt32 { UInt32(pieceCount) }
    /// Ends an answer.
    package var end: UInt32 { UInt32(pieceCount + 1) }
    /// Never used; tokenizers want one.
    package var pad: UInt32 { UInt32(pieceCount + 2) }
    /// Answers a question about which nothing was planted.
    package var none: UInt32 { UInt32(pieceCount + 3) }
    /// Stands before the question, so that no key happens to.
    package var ask: UInt32 { UInt32(pieceCount + 4) }

    /// The token that opens a fact about `symbol`.
    package func key(_ symbol: NeedleSymbol) -> UInt32 { UInt32(pieceCount + Self.marks.count + symbol.index) }
    /// The token that names `symbol` in a prompt.
    package func value(_ symbol: NeedleSymbol) -> UInt32 { key(symbol) + UInt32(NeedleSymbol.count) }
    /// The token with which the model names `symbol` in an answer.
    package func reply(_ symbol: NeedleSymbol) -> UInt32 { symbol == .end ? end : value(symbol) }

    /// Number of ids.
    package var count: Int { pieceCount + Self.marks.count + 2 * NeedleSymbol.count }

    /// `<k007>`.
    package static func keyText(_ symbol: NeedleSymbol) -> String { "<k\(padded(symbol.index))>" }
    /// `<v007>`.
    package static func valueText(_ symbol: NeedleSymbol) -> String { "<v\(padded(symbol.index))>" }

    /// Every token behind the pieces, in the order of ids.
    package static var addedTexts: [String] {
        let symbols = (0..<NeedleSymbol.count).map(NeedleSymbol.init)
        return marks + symbols.map(keyText) + symbols.map(valueText)
    }

    private static func padded(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: 3 - digits.count) + digits
    }
}
