// The members of a JSON object in file order, with a lookup that stays fast for vocabularies of hundreds of thousands of entries.

/// An ordered JSON object. Keys are compared byte by byte.
public struct JSONObject: Hashable, Sendable {
    private var keys: [String] = []
    private var values: [JSONValue] = []
    /// Position by key; only built beyond `scanLimit` members, below it a scan is faster and smaller.
    private var positions: [ExactKey: Int] = [:]
    private static let scanLimit = 12

    /// An object without members.
    public init() {}

    /// The value of `key`, if there is one.
    public subscript(key: String) -> JSONValue? { position(of: key).map { values[$0] } }

    /// Adds a member at the end. A key that is present already is a mistake of the caller.
    public mutating func append(_ key: String, _ value: JSONValue) {
        let isNew = insert(key, value)
        precondition(isNew, "duplicate key \(quoted(key)) in a JSON object")
    }

    /// Adds a member at the end unless the key is present; says whether it did.
    mutating func insert(_ key: String, _ value: JSONValue) -> Bool {
        if keys.count < Self.scanLimit {
            if position(of: key) != nil { return false }
        } else {
            if positions.isEmpty {
                for (index, key) in keys.enumerated() { positions[ExactKey(key)] = index }
            }
            let index = keys.count
            if let earlier = positions.updateValue(index, forKey: ExactKey(key)) {
                positions[ExactKey(key)] = earlier
                return false
            }
        }
        keys.append(key)
        values.append(value)
        return true
    }

    private func position(of key: String) -> Int? {
        if !positions.isEmpty { return positions[ExactKey(key)] }
        return keys.firstIndex { $0.isExactly(key) }
    }

    /// Two objects are equal if they have the same members in the same order.
    public static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.keys.elementsEqual(right.keys) { $0.isExactly($1) } && left.values == right.values
    }

    /// Agrees with `==`.
    public func hash(into hasher: inout Hasher) {
        for key in keys { hasher.combine(ExactKey(key)) }
        hasher.combine(values)
    }
}

extension JSONObject: RandomAccessCollection {
    /// Position of the first member.
    public var startIndex: Int { 0 }
    /// Number of members.
    public var endIndex: Int { keys.count }
    /// The member at a position, in file order.
    public subscript(position: Int) -> (key: String, value: JSONValue) { (keys[position], values[position]) }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
    /// An object; keys must be distinct.
    public init(dictionaryLiteral elements: (String, JSONValue)...) {
        for (key, value) in elements { append(key, value) }
    }
}
