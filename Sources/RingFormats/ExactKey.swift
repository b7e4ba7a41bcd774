// Swift compares strings by canonical equivalence: "é" in one scalar equals "é" in two. Files mean bytes. Names of tensors, JSON keys and
// vocabulary entries are therefore looked up under this key, or two different names would silently become one.

/// A string that equals another only if their UTF-8 bytes are equal.
struct ExactKey: Hashable, Sendable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (left: ExactKey, right: ExactKey) -> Bool { left.text.isExactly(right.text) }

    /// Eight bytes at a time into the seeded hasher, so that nobody can prepare colliding names.
    func hash(into hasher: inout Hasher) {
        var word: UInt64 = 0
        var count = 0
        for byte in text.utf8 {
            word = word << 8 | UInt64(byte)
            count += 1
            if count & 7 == 0 {
                hasher.combine(word)
                word = 0
            }
        }
        hasher.combine(word)
        hasher.combine(count)
    }
}

extension String {
    /// Equality of the UTF-8 bytes.
    func isExactly(_ other: String) -> Bool {
        utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
    }
}
