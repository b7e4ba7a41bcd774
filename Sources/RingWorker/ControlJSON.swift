// JSON as it is on the wire of the control plane, the worker's end; the coordinator's end is its twin. Neither may import
// the other, and the pure target between them imports no Foundation.

import Foundation

/// Encodes and decodes the messages of RingControl.
enum ControlJSON {
    /// One line without its newline.
    static func encode(_ value: some Encodable) throws -> Data {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        return try encoder.encode(value)
    }

    /// A message of its bytes.
    static func decode<Value: Decodable>(_ type: Value.Type, from bytes: Data) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: bytes)
    }
}
