// Normalisation form C as Hugging Face's tokenizers applies it. Their tables know Unicode 9: later characters pass unchanged and stop
// composition and reordering around them, and the ids must be the same on both sides. The composition itself is the standard library's,
// with one repair for three Tibetan vowel signs.
//
// Almost all text is in form C already, so only the rare stretches that might change are composed: a character that can, and the one
// before it. All other characters are boundaries (UAX 15, section 9: combining class 0 and quick-check "yes").

@_spi(_Unicode) import Swift

enum CanonicalComposition {
    /// Normalises a range of valid UTF-8; nil if it is in form C already.
    static func normalise(_ bytes: [UInt8], _ range: Range<Int>) -> [UInt8]? {
        // Everything below U+0300 is in form C whatever surrounds it.
        guard bytes[range].contains(where: { $0 >= 0xCC }) else { return nil }
        let restless = restless
        var output: [UInt8]?
        var copied = range.lowerBound
        var previous = range.lowerBound
        var index = range.lowerBound
        while index < range.upperBound {
            let (value, length) = scalarValue(bytes, at: index)
            guard value < 0x40000, restless[Int(value)] else {
                previous = index
                index += length
                continue
            }
            var end = index + length
            while end < range.upperBound {
                let (value, length) = scalarValue(bytes, at: end)
                guard value < 0x40000, restless[Int(value)] else { break }
                end += length
            }
            if output == nil { output = [] }
            output?.append(contentsOf: bytes[copied..<previous])
            output?.append(contentsOf: compose(bytes[previous..<end]))
            copied = end
            previous = end
            index = end
        }
        output?.append(contentsOf: bytes[copied..<range.upperBound])
        return output
    }

    private static func compose(_ bytes: ArraySlice<UInt8>) -> [UInt8] {
        var output: [UInt8] = []
        var run = String.UnicodeScalarView()
        func flush() {
            for scalar in String(run)._nfc { output.append(contentsOf: String(scalar).utf8) }
            run = String.UnicodeScalarView()
        }
        for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars {
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

    /// Whether a character may change, or change its neighbours, by scalar value in the first four planes; beyond them none does. Those
    /// that compose with the character before them are all marks or Hangul vowels and finals.
    private static let restless: [Bool] = {
        var table = [Bool](repeating: false, count: 0x40000)
        for value in 0x300..<0x30000 {
            switch value {
            case 0x3400..<0xA000, 0xAC00..<0xD7A4, 0xE000..<0xF900, 0x17000..<0x18D00, 0x20000..<0x2F800: continue  // ideographs, syllables
            case 0x1160..<0x1200: table[value] = true
            default:
                guard let scalar = Unicode.Scalar(UInt32(value)), isKnownToUnicode9(scalar) else { continue }
                table[value] = isMark(scalar) || !String(scalar)._nfc.elementsEqual(CollectionOfOne(scalar))
            }
        }
        return table
    }()

    private static func isMark(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark: true
        default: scalar.properties.canonicalCombiningClass != .notReordered
        }
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
