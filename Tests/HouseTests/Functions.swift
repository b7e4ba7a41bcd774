// Where functions begin and end, found by words and braces. Good enough for code that compiles and is formatted.

/// A function's body, from the line of its opening brace to the line of its closing one.
struct FunctionBody: Equatable {
    let name: String
    let firstLine: Int
    let lineCount: Int
}

extension SourceFile {
    /// Every body in the file: functions, initialisers, subscripts and computed properties of Swift, functions and long macros of C.
    var functions: [FunctionBody] { language == .swift ? swiftFunctions : cFunctions + macros }

    private var swiftFunctions: [FunctionBody] {
        tokens.indices.compactMap { place in
            guard let name = declaredName(at: place), let open = openingBrace(after: place) else { return nil }
            return body(name, from: open)
        }
    }

    /// The name of the function-like thing that the token at `place` declares, or nil.
    private func declaredName(at place: Int) -> String? {
        let previous = place > 0 ? tokens[place - 1].text : ""
        let next = place + 1 < tokens.count ? tokens[place + 1].text : ""
        guard previous != "." else { return nil }
        switch tokens[place].text {
        case "func", "var": return next
        case "init" where ["(", "?", "!", "<"].contains(next): return "init"
        case "subscript" where ["(", "<"].contains(next): return "subscript"
        case "deinit" where next == "{": return "deinit"
        default: return nil
        }
    }

    /// Index of the `{` that opens the body declared at `place`; nil for a protocol's requirement and for a stored property.
    private func openingBrace(after place: Int) -> Int? {
        let ends: Set<String> = [
            "}", "func", "var", "let", "init", "case", "subscript", "typealias", "struct", "enum", "class", "actor", "protocol",
            "extension", "associatedtype", "public", "private", "internal", "package", "fileprivate", "static", "mutating",
        ]
        let isProperty = tokens[place].text == "var"
        var depth = 0
        for next in tokens.indices[(place + 1)...] {
            let text = tokens[next].text
            if text == "(" || text == "[" { depth += 1 }
            if text == ")" || text == "]" { depth -= 1 }
            guard depth == 0 else { continue }
            if text == "{" { return next }
            if isProperty, text == "=" || tokens[next].line > tokens[next - 1].line { return nil }
            if ends.contains(text) { return nil }
        }
        return nil
    }

    private var cFunctions: [FunctionBody] {
        let words = withoutPreprocessor
        var depth = 0
        var found: [FunctionBody] = []
        for place in words.indices {
            if words[place].text == "}" { depth -= 1 }
            guard words[place].text == "{" else { continue }
            if depth == 0, place > 0, words[place - 1].text == ")" {
                found.append(body(cName(before: place, in: words), from: place, in: words))
            }
            depth += 1
        }
        return found
    }

    /// The word before the parenthesis that closes at `place - 1`.
    private func cName(before place: Int, in words: [Token]) -> String {
        var depth = 0
        for earlier in words.indices[..<place].reversed() {
            if words[earlier].text == ")" { depth += 1 }
            if words[earlier].text == "(" { depth -= 1 }
            if depth == 0 { return earlier > 0 ? words[earlier - 1].text : "?" }
        }
        return "?"
    }

    /// Lines of preprocessor directives with their continuations, counted from one.
    private var directives: [ClosedRange<Int>] {
        var found: [ClosedRange<Int>] = []
        var line = 0
        while line < code.count {
            let first = line
            if code[line].drop(while: { $0 == " " }).first == "#" {
                while line + 1 < code.count, code[line].last == "\\" { line += 1 }
                found.append(first + 1...line + 1)
            }
            line += 1
        }
        return found
    }

    private var macros: [FunctionBody] {
        directives.filter { $0.count > 1 }.map { FunctionBody(name: "macro", firstLine: $0.lowerBound, lineCount: $0.count) }
    }

    private var withoutPreprocessor: [Token] {
        var hidden: Set<Int> = []
        for lines in directives { hidden.formUnion(lines) }
        return tokens.filter { !hidden.contains($0.line) }
    }

    private func body(_ name: String, from open: Int, in given: [Token]? = nil) -> FunctionBody {
        let words = given ?? tokens
        var depth = 0
        for place in words.indices[open...] {
            if words[place].text == "{" { depth += 1 }
            if words[place].text == "}" { depth -= 1 }
            guard depth == 0 else { continue }
            return FunctionBody(name: name, firstLine: words[open].line, lineCount: words[place].line - words[open].line + 1)
        }
        return FunctionBody(name: name, firstLine: words[open].line, lineCount: raw.count - words[open].line + 1)
    }
}
