// Blanks comments and strings of Swift and C, byte by byte. Swift strings nest: an interpolation holds code, which may hold strings.

/// The state machine behind `SourceFile`.
struct Scanner {
    private enum Place {
        /// Code; in an interpolation `parentheses` counts those still open, at the top it is nil.
        case code(parentheses: Int?)
        /// A string literal with its delimiters.
        case string(hashes: Int, quotes: Int)
    }

    private let bytes: [UInt8]
    private let language: Language
    private var at = 0
    private var stack: [Place] = [.code(parentheses: nil)]
    private(set) var uncommented: [UInt8] = []
    private(set) var code: [UInt8] = []

    init(_ text: String, _ language: Language) {
        bytes = Array(text.utf8)
        self.language = language
    }

    mutating func scan() {
        while at < bytes.count {
            switch stack[stack.count - 1] {
            case .code(let parentheses): scanCode(parentheses)
            case .string(let hashes, let quotes): scanString(hashes, quotes)
            }
        }
    }

    private mutating func scanCode(_ parentheses: Int?) {
        if starts("//") { return skip(while: { $0 != "\n" }) }
        if starts("/*") { return skipBlockComment() }
        if language == .c, bytes[at] == UInt8(ascii: "'") { return takeCharacter() }
        if language == .swift, takeRegex() { return }
        if takeStringStart() { return }
        if let parentheses {
            switch bytes[at] {
            case UInt8(ascii: "("): stack[stack.count - 1] = .code(parentheses: parentheses + 1)
            case UInt8(ascii: ")") where parentheses == 1: stack.removeLast()
            case UInt8(ascii: ")"): stack[stack.count - 1] = .code(parentheses: parentheses - 1)
            default: break
            }
        }
        take(visible: true)
    }

    private mutating func scanString(_ hashes: Int, _ quotes: Int) {
        let fence = String(repeating: "#", count: hashes)
        if starts("\\" + fence + "(") {
            stack.append(.code(parentheses: 1))
            for _ in 0..<hashes + 2 { take(visible: true) }
        } else if starts("\\" + fence) {
            for _ in 0..<min(hashes + 2, bytes.count - at) { take(visible: false) }
        } else if starts(String(repeating: "\"", count: quotes) + fence) {
            for _ in 0..<quotes + hashes { take(visible: true) }
            stack.removeLast()
        } else {
            if quotes == 1, bytes[at] == UInt8(ascii: "\n") { stack.removeLast() }
            take(visible: false)
        }
    }

    /// `"`, `"""` or the same behind `#` signs (Swift).
    private mutating func takeStringStart() -> Bool {
        var hashes = 0
        while language == .swift, at + hashes < bytes.count, bytes[at + hashes] == UInt8(ascii: "#") { hashes += 1 }
        guard at + hashes < bytes.count, bytes[at + hashes] == UInt8(ascii: "\"") else { return false }
        let isLong = language == .swift && starts("\"\"\"", from: at + hashes)
        stack.append(.string(hashes: hashes, quotes: isLong ? 3 : 1))
        for _ in 0..<hashes + (isLong ? 3 : 1) { take(visible: true) }
        return true
    }

    /// `#/.../#`, and `/.../` where an operand is expected and the same line closes it.
    private mutating func takeRegex() -> Bool {
        let isFenced = starts("#/")
        guard isFenced || bytes[at] == UInt8(ascii: "/") else { return false }
        if !isFenced {
            guard at + 1 < bytes.count, bytes[at + 1] != UInt8(ascii: " "), bytes[at + 1] != UInt8(ascii: "=") else { return false }
            let before = code.last { $0 != UInt8(ascii: " ") } ?? UInt8(ascii: "\n")
            guard "(,=:[{\n".utf8.contains(before) else { return false }
        }
        var end = at + (isFenced ? 2 : 1)
        while end < bytes.count, !(isFenced ? starts("/#", from: end) : bytes[end] == UInt8(ascii: "/")) {
            if bytes[end] == UInt8(ascii: "\\") { end += 1 }
            guard end < bytes.count, isFenced || bytes[end] != UInt8(ascii: "\n") else { return false }
            end += 1
        }
        guard end < bytes.count else { return false }
        while at < end { take(visible: false) }
        for _ in 0..<(isFenced ? 2 : 1) { take(visible: true) }
        return true
    }

    private mutating func takeCharacter() {
        take(visible: true)
        while at < bytes.count, bytes[at] != UInt8(ascii: "'"), bytes[at] != UInt8(ascii: "\n") {
            if bytes[at] == UInt8(ascii: "\\") { take(visible: false) }
            if at < bytes.count { take(visible: false) }
        }
        if at < bytes.count { take(visible: true) }
    }

    private mutating func skipBlockComment() {
        var depth = 0
        repeat {
            if starts("/*"), depth == 0 || language == .swift {
                depth += 1
                drop()
            } else if starts("*/") {
                depth -= 1
                drop()
            }
            if at < bytes.count { drop() }
        } while depth > 0 && at < bytes.count
    }

    private mutating func skip(while holds: (UnicodeScalar) -> Bool) {
        while at < bytes.count, holds(UnicodeScalar(bytes[at])) { drop() }
    }

    /// One byte of a comment.
    private mutating func drop() {
        let blank = bytes[at] == UInt8(ascii: "\n") ? bytes[at] : UInt8(ascii: " ")
        uncommented.append(blank)
        code.append(blank)
        at += 1
    }

    /// One byte that is not a comment; `visible` to those who read code.
    private mutating func take(visible: Bool) {
        uncommented.append(bytes[at])
        code.append(visible || bytes[at] == UInt8(ascii: "\n") ? bytes[at] : UInt8(ascii: " "))
        at += 1
    }

    private func starts(_ text: String, from place: Int? = nil) -> Bool {
        bytes[(place ?? at)...].starts(with: text.utf8)
    }
}
