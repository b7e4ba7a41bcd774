// JSON as it is on the wire of the control plane, the clients' end; the coordinator's end is its twin. Neither may import
// the other, and the pure target between them imports no Foundation.

import Foundation

/// Encodes and decodes the messages of RingControl: snake_case keys, one object a line in streams.
public enum ControlJSON {
    /// One line without its newline, keys in order.
    public static func encode(_ value: some Encodable) throws -> Data { try encoder([.sortedKeys]).encode(value) }

    /// For people: an object over several lines, keys in order.
    public static func pretty(_ value: some Encodable) throws -> String {
        String(decoding: try encoder([.prettyPrinted, .sortedKeys]).encode(value), as: UTF8.self)
    }

    private static func encoder(_ formatting: JSONEncoder.OutputFormatting) -> JSONEncoder {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = formatting.union(.withoutEscapingSlashes)
        return encoder
    }

    /// A message of its bytes.
    public static func decode<Value: Decodable>(_ type: Value.Type, from bytes: Data) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: bytes)
    }
}
