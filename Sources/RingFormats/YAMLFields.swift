// One mapping of a YAML document with typed access; every error carries the line and column of what is wrong.

import RingCore
import Yams

struct YAMLFields {
    private let file: String
    private let node: Node
    private let mapping: Node.Mapping
    private let name: String  // of the section, "" for the document

    /// Parses a document whose root is a mapping. Anchors and aliases are refused: a few lines of them can stand for gigabytes.
    init(parsing yaml: String, file: String) throws(FormatError) {
        self.file = file
        name = ""
        if let line = Self.lineOfAnchor(yaml) {
            throw .invalid("\(file), line \(line): anchors and aliases (& and *) are not allowed in a configuration: write the value out")
        }
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            throw .invalid("\(file) is not valid YAML: \(Self.sentence(error))")
        }
        guard let root else { throw .invalid("\(file) is empty: it needs at least 'schema_version: 1'") }
        guard case .mapping(let mapping) = root else {
            throw .invalid("\(file) is no mapping of keys to values: begin it with 'schema_version: 1'")
        }
        node = root
        self.mapping = mapping
        try checkKeys()
    }

    private init(file: String, node: Node, mapping: Node.Mapping, name: String) throws(FormatError) {
        self.file = file
        self.node = node
        self.mapping = mapping
        self.name = name
        try checkKeys()
    }

    private func checkKeys() throws(FormatError) {
        for (key, _) in mapping {
            guard key.scalar != nil else { throw failure("a key must be a plain word", at: key) }
        }
    }

    /// The value of a key; an empty value and `null` count as absent.
    subscript(key: String) -> Node? {
        guard let value = mapping.first(where: { $0.key.scalar?.string == key })?.value, value.tag != Tag(.null) else { return nil }
        return value
    }

    /// Refuses keys that are not in `known`.
    func allow(_ known: [String]) throws(FormatError) {
        for (key, _) in mapping {
            guard let text = key.scalar?.string, !known.contains(text) else { continue }
            let nearest =
                nearestWord(to: text, among: known).map { "did you mean '\($0)'?" } ?? "known keys are \(known.joined(separator: ", "))"
            throw failure("the key \(quoted(text)) is not known\(name.isEmpty ? "" : " in '\(name)'"): \(nearest)", at: key)
        }
    }

    func section(_ key: String) throws(FormatError) -> YAMLFields? {
        guard let value = self[key] else { return nil }
        guard case .mapping(let mapping) = value else { throw failure("'\(key)' must be a mapping of keys to values", at: value) }
        return try YAMLFields(file: file, node: value, mapping: mapping, name: key)
    }

    /// The elements of a list of mappings; nil if the key is absent.
    func sections(_ key: String) throws(FormatError) -> [YAMLFields]? {
        guard let value = self[key] else { return nil }
        guard case .sequence(let elements) = value else { throw failure("'\(key)' must be a list, each element after a '- '", at: value) }
        var found: [YAMLFields] = []
        for element in elements {
            guard case .mapping(let mapping) = element else {
                throw failure("each element of '\(key)' must be a mapping of keys to values", at: element)
            }
            found.append(try YAMLFields(file: file, node: element, mapping: mapping, name: key))
        }
        return found
    }

    /// A number of bytes with its unit: `768GiB`.
    func bytes(_ key: String) throws(FormatError) -> Int? {
        guard let value = self[key] else { return nil }
        guard let text = value.scalar?.string, let count = try? ByteCount(parsing: text).value else {
            throw failure("'\(key)' must be a number of bytes such as 768GiB or 2TB", at: value)
        }
        return count
    }

    func integer(_ key: String, in range: ClosedRange<Int>) throws(FormatError) -> Int? {
        guard let value = self[key] else { return nil }
        guard value.tag == Tag(.int), let number = value.int, range.contains(number) else {
            let bounds = range.upperBound == Int.max ? "of at least \(range.lowerBound)" : "from \(range.lowerBound) to \(range.upperBound)"
            throw failure("'\(key)' must be a whole number \(bounds)", at: value)
        }
        return number
    }

    func number(_ key: String, in range: ClosedRange<Double>) throws(FormatError) -> Double? {
        guard let value = self[key] else { return nil }
        guard value.tag == Tag(.int) || value.tag == Tag(.float), let number = value.float, range.contains(number) else {
            throw failure("'\(key)' must be a number from \(range.lowerBound) to \(range.upperBound)", at: value)
        }
        return number
    }

    func flag(_ key: String) throws(FormatError) -> Bool? {
        guard let value = self[key] else { return nil }
        guard value.tag == Tag(.bool), let flag = value.bool else { throw failure("'\(key)' must be true or false", at: value) }
        return flag
    }

    func text(_ key: String) throws(FormatError) -> String? {
        guard let value = self[key] else { return nil }
        guard let text = value.scalar?.string, !text.isEmpty else { throw failure("'\(key)' must be text", at: value) }
        return text
    }

    func word(_ key: String, of known: [String]) throws(FormatError) -> String? {
        guard let value = self[key] else { return nil }
        guard let text = value.scalar?.string, known.contains(text) else {
            throw failure("'\(key)' must be one of \(known.joined(separator: ", "))", at: value)
        }
        return text
    }

    func address(_ key: String) throws(FormatError) -> SocketAddress? {
        guard let value = self[key] else { return nil }
        guard let text = value.scalar?.string, let address = SocketAddress(text) else {
            throw failure("'\(key)' must be an address such as 127.0.0.1:7411 or '[::1]:7411'", at: value)
        }
        return address
    }

    func failure(_ what: String, at place: Node?) -> FormatError {
        let mark = (place ?? node).mark
        return .invalid(mark.map { "\(file), line \($0.line), column \($0.column): \(what)" } ?? "\(file): \(what)")
    }

    /// The line of the first `&name` or `*name` outside quotes and comments, or nil.
    private static func lineOfAnchor(_ yaml: String) -> Int? {
        var line = 1
        var quote: UInt8?
        var previous: UInt8 = 0x0A
        let bytes = Array(yaml.utf8)
        var isComment = false
        for (index, byte) in bytes.enumerated() {
            let beginsToken =
                previous <= 0x20 || previous == UInt8(ascii: "[") || previous == UInt8(ascii: "{") || previous == UInt8(ascii: ",")
            if byte == 0x0A {
                line += 1
                isComment = false
            } else if let open = quote {
                if byte == open, open == UInt8(ascii: "'") || previous != UInt8(ascii: "\\") { quote = nil }
            } else if !isComment, beginsToken {
                switch byte {
                case UInt8(ascii: "#"): isComment = true
                case UInt8(ascii: "'"), UInt8(ascii: "\""): quote = byte
                case UInt8(ascii: "&"), UInt8(ascii: "*"):
                    if index + 1 < bytes.count, bytes[index + 1] > 0x20 { return line }
                default: break
                }
            }
            previous = byte
        }
        return nil
    }

    private static func sentence(_ error: any Error) -> String {
        guard let error = error as? YamlError else { return "it cannot be read" }
        switch error {
        case .scanner(_, let problem, let mark, _), .parser(_, let problem, let mark, _), .composer(_, let problem, let mark, _):
            return "\(problem) at line \(mark.line), column \(mark.column)"
        case .reader(let problem, _, _, _): return problem
        case .duplicatedKeysInMapping(let duplicates, _):
            return "the key \(quoted(String(describing: duplicates.first ?? ""))) stands in a mapping twice"
        default: return "it cannot be read"
        }
    }
}
