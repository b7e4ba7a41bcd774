// Cutting text into words before byte-pair merging. Published tokenizers say it with regular expressions, but only a few distinct ones
// are in use; each is a small scanner here that does what the backtracking matcher would do, in one pass and without its stack. A pattern
// that is not listed is refused, because a nearly right split gives silently different tokens.

/// One way of cutting.
enum WordScanner: Hashable, Sendable {
    /// GPT-2: contractions, letters, numbers or other characters, each with an optional space before it; then white space.
    case gpt2
    /// GPT-4 (cl100k), Llama 3 and Qwen: letters may follow any one character, numbers are cut every `digits`, line breaks end a run.
    case gpt4(digits: Int)

    private static let patterns: [(text: String, scanner: WordScanner)] = [
        (#"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#, .gpt2),
        (#"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#, .gpt2),
        (Self.llama3Pattern, .gpt4(digits: 3)),
        (
            #"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"#,
            .gpt4(digits: 3)
        ),
        (Self.qwenPattern, .gpt4(digits: 1)),
    ]

    static let llama3Pattern =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
    static let qwenPattern =
        #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#

    /// The scanner for a regular expression, if it is one of the known.
    init?(pattern: String) {
        guard let known = Self.patterns.first(where: { $0.text == pattern }) else { return nil }
        self = known.scanner
    }

    /// Where the word that begins at `start` ends; `end` closes the text (lookahead sees nothing beyond it). `bytes` is valid UTF-8.
    func wordEnd(_ bytes: [UInt8], from start: Int, to end: Int, classes: [UInt8]) -> Int {
        let cursor = Cursor(bytes: bytes, end: end, classes: classes)
        switch self {
        case .gpt2: return Self.gpt2End(cursor, start)
        case .gpt4(let digits): return Self.gpt4End(cursor, start, digits)
        }
    }

    private static func gpt2End(_ cursor: Cursor, _ start: Int) -> Int {
        let first = cursor.bytes[start]
        if first == UInt8(ascii: "'"), let end = cursor.contractionEnd(start, ignoringCase: false) { return end }
        let content = first == 0x20 && start + 1 < cursor.end ? start + 1 : start
        let (kind, length) = cursor.classify(content)
        if kind != CharacterClass.space { return cursor.skip(kind, from: content + length) }
        return cursor.spaceEnd(start)
    }

    private static func gpt4End(_ cursor: Cursor, _ start: Int, _ digits: Int) -> Int {
        let first = cursor.bytes[start]
        if first == UInt8(ascii: "'"), let end = cursor.contractionEnd(start, ignoringCase: true) { return end }
        let (kind, length) = cursor.classify(start)
        let next = start + length
        switch kind {
        case CharacterClass.letter: return cursor.skip(kind, from: next)
        case CharacterClass.number: return cursor.skip(kind, from: next, atMost: digits - 1)
        default: break
        }
        // Any one character that is no line break may lead a run of letters.
        if first != 0x0A, first != 0x0D, next < cursor.end, cursor.classify(next).kind == CharacterClass.letter {
            return cursor.skip(CharacterClass.letter, from: next)
        }
        let content = first == 0x20 && next < cursor.end ? next : start
        if cursor.classify(content).kind == CharacterClass.other {
            return cursor.skipLineBreaks(from: cursor.skip(CharacterClass.other, from: content))
        }
        return cursor.lineBreakEnd(start) ?? cursor.spaceEnd(start)
    }
}

/// The primitives of the scanners. All are linear in what they pass over.
private struct Cursor {
    let bytes: [UInt8]
    let end: Int
    let classes: [UInt8]

    @inline(__always)
    func classify(_ index: Int) -> (kind: UInt8, length: Int) {
        let (value, length) = scalarValue(bytes, at: index)
        return (value < 0x40000 ? classes[Int(value)] : CharacterClass.other, length)
    }

    @inline(__always)
    func skip(_ kind: UInt8, from start: Int, atMost limit: Int = .max) -> Int {
        var index = start
        var count = 0
        while index < end, count < limit {
            let (found, length) = classify(index)
            guard found == kind else { break }
            index += length
            count += 1
        }
        return index
    }

    func skipLineBreaks(from start: Int) -> Int {
        var index = start
        while index < end, bytes[index] == 0x0A || bytes[index] == 0x0D { index += 1 }
        return index
    }

    /// `\s*[\r\n]+`: up to the last line break of the run of white space, nil if it has none.
    func lineBreakEnd(_ start: Int) -> Int? {
        var found: Int?
        var index = start
        while index < end {
            let (kind, length) = classify(index)
            guard kind == CharacterClass.space else { break }
            if bytes[index] == 0x0A || bytes[index] == 0x0D { found = index + 1 }
            index += length
        }
        return found
    }

    /// `\s+(?!\S)|\s+`: a run of white space leaves its last character to the word that follows, unless it has only one.
    func spaceEnd(_ start: Int) -> Int {
        var index = start
        var last = start
        while index < end {
            let (kind, length) = classify(index)
            guard kind == CharacterClass.space else { break }
            last = index
            index += length
        }
        return index == end || last == start ? index : last
    }

    /// `'s|'t|'re|'ve|'m|'ll|'d`. Ignoring case, the long s (U+017F) counts as s: it folds to it.
    func contractionEnd(_ start: Int, ignoringCase: Bool) -> Int? {
        guard start + 1 < end else { return nil }
        func letter(_ index: Int) -> UInt8 {
            guard index < end else { return 0 }
            let byte = bytes[index]
            return ignoringCase && byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte + 32 : byte
        }
        switch letter(start + 1) {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return start + 2
        case UInt8(ascii: "r"), UInt8(ascii: "v"): return letter(start + 2) == UInt8(ascii: "e") ? start + 3 : nil
        case UInt8(ascii: "l"): return letter(start + 2) == UInt8(ascii: "l") ? start + 3 : nil
        case 0xC5: return ignoringCase && letter(start + 2) == 0xBF ? start + 3 : nil
        default: return nil
        }
    }
}
