// Tokens by id, for decoding: the text as the file writes it and the bytes it stands for.

struct TokenTable: Sendable {
    /// Text by id, nil where no token has that id.
    private(set) var texts: [String?] = []
    private(set) var isSpecial: [Bool] = []
    private var arena: [UInt8] = []
    private var ranges: [Range<Int>] = []
    private var ids: [ExactKey: UInt32] = [:]

    /// Adds a token; false if its id or its text is taken.
    mutating func add(_ text: String, id: UInt32) -> Bool {
        let index = Int(id)
        if index >= texts.count {
            let missing = index + 1 - texts.count
            texts.append(contentsOf: repeatElement(nil, count: missing))
            isSpecial.append(contentsOf: repeatElement(false, count: missing))
            ranges.append(contentsOf: repeatElement(0..<0, count: missing))
        }
        guard texts[index] == nil, ids.updateValue(id, forKey: ExactKey(text)) == nil else { return false }
        texts[index] = text
        // A text with characters outside the byte alphabet stands for itself, as it does in the library's decoder.
        setBytes(of: id, ByteAlphabet.bytes(of: text) ?? Array(text.utf8))
        return true
    }

    /// What a token stands for in decoded text, where its text does not say. An added token stands for exactly what it is found by; the
    /// library's decoder takes "é" in one for the byte 0xE9 and gives U+FFFD.
    mutating func setBytes(of id: UInt32, _ bytes: [UInt8]) {
        ranges[Int(id)] = arena.count..<arena.count + bytes.count
        arena.append(contentsOf: bytes)
    }

    mutating func markSpecial(_ id: UInt32) { isSpecial[Int(id)] = true }

    mutating func reserve(_ count: Int) {
        texts.reserveCapacity(count)
        isSpecial.reserveCapacity(count)
        ranges.reserveCapacity(count)
        ids.reserveCapacity(count)
    }

    func id(of text: String) -> UInt32? { ids[ExactKey(text)] }

    func text(of id: UInt32) -> String? { Int(id) < texts.count ? texts[Int(id)] : nil }

    func isSpecial(_ id: UInt32) -> Bool { Int(id) < isSpecial.count && isSpecial[Int(id)] }

    /// Appends the bytes of a token; an id without token has none.
    func append(_ id: UInt32, to bytes: inout [UInt8]) {
        guard Int(id) < ranges.count else { return }
        bytes.append(contentsOf: arena[ranges[Int(id)]])
    }
}
