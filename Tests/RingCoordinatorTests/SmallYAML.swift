// Reads the part of YAML in which Docs/openapi.yaml is written, so that tests can hold it against the code: maps and lists in block and
// flow style, plain and double-quoted scalars, folded text. Anything else stops the test that reads it.

/// A value of YAML; every scalar is its text.
indirect enum Node: Equatable {
    case text(String)
    case list([Node])
    case map([Entry])

    struct Entry: Equatable {
        let key: String
        let value: Node
    }

    subscript(_ key: String) -> Node? {
        guard case .map(let entries) = self else { return nil }
        return entries.first { $0.key == key }?.value
    }

    var keys: [String] { if case .map(let entries) = self { entries.map(\.key) } else { [] } }
    var elements: [Node] { if case .list(let nodes) = self { nodes } else { [] } }
    var string: String? { if case .text(let text) = self { text } else { nil } }
    var strings: [String] { elements.compactMap(\.string) }
}

/// Why a text is not of that part.
struct YAMLProblem: Error, CustomStringConvertible {
    let description: String
}

/// The reader.
struct SmallYAML {
    private struct Line {
        let number: Int
        var indent: Int
        var text: Substring
    }
    private var lines: [Line] = []
    private var at = 0

    static func parse(_ text: String) throws -> Node {
        var reader = SmallYAML(text)
        let node = try reader.block(indent: 0)
        if reader.at < reader.lines.count { throw YAMLProblem(description: "line \(reader.lines[reader.at].number) is not understood") }
        return node
    }

    private init(_ text: String) {
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            let content = line.drop { $0 == " " }
            if content.isEmpty || content.hasPrefix("#") { continue }
            lines.append(Line(number: number + 1, indent: line.count - content.count, text: content))
        }
    }

    private mutating func block(indent: Int) throws -> Node {
        var (items, entries): ([Node], [Node.Entry]) = ([], [])
        while at < lines.count, lines[at].indent == indent {
            let line = lines[at]
            if line.text.hasPrefix("- ") {
                items.append(try item(line))
            } else {
                if !items.isEmpty { break }
                let (key, rest) = try Self.split(line.text, line.number)
                entries.append(Node.Entry(key: key, value: try value(rest, indent: indent)))
            }
        }
        return entries.isEmpty ? .list(items) : .map(entries)
    }

    private mutating func item(_ line: Line) throws -> Node {
        let rest = line.text.dropFirst(2)
        if rest.hasPrefix("{") || rest.hasPrefix("[") || (try? Self.split(rest, line.number)) == nil {
            return try value(rest, indent: line.indent)
        }
        lines[at].indent += 2
        lines[at].text = rest
        return try block(indent: line.indent + 2)
    }

    /// What stands behind a key or a dash; moves behind it.
    private mutating func value(_ rest: Substring, indent: Int) throws -> Node {
        at += 1
        if rest.isEmpty {
            guard at < lines.count, lines[at].indent > indent else { return .text("") }
            return try block(indent: lines[at].indent)
        }
        var words = String(rest)
        let isFolded = rest == ">-"
        let opens = { (text: String) in text.count { "{[".contains($0) } > text.count { "}]".contains($0) } }
        if isFolded { words = "" }
        while at < lines.count, isFolded ? lines[at].indent > indent : words.first.map("{[".contains) == true && opens(words) {
            words += (words.isEmpty ? "" : " ") + lines[at].text
            at += 1
        }
        if isFolded { return .text(words) }
        var flow = Flow(words, line: lines[at - 1].number)
        return try flow.whole()
    }

    /// `key: rest` or `key:`.
    private static func split(_ text: Substring, _ line: Int) throws -> (String, Substring) {
        let (name, behind): (Substring, Substring)
        if text.hasPrefix("\""), let end = text.dropFirst().firstIndex(of: "\"") {
            (name, behind) = (text[text.index(after: text.startIndex)..<end], text[text.index(after: end)...])
        } else {
            let end = text.indices.first { text[$0] == ":" && text[text.index(after: $0)...].first.map { $0 == " " } ?? true }
            guard let end else { throw YAMLProblem(description: "line \(line) has no key: \(text)") }
            (name, behind) = (text[..<end], text[end...])
        }
        guard behind.hasPrefix(":") else { throw YAMLProblem(description: "line \(line) has no colon behind its key") }
        return (String(name), behind.dropFirst().drop { $0 == " " })
    }
}

/// One value on one line.
private struct Flow {
    private let text: [Character]
    private let line: Int
    private var at = 0

    init(_ text: String, line: Int) {
        self.text = Array(text)
        self.line = line
    }

    mutating func whole() throws -> Node {
        if text.first == "{" || text.first == "[" || text.first == "\"" {
            let node = try value()
            guard at == text.count else { throw problem("something behind its value") }
            return node
        }
        return .text(String(text))
    }

    private func problem(_ what: String) -> YAMLProblem { YAMLProblem(description: "line \(line) has \(what): \(String(text))") }

    private mutating func skip() { while at < text.count, text[at] == " " { at += 1 } }

    private mutating func value() throws -> Node {
        skip()
        switch at < text.count ? text[at] : " " {
        case "{":
            return .map(
                try elements("}") { flow in
                    let key = try flow.scalar(until: ":")
                    flow.at += 1
                    return Node.Entry(key: key, value: try flow.value())
                })
        case "[": return .list(try elements("]") { try $0.value() })
        default: return .text(try scalar(until: ",]}"))
        }
    }

    private mutating func elements<Element>(_ close: Character, _ element: (inout Flow) throws -> Element) throws -> [Element] {
        var found: [Element] = []
        at += 1
        while true {
            skip()
            guard at < text.count else { throw problem("an open bracket") }
            if text[at] == close { break }
            found.append(try element(&self))
            skip()
            if at < text.count, text[at] == "," { at += 1 }
        }
        at += 1
        return found
    }

    private mutating func scalar(until stops: String) throws -> String {
        skip()
        if at < text.count, text[at] == "\"" {
            guard let end = text[(at + 1)...].firstIndex(of: "\"") else { throw problem("an open quotation mark") }
            defer { at = end + 1 }
            return String(text[(at + 1)..<end]).replacing("\\n", with: "\n")
        }
        let start = at
        while at < text.count, !stops.contains(text[at]) { at += 1 }
        guard at > start else { throw problem("an empty value") }
        var word = String(text[start..<at])
        while word.last == " " { word.removeLast() }
        return word
    }
}
