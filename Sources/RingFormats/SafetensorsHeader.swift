// The safetensors header: 8 bytes of length (little endian), that many bytes of JSON, then the data that the JSON describes.
// https://github.com/huggingface/safetensors#format. Checks are those of the reference implementation (tensors in the order of their
// offsets must tile the data exactly: no hole, no overlap, nothing left over) plus duplicate names, which it cannot see.

package struct SafetensorsHeader {
    package private(set) var tensors: [TensorInfo] = []  // in the order of their offsets
    package private(set) var metadata: [String: String] = [:]
    private(set) var positions: [ExactKey: Int] = [:]

    /// Decodes the header of a file of `fileByteCount` bytes. `head` returns bytes of the file; it is asked for the 8 bytes of length
    /// first and for the JSON only after the length was found plausible.
    package init(
        path: String, fileByteCount: Int, head: (Range<Int>) throws(FormatError) -> [UInt8]
    ) throws(FormatError) {
        guard fileByteCount >= 8 else {
            throw .malformed("\(path) is too short for a safetensors file (\(fileByteCount) bytes): fetch it again")
        }
        let length = try head(0..<8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        guard length <= UInt64(Limits.safetensorsHeaderBytes) else {
            throw .malformed(
                "\(path) claims a header of \(length) bytes, more than \(Limits.safetensorsHeaderBytes): it is no safetensors file"
            )
        }
        let dataStart = 8 + Int(length)
        guard dataStart <= fileByteCount else {
            throw .malformed("\(path) claims a header of \(length) bytes but has only \(fileByteCount) bytes in all: fetch it again")
        }
        let json = try head(8..<dataStart)
        guard json.first == UInt8(ascii: "{") else {
            throw .malformed("the header of \(path) does not begin with '{': it is damaged or not a safetensors file")
        }
        try self.init(parsing: json, path: path, data: dataStart..<fileByteCount)
    }

    /// Decodes and checks the JSON of a header whose data occupy `data` of the file.
    init(parsing json: [UInt8], path: String, data: Range<Int>) throws(FormatError) {
        guard case .object(let members) = try JSONValue(parsing: json, file: "the header of \(path)") else {
            throw .malformed("the header of \(path) is no JSON object: the file is damaged")
        }
        tensors.reserveCapacity(members.count)
        for (name, value) in members {
            if name.isExactly("__metadata__") {
                metadata = try Self.metadata(value, path)
            } else {
                tensors.append(try Self.tensor(name, value, path, data))
            }
        }
        // Empty tensors share an offset with their neighbour: the one that ends first comes first.
        tensors.sort { ($0.byteRange.lowerBound, $0.byteRange.upperBound) < ($1.byteRange.lowerBound, $1.byteRange.upperBound) }
        try checkTiling(path, data)
        positions.reserveCapacity(tensors.count)
        for (index, tensor) in tensors.enumerated() { positions[ExactKey(tensor.name)] = index }
    }

    private static func metadata(_ value: JSONValue, _ path: String) throws(FormatError) -> [String: String] {
        guard case .object(let members) = value else {
            throw .malformed("__metadata__ in the header of \(path) is \(value.kindName) instead of an object: the file is damaged")
        }
        var metadata: [String: String] = [:]
        for (key, value) in members {
            guard let text = value.stringValue else {
                throw .malformed(
                    "__metadata__ \(quoted(key)) in the header of \(path) is \(value.kindName) instead of a string: the file is damaged")
            }
            metadata[key] = text
        }
        return metadata
    }

    private static func tensor(_ name: String, _ value: JSONValue, _ path: String, _ data: Range<Int>) throws(FormatError) -> TensorInfo {
        func malformed(_ what: String) -> FormatError {
            .malformed("tensor \(quoted(name)) in \(path) \(what): the file is damaged, fetch it again")
        }
        guard case .object(let members) = value else { throw malformed("is described by \(value.kindName) instead of an object") }
        guard let typeName = members["dtype"]?.stringValue else { throw malformed("has no dtype") }
        guard let type = TensorType(rawValue: typeName) else {
            throw .unsupported(
                "tensor \(quoted(name)) in \(path) has the unknown dtype \(quoted(typeName)): convert the file to F32, F16 or BF16")
        }
        guard let dimensions = members["shape"]?.arrayValue else { throw malformed("has no shape") }
        guard dimensions.count <= Limits.tensorDimensions else { throw malformed("has \(dimensions.count) dimensions") }
        var shape: [Int] = []
        for dimension in dimensions {
            guard let size = dimension.intValue, size >= 0 else { throw malformed("has a shape that is no list of sizes") }
            shape.append(size)
        }
        guard let offsets = members["data_offsets"]?.arrayValue, offsets.count == 2,
            let begin = offsets[0].intValue, let end = offsets[1].intValue
        else { throw malformed("has no pair of data_offsets") }
        guard begin >= 0, begin <= end, end <= data.count else {
            throw malformed("has data_offsets \(begin) to \(end) outside the \(data.count) bytes of data")
        }
        guard let bits = checkedBitCount(type, shape) else { throw malformed("has a shape whose size overflows") }
        guard bits % 8 == 0 else { throw malformed("does not fill whole bytes with \(type.rawValue)") }
        guard bits / 8 == end - begin else {
            throw malformed("needs \(bits / 8) bytes for its shape \(shape) of \(type.rawValue) but its data_offsets span \(end - begin)")
        }
        return TensorInfo(name: name, type: type, shape: shape, byteRange: data.lowerBound + begin..<data.lowerBound + end)
    }

    private func checkTiling(_ path: String, _ data: Range<Int>) throws(FormatError) {
        var reached = data.lowerBound
        for tensor in tensors {
            guard tensor.byteRange.lowerBound == reached else {
                let what = tensor.byteRange.lowerBound < reached ? "overlaps the tensor before it" : "leaves a hole before it"
                throw .malformed("tensor \(quoted(tensor.name)) in \(path) \(what) in the data: the file is damaged, fetch it again")
            }
            reached = tensor.byteRange.upperBound
        }
        guard reached == data.upperBound else {
            throw .malformed("\(path) has \(data.upperBound - reached) bytes after its last tensor: the file is damaged, fetch it again")
        }
    }
}
