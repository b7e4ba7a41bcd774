// A strict JSON decoder (RFC 8259) for the files of strangers: no byte-order mark, no comments, no trailing commas, no NaN, no lone
// surrogates, valid UTF-8 only, duplicate keys are errors, bounded depth. Recursive descent over bytes in memory; about 100 MB/s.

struct JSONParser {
    private let bytes: [UInt8]
    private let file: String
    private var position = 0
    private var depth = 0
    private var valueCount = 0

    init(bytes: [UInt8], file: String) {
        self.bytes = bytes
        self.file = file
    }

    /// One value and nothing else but white space.
    mutating func document() throws(FormatError) -> JSONValue {
        if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { throw failure("a byte-order mark stands where the document should begin") }
        let result = try value()
        skipSpace()
        guard position == bytes.count else { throw failure("something follows the end of the document") }
        return result
    }

    // MARK: values

    private mutating func value() throws(FormatError) -> JSONValue {
        skipSpace()
        guard let byte = peek else { throw failure("the document ends where a value should stand") }
        valueCount += 1
        guard valueCount <= Limits.jsonValues else {
            throw .tooLarge("\(file) holds more than \(Limits.jsonValues) JSON values: it is no such file")
        }
        switch byte {
        case UInt8(ascii: "{"): return try nested { (parser) throws(FormatError) in try parser.object() }
        case UInt8(ascii: "["): return try nested { (parser) throws(FormatError) in try parser.array() }
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try word("true", .bool(true))
        case UInt8(ascii: "f"): return try word("false", .bool(false))
        case UInt8(ascii: "n"): return try word("null", .null)
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try number()
        default: throw failure("this is not the beginning of a value")
        }
    }

    private mutating func nested(_ body: (inout JSONParser) throws(FormatError) -> JSONValue) throws(FormatError) -> JSONValue {
        depth += 1
        guard depth <= Limits.jsonDepth else { throw failure("arrays and objects are nested more than \(Limits.jsonDepth) deep") }
        let result = try body(&self)
        depth -= 1
        return result
    }

