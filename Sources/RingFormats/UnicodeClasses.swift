// The four classes of characters that pre-tokenisers distinguish: letters (\p{L}), numbers (\p{N}), white space (\s) and the rest, with
// the exact meaning they have in Hugging Face's tokenizers, whose regular expressions know Unicode 16: what the standard library here
// calls a letter since Unicode 17 is "the rest" there, and token ids must be the same on both sides.

enum CharacterClass {
    static let other: UInt8 = 0
    static let letter: UInt8 = 1
    static let number: UInt8 = 2
    static let space: UInt8 = 3
}

/// Class by scalar value for the first four planes, built once in some ten milliseconds; beyond them there are neither letters,
/// numbers nor white space.
let characterClasses: [UInt8] = {
    var table = [UInt8](repeating: CharacterClass.other, count: 0x40000)
    for value in table.indices {
        if let scalar = Unicode.Scalar(UInt32(value)) { table[value] = classify(scalar) }
    }
    return table
}()

private func classify(_ scalar: Unicode.Scalar) -> UInt8 {
    let properties = scalar.properties
    if properties.isWhitespace { return CharacterClass.space }
    switch properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
        return isKnownToUnicode16(properties) ? CharacterClass.letter : CharacterClass.other
    case .decimalNumber, .letterNumber, .otherNumber:
        return isKnownToUnicode16(properties) ? CharacterClass.number : CharacterClass.other
    default:
        return CharacterClass.other
    }
}

private func isKnownToUnicode16(_ properties: Unicode.Scalar.Properties) -> Bool {
    guard let age = properties.age else { return false }
    return age.major <= 16
}

/// Whether a scalar is a "word character" in the sense of `\w` (UTS 18, annex C); decides about added tokens with `single_word`.
func isWordCharacter(_ scalar: Unicode.Scalar) -> Bool {
    let properties = scalar.properties
    if properties.isAlphabetic || properties.isJoinControl { return true }
    switch properties.generalCategory {
    case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
    default: return false
    }
}

/// The scalar that begins at `index` of valid UTF-8, and its length in bytes.
@inline(__always)
func scalarValue(_ bytes: [UInt8], at index: Int) -> (value: UInt32, length: Int) {
    let first = bytes[index]
    if first < 0x80 { return (UInt32(first), 1) }
    let second = UInt32(bytes[index + 1] & 0x3F)
    if first < 0xE0 { return (UInt32(first & 0x1F) << 6 | second, 2) }
    let third = UInt32(bytes[index + 2] & 0x3F)
    if first < 0xF0 { return (UInt32(first & 0x0F) << 12 | second << 6 | third, 3) }
    return (UInt32(first & 0x07) << 18 | second << 12 | third << 6 | UInt32(bytes[index + 3] & 0x3F), 4)
}

/// The scalar that ends before `index` of valid UTF-8, and its length in bytes.
func scalarValue(_ bytes: [UInt8], before index: Int) -> (value: UInt32, length: Int) {
    var start = index - 1
    while bytes[start] & 0xC0 == 0x80 { start -= 1 }
    return (scalarValue(bytes, at: start).value, index - start)
}
