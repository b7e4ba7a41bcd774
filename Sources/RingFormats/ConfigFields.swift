// Reading typed members out of a configuration object, so that every wrong value gives the same kind of sentence: file, key, what was
// found, what is needed.

struct ConfigFields {
    let object: JSONObject
    let file: String
    /// Key of the object itself inside the file, for error sentences: "" or "rope_scaling.".
    var prefix = ""

    init(_ json: JSONValue, file: String, prefix: String = "") throws(FormatError) {
        guard case .object(let object) = json else {
            let what = prefix.isEmpty ? file : "\(quoted(String(prefix.dropLast()))) in \(file)"
            throw .malformed("\(what) is \(json.kindName) instead of an object: correct the file")
        }
        self.object = object
        self.file = file
        self.prefix = prefix
    }

    /// The value of a key; `null` counts as absent, as it does in the library that writes these files.
    subscript(key: String) -> JSONValue? {
        switch object[key] {
        case nil, .null?: nil
        case let value?: value
        }
    }

    func contains(_ key: String) -> Bool { self[key] != nil }

    func wrong(_ key: String, _ found: JSONValue?, _ wanted: String) -> FormatError {
        guard let found else { return .malformed("\(file) has no \(quoted(prefix + key)): it needs \(wanted)") }
        var shown = found.kindName
        switch found {
        case .integer, .real, .bool: shown = found.text()
        case .string(let text): shown = quoted(text)
        default: break
        }
        return .malformed("\(quoted(prefix + key)) in \(file) is \(shown) but must be \(wanted): correct the file")
    }

    /// A whole number in `range`; `fallback` if the key is absent, an error if there is no fallback.
    func integer(_ key: String, in range: ClosedRange<Int>, default fallback: Int? = nil) throws(FormatError) -> Int {
        if let fallback, !contains(key) { return fallback }
        guard let value = self[key]?.intValue, range.contains(value) else {
            throw wrong(key, self[key], "a whole number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// A finite number in `range`; `fallback` if the key is absent, an error if there is no fallback.
    func number(_ key: String, in range: ClosedRange<Double>, default fallback: Double? = nil) throws(FormatError) -> Double {
        if let fallback, !contains(key) { return fallback }
        guard let value = self[key]?.doubleValue, range.contains(value) else {
            throw wrong(key, self[key], "a number from \(range.lowerBound) to \(range.upperBound)")
        }
        return value
    }

    /// The same, nil if the key is absent.
    func optionalNumber(_ key: String, in range: ClosedRange<Double>) throws(FormatError) -> Double? {
        contains(key) ? try number(key, in: range) : nil
    }

    func flag(_ key: String, default fallback: Bool) throws(FormatError) -> Bool {
        guard let value = self[key] else { return fallback }
        guard let flag = value.boolValue else { throw wrong(key, value, "true or false") }
        return flag
    }

    func string(_ key: String) throws(FormatError) -> String? {
        guard let value = self[key] else { return nil }
        guard let text = value.stringValue else { throw wrong(key, value, "a string") }
        return text
    }

    /// One token id, a list of them, or nothing. A negative id is an old way to write "none".
    func tokens(_ key: String) throws(FormatError) -> [UInt32] {
        guard let value = self[key] else { return [] }
        var tokens: [UInt32] = []
        for element in value.arrayValue ?? [value] {
            guard let id = element.intValue, id < Limits.vocabulary else { throw wrong(key, element, "a token id or a list of them") }
            if let token = UInt32(exactly: id), !tokens.contains(token) { tokens.append(token) }
        }
        return tokens
    }
}