    private mutating func object() throws(FormatError) -> JSONValue {
        var object = JSONObject()
        position += 1
        skipSpace()
        if take(UInt8(ascii: "}")) { return .object(object) }
        while true {
            skipSpace()
            guard peek == UInt8(ascii: "\"") else { throw failure("a key in quotes is missing") }
            let start = position
            let key = try string()
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw failure("a colon is missing after the key \(quoted(key))") }
            let member = try value()
            guard object.insert(key, member) else {
                position = start
                throw failure("the key \(quoted(key)) stands in this object twice")
            }
            skipSpace()
            if take(UInt8(ascii: "}")) { return .object(object) }
            guard take(UInt8(ascii: ",")) else { throw failure("a comma or the end of the object is missing") }
        }
    }

    private mutating func array() throws(FormatError) -> JSONValue {
        var elements: [JSONValue] = []
        position += 1
        skipSpace()
        if take(UInt8(ascii: "]")) { return .array(elements) }
        while true {
            elements.append(try value())
            skipSpace()
            if take(UInt8(ascii: "]")) { return .array(elements) }
            guard take(UInt8(ascii: ",")) else { throw failure("a comma or the end of the array is missing") }
        }
    }

    private mutating func word(_ text: StaticString, _ value: JSONValue) throws(FormatError) -> JSONValue {
        let expected = "\(text)".utf8
        guard bytes[position...].starts(with: expected) else { throw failure("this is not the beginning of a value") }
        position += expected.count
        return value
    }

    // MARK: numbers

    private mutating func number() throws(FormatError) -> JSONValue {
        let start = position
        let isNegative = take(UInt8(ascii: "-"))
        let leading = position
        let digits = skipDigits()
        guard digits > 0 else { throw failure("a digit is missing in a number") }
        guard digits == 1 || bytes[leading] != UInt8(ascii: "0") else { throw failure("a number begins with a superfluous zero") }
        var isWhole = true
        if take(UInt8(ascii: ".")) {
            isWhole = false
            guard skipDigits() > 0 else { throw failure("a digit is missing after the decimal point") }
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isWhole = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            guard skipDigits() > 0 else { throw failure("a digit is missing in an exponent") }
        }
        if isWhole, let integer = wholeNumber(leading..<position, isNegative) { return .integer(integer) }
        guard position - start <= 4096, let value = Double(String(decoding: bytes[start..<position], as: UTF8.self)), value.isFinite else {
            position = start
            throw failure("this number is too large for a double")
        }
        return .real(value)
    }

    private func wholeNumber(_ digits: Range<Int>, _ isNegative: Bool) -> Int64? {
        guard digits.count <= 19 else { return nil }
        var value: UInt64 = 0
        for index in digits { value = value &* 10 &+ UInt64(bytes[index] & 15) }  // 19 digits stay below 2^64
        if isNegative { return value <= UInt64(1) << 63 ? Int64(truncatingIfNeeded: 0 &- value) : nil }
        return Int64(exactly: value)
    }

    private mutating func skipDigits() -> Int {
        let start = position
        while let byte = peek, byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") { position += 1 }
        return position - start
    }

    // MARK: strings

    private mutating func string() throws(FormatError) -> String {
        let start = position + 1
        var end = start
        while end < bytes.count {
            let byte = bytes[end]
            if byte == UInt8(ascii: "\"") {
                guard let text = String(validating: bytes[start..<end], as: UTF8.self) else { throw failure("a string is not valid UTF-8") }
                position = end + 1
                return text
            }
            if byte == UInt8(ascii: "\\") { return try escapedString(from: start, firstEscape: end) }
            if byte < 0x20 { break }
            end += 1
        }
        position = end
        throw failure(end < bytes.count ? "a control character stands unescaped in a string" : "the document ends inside a string")
    }

    private mutating func escapedString(from start: Int, firstEscape: Int) throws(FormatError) -> String {
        var content = Array(bytes[start..<firstEscape])
        position = firstEscape
        while let byte = peek {
            position += 1
            switch byte {
            case UInt8(ascii: "\""):
                guard let text = String(validating: content, as: UTF8.self) else { throw failure("a string is not valid UTF-8") }
                return text
            case UInt8(ascii: "\\"): try escape(into: &content)
            case 0..<0x20:
                position -= 1
                throw failure("a control character stands unescaped in a string")
            default: content.append(byte)
            }
        }
        throw failure("the document ends inside a string")
    }

    private mutating func escape(into content: inout [UInt8]) throws(FormatError) {
        guard let byte = peek else { throw failure("the document ends inside a string") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
        case UInt8(ascii: "b"): content.append(8)
        case UInt8(ascii: "f"): content.append(12)
        case UInt8(ascii: "n"): content.append(10)
        case UInt8(ascii: "r"): content.append(13)
        case UInt8(ascii: "t"): content.append(9)
        case UInt8(ascii: "u"):
            var code = UInt32(try fourHexDigits())
            if code >= 0xD800, code < 0xDC00, take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) {
                let low = UInt32(try fourHexDigits())
                guard low >= 0xDC00, low < 0xE000 else { throw failure("a surrogate stands alone in a string") }
                code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw failure("a surrogate stands alone in a string") }
            content.append(contentsOf: Array(String(scalar).utf8))
        default: throw failure("a backslash stands before a character that has no escape")
        }
    }

    private mutating func fourHexDigits() throws(FormatError) -> UInt16 {
        guard position + 4 <= bytes.count else { throw failure("the document ends inside a string") }
        var value: UInt16 = 0
        for byte in bytes[position..<position + 4] {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw failure("four hexadecimal digits must follow \\u")
            }
            value = value << 4 | UInt16(digit)
        }
        position += 4
        return value
    }

    // MARK: bytes

    private var peek: UInt8? { position < bytes.count ? bytes[position] : nil }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard peek == byte else { return false }
        position += 1
        return true
    }

    private mutating func skipSpace() {
        while position < bytes.count {
            let byte = bytes[position]
            guard byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 else { return }
            position += 1
        }
    }

    private func failure(_ what: String) -> FormatError {
        let before = bytes[..<min(position, bytes.count)]
        let line = before.count(where: { $0 == 0x0A }) + 1
        let column = before.count - (before.lastIndex(of: 0x0A).map { $0 + 1 } ?? 0) + 1
        return .malformed("\(file) is not valid JSON at line \(line), column \(column): \(what); fetch the file again or correct it")
    }
}
