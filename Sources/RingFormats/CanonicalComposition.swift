// Normalisation form C as Hugging Face's tokenizers applies it. Their tables know Unicode 9: later characters pass unchanged and stop
// composition and reordering around them, and the ids must be the same on both sides. The composition itself is the standard library's,
// with one repair for three Tibetan vowel signs.

@_spi(_Unicode) import Swift

enum CanonicalComposition {
    /// Normalises a range of valid UTF-8; nil if it is in form C already.
    static func normalise(_ bytes: [UInt8], _ range: Range<Int>) -> [UInt8]? {
        guard mayChange(bytes, range) else { return nil }
        var output: [UInt8] = []
        output.reserveCapacity(range.count)
        var run = String.UnicodeScalarView()
        func flush() {
            for scalar in String(run)._nfc { output.append(contentsOf: String(scalar).utf8) }
            run = String.UnicodeScalarView()
        }
        for scalar in String(decoding: bytes[range], as: UTF8.self).unicodeScalars {
            if let parts = tibetanParts(scalar) {
                run.append(contentsOf: parts)
            } else if isKnownToUnicode9(scalar) {
                run.append(scalar)
            } else {
                flush()
                output.append(contentsOf: String(scalar).utf8)
            }
        }
        flush()
        return output
    }

    /// Everything below U+0300 is in form C whatever surrounds it.
    private static func mayChange(_ bytes: [UInt8], _ range: Range<Int>) -> Bool {
        bytes[range].contains { $0 >= 0xCC }
    }

    private static func isKnownToUnicode9(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 0x370 { return true }
        guard let age = scalar.properties.age else { return false }
        return age.major <= 9
    }

    /// These decompose to two combining marks but have combining class 0 themselves, which the standard library takes for a barrier.
    private static func tibetanParts(_ scalar: Unicode.Scalar) -> [Unicode.Scalar]? {
        switch scalar {
        case "\u{0F73}": ["\u{0F71}", "\u{0F72}"]
        case "\u{0F75}": ["\u{0F71}", "\u{0F74}"]
        case "\u{0F81}": ["\u{0F71}", "\u{0F80}"]
        default: nil
        }
    }
}
