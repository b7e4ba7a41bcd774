// JSON as an ordered tree. Foundation's decoder would do for most files, but it can neither report duplicate keys (a safetensors header
// that names a tensor twice lies) nor keep the order of an object (a vocabulary's file order, a readable config.json), and it takes
// several seconds for the tokenizer of a large model. Hence this small decoder of our own; see JSONParser.swift.

/// A JSON document. Object keys keep their order; whole numbers that fit in 64 bits stay exact.
public enum JSONValue: Hashable, Sendable {
    /// `null`.
    case null
    /// `true` or `false`.
    case bool(Bool)
    /// A number written without fraction and exponent that fits in `Int64`.
    case integer(Int64)
    /// Any other number, as the nearest double; always finite when it was parsed.
    case real(Double)
    /// A string.
    case string(String)
    /// An array.
    case array([JSONValue])
    /// An object.
    case object(JSONObject)

    /// Decodes a complete document strictly by RFC 8259. `file` names it in errors.
    public init(parsing bytes: [UInt8], file: String) throws(FormatError) {
        var parser = JSONParser(bytes: bytes, file: file)
        self = try parser.document()
    }

    /// Reads and decodes a file of moderate size (at most 16 MiB).
    public init(path: String) throws(FormatError) {
        try self.init(path: path, limit: Limits.configBytes)
    }

    init(path: String, limit: Int) throws(FormatError) {
        try self.init(parsing: FileText.bytes(path: path, limit: limit), file: path)
    }

    /// The string, if this is one.
    public var stringValue: String? { if case .string(let value) = self { value } else { nil } }
    /// The whole number, if this is one (`1.0` is not).
    public var intValue: Int? { if case .integer(let value) = self { Int(value) } else { nil } }
    /// The number, if this is one.
    public var doubleValue: Double? {
        switch self {
        case .integer(let value): Double(value)
        case .real(let value): value
        default: nil
        }
    }
    /// The truth value, if this is one.
    public var boolValue: Bool? { if case .bool(let value) = self { value } else { nil } }
    /// The elements, if this is an array.
    public var arrayValue: [JSONValue]? { if case .array(let value) = self { value } else { nil } }
    /// The members, if this is an object.
    public var objectValue: JSONObject? { if case .object(let value) = self { value } else { nil } }

    /// The member of that name; nil if this is no object or has none.
    public subscript(key: String) -> JSONValue? { objectValue?[key] }

    /// What this is, for error sentences: "a string", "an object" ...
    var kindName: String {
        switch self {
        case .null: "null"
        case .bool: "a truth value"
        case .integer: "a whole number"
        case .real: "a number"
        case .string: "a string"
        case .array: "an array"
        case .object: "an object"
        }
    }
}

extension JSONValue: ExpressibleByStringLiteral, ExpressibleByIntegerLiteral, ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral, ExpressibleByNilLiteral
{
    /// A string.
    public init(stringLiteral value: String) { self = .string(value) }
    /// A whole number.
    public init(integerLiteral value: Int64) { self = .integer(value) }
    /// A number.
    public init(floatLiteral value: Double) { self = .real(value) }
    /// A truth value.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// An array.
    public init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    /// An object; keys must be distinct.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        var object = JSONObject()
        for (key, value) in elements { object.append(key, value) }
        self = .object(object)
    }
    /// `null`.
    public init(nilLiteral: ()) { self = .null }
}
