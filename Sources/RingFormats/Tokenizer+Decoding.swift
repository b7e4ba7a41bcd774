// Token ids to text. Tokens are byte strings and may end in the middle of a character, so text is made from all their bytes together,
// or, while they arrive one by one, from as many as are certain.

extension Tokenizer {
    /// The bytes that the ids stand for. Ids without a token are left out.
    public func decodeBytes(_ ids: [UInt32], skipSpecialTokens: Bool = false) -> [UInt8] {
        var bytes: [UInt8] = []
        for id in ids where !skipSpecialTokens || !table.isSpecial(id) { table.append(id, to: &bytes) }
        return bytes
    }

    /// The text that the ids stand for. Ids without a token are left out; broken sequences become U+FFFD.
    public func decode(_ ids: [UInt32], skipSpecialTokens: Bool = false) -> String {
        String(decoding: decodeBytes(ids, skipSpecialTokens: skipSpecialTokens), as: UTF8.self)
    }

    /// The id of a token: the content of an added one, or a vocabulary entry as the file writes it (byte alphabet).
    public func id(of token: String) -> UInt32? { table.id(of: token) }

    /// The text of a token as the file writes it (byte alphabet).
    public func token(of id: UInt32) -> String? { table.text(of: id) }

    /// Whether `skipSpecialTokens` leaves this token out.
    public func isSpecial(_ id: UInt32) -> Bool { table.isSpecial(id) }
}

/// Turns ids into text one at a time. Joined, the pieces are exactly what `decode` makes of all the ids; no piece ends inside a character.
public struct StreamingDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skipsSpecialTokens: Bool
    private var pending: [UInt8] = []  // the beginning of a character, at most three bytes

    /// A decoder at the beginning of a text.
    public init(_ tokenizer: Tokenizer, skipSpecialTokens: Bool = true) {
        self.tokenizer = tokenizer
        skipsSpecialTokens = skipSpecialTokens
    }

    /// Takes one id and returns the text that has become certain, perhaps none.
    public mutating func append(_ id: UInt32) -> String {
        if skipsSpecialTokens, tokenizer.isSpecial(id) { return "" }
        tokenizer.table.append(id, to: &pending)
        let certain = pending.count - incompleteTail(pending)
        guard certain > 0 else { return "" }
        let text = String(decoding: pending[..<certain], as: UTF8.self)
        pending.removeFirst(certain)
        return text
    }

    /// Ends the text: a character that never became complete turns into U+FFFD.
    public mutating func finish() -> String {
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }
}

/// How many bytes at the end could still become a character when more follow: 0 to 3. Bytes that cannot begin or continue one (Unicode
/// 16, table 3-7) are not held back.
func incompleteTail(_ bytes: [UInt8]) -> Int {
    for length in 1...3 where length <= bytes.count {
        let lead = bytes[bytes.count - length]
        if lead & 0xC0 == 0x80 { continue }
        let needed: Int
        switch lead {
        case 0xC2...0xDF: needed = 2
        case 0xE0...0xEF: needed = 3
        case 0xF0...0xF4: needed = 4
        default: return 0
        }
        guard length < needed else { return 0 }
        guard length > 1 else { return 1 }
        let second = bytes[bytes.count - length + 1]
        switch lead {
        case 0xE0: return second >= 0xA0 ? length : 0
        case 0xED: return second <= 0x9F ? length : 0
        case 0xF0: return second >= 0x90 ? length : 0
        case 0xF4: return second <= 0x8F ? length : 0
        default: return length
        }
    }
    return 0
}
