// JSON text from a tree: compact for headers, indented by two spaces for files that people read.

extension JSONValue {
    /// The document as text; pretty text ends with a line feed. Real numbers must be finite.
    public func text(pretty: Bool = false) -> String {
        var writer = JSONWriter(isPretty: pretty)
        writer.write(self, depth: 0)
        return String(decoding: writer.output, as: UTF8.self) + (pretty ? "\n" : "")
    }
}

private struct JSONWriter {
    let isPretty: Bool
    var output: [UInt8] = []

    init(isPretty: Bool) { self.isPretty = isPretty }

    mutating func write(_ value: JSONValue, depth: Int) {
        switch value {
        case .null: append("null")
        case .bool(let value): append(value ? "true" : "false")
        case .integer(let value): append(String(value))
        case .real(let value):
            precondition(value.isFinite, "JSON has no NaN and no infinities")
            append(value.description)  // the shortest text that reads back to the same double
        case .string(let value): write(value)
        case .array(let elements):
            write(elements.isEmpty, "[", "]", elements, depth) { writer, element in writer.write(element, depth: depth + 1) }
        case .object(let members):
            write(members.isEmpty, "{", "}", members, depth) { writer, member in
                writer.write(member.key)
                writer.append(writer.isPretty ? ": " : ":")
                writer.write(member.value, depth: depth + 1)
            }
        }
    }

    private mutating func write<Elements: Sequence>(
        _ isEmpty: Bool, _ open: String, _ close: String, _ elements: Elements, _ depth: Int,
        _ body: (inout JSONWriter, Elements.Element) -> Void
    ) {
        append(open)
        var isFirst = true
        for element in elements {
            if !isFirst { append(",") }
            isFirst = false
            newLine(depth + 1)
            body(&self, element)
        }
        if !isEmpty { newLine(depth) }
        append(close)
    }

    private mutating func write(_ text: String) {
        output.append(UInt8(ascii: "\""))
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                output.append(UInt8(ascii: "\\"))
                output.append(byte)
            case 0x0A: append("\\n")
            case 0x0D: append("\\r")
            case 0x09: append("\\t")
            case 0..<0x20, 0x7F:
                append("\\u00")
                append(byte < 16 ? "0" : "")
                append(String(byte, radix: 16))
            default: output.append(byte)
            }
        }
        output.append(UInt8(ascii: "\""))
    }

    private mutating func append(_ text: String) { output.append(contentsOf: text.utf8) }

    private mutating func newLine(_ depth: Int) {
        guard isPretty else { return }
        output.append(0x0A)
        for _ in 0..<depth { append("  ") }
    }
}
