// Byte-level tokenizers write each byte as one printable character, so that vocabularies are readable JSON: printable Latin-1 stands for
// itself, the other 68 bytes become U+0100 ... U+0143 in order (GPT-2, `bytes_to_unicode`).

enum ByteAlphabet {
    private static let scalars: [Unicode.Scalar] = {
        var next: UInt32 = 0x100
        return (0..<256).map { byte in
            let isPlain = (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
            if isPlain { return Unicode.Scalar(UInt8(byte)) }
            defer { next += 1 }
            return Unicode.Scalar(next) ?? "?"
        }
    }()

    /// Byte by scalar value; -1 for characters outside the alphabet.
    private static let bytes: [Int16] = {
        var table = [Int16](repeating: -1, count: 0x144)
        for (byte, scalar) in scalars.enumerated() { table[Int(scalar.value)] = Int16(byte) }
        return table
    }()

    /// How a byte is written.
    static func scalar(of byte: UInt8) -> Unicode.Scalar { scalars[Int(byte)] }

    /// How bytes are written.
    static func text(of bytes: some Sequence<UInt8>) -> String {
        var view = String.UnicodeScalarView()
        for byte in bytes { view.append(scalars[Int(byte)]) }
        return String(view)
    }

    /// The bytes that a text of the alphabet stands for; nil if it has other characters.
    static func bytes(of text: String) -> [UInt8]? {
        var result: [UInt8] = []
        for scalar in text.unicodeScalars {
            guard scalar.value < 0x144 else { return nil }
            let byte = bytes[Int(scalar.value)]
            guard byte >= 0 else { return nil }
            result.append(UInt8(truncatingIfNeeded: byte))
        }
        return result
    }
}
