// A source file in three readings: as written, without comments, and as code alone (comments and the insides of strings blanked). The
// rules look at code, so that a word in a comment or a string breaks none of them. Lines and columns stay where they were.

/// The languages that the rules can read.
enum Language {
    case swift, c

    init?(path: String) {
        if path.hasSuffix(".swift") {
            self = .swift
        } else if path.hasSuffix(".c") || path.hasSuffix(".h") {
            self = .c
        } else {
            return nil
        }
    }
}

/// One scanned file.
struct SourceFile {
    let path: String
    let language: Language
    /// Lines as written.
    let raw: [String]
    /// Lines with comments blanked.
    let uncommented: [String]
    /// Lines with comments and the insides of strings blanked; interpolated expressions stay.
    let code: [String]
    /// The words and signs of `code`.
    let tokens: [Token]

    init(path: String, text: String, language: Language? = nil) {
        self.path = path
        self.language = language ?? Language(path: path) ?? .swift
        var scanner = Scanner(text, self.language)
        scanner.scan()
        raw = Self.lines(Array(text.utf8))
        uncommented = Self.lines(scanner.uncommented)
        code = Self.lines(scanner.code)
        tokens = Token.all(in: scanner.code)
    }

    /// The target's name: `Sources/RingCore/X.swift` and `Tests/RingCoreTests/X.swift` give the second component.
    var target: String {
        let parts = path.split(separator: "/")
        return parts.count > 2 ? String(parts[1]) : ""
    }

    var isTest: Bool { path.hasPrefix("Tests/") }

    private static func lines(_ bytes: [UInt8]) -> [String] {
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { String(decoding: $0, as: UTF8.self) }
        if lines.last == "" { lines.removeLast() }
        return lines
    }
}

/// A word, a number or one sign, with its line counted from one.
struct Token: Equatable {
    let text: String
    let line: Int

    static func all(in code: [UInt8]) -> [Token] {
        var tokens: [Token] = []
        var line = 1
        var place = 0
        while place < code.count {
            let byte = code[place]
            if byte == UInt8(ascii: "\n") { line += 1 }
            let start = place
            while place < code.count, isWord(code[place]) { place += 1 }
            if place > start {
                tokens.append(Token(text: String(decoding: code[start..<place], as: UTF8.self), line: line))
            } else {
                if byte > UInt8(ascii: " "), byte != UInt8(ascii: "`") {
                    tokens.append(Token(text: String(UnicodeScalar(byte)), line: line))
                }
                place += 1
            }
        }
        return tokens
    }

    private static func isWord(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "_"), 0x80...:
            true
        default: false
        }
    }
}
