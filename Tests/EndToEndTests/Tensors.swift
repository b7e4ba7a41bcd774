// Safetensors as a stranger reads and writes them: eight bytes of length, a JSON header, the data. Independent of our own.

import Foundation

/// F32 tensors of a file.
struct Tensors {
    private let data: Data
    private let header: [String: [String: Any]]
    private let start: Int

    init(path: String) throws {
        data = try Data(contentsOf: URL(filePath: path))
        let length = data.prefix(8).enumerated().reduce(0) { $0 | Int($1.element) << (8 * $1.offset) }
        let object = try JSONSerialization.jsonObject(with: data.subdata(in: 8..<8 + length)) as? [String: Any] ?? [:]
        header = object.compactMapValues { $0 as? [String: Any] }
        start = 8 + length
    }

    func shape(_ name: String) -> [Int] { header[name]?["shape"] as? [Int] ?? [] }

    func row(_ name: String, _ row: Int) -> [Float] {
        let width = shape(name).dropFirst().reduce(1, *)
        let first = start + ((header[name]?["data_offsets"] as? [Int])?.first ?? 0) + 4 * width * row
        return (0..<width).map { place in
            let bits = (0..<4).reduce(UInt32(0)) { $0 | UInt32(data[first + 4 * place + $1]) << (8 * $1) }
            return Float(bitPattern: bits)
        }
    }

    /// Writes F32 tensors.
    static func write(_ tensors: [(name: String, shape: [Int], values: [Float])], to path: String) throws {
        var header: [String: Any] = [:]
        var body = Data()
        for (name, shape, values) in tensors {
            let first = body.count
            for value in values { for shift in [0, 8, 16, 24] { body.append(UInt8(truncatingIfNeeded: value.bitPattern >> shift)) } }
            header[name] = ["dtype": "F32", "shape": shape, "data_offsets": [first, body.count]]
        }
        let text = try JSONSerialization.data(withJSONObject: header)
        var file = Data((0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) })
        file.append(text)
        file.append(body)
        try file.write(to: URL(filePath: path))
    }
}
