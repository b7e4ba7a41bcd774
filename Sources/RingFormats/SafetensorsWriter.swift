// Writing safetensors. The header fixes where everything lies, so the file is created whole, full of zeros; then anybody who can open it,
// other processes included, writes rows in any order. Nothing is rewritten, and what was never written reads as zero.

/// A safetensors file that is being written. Every method may be called from any thread; writers of different ranges need no order.
public final class SafetensorsWriter: Sendable {
    /// Order of the tensors in the file.
    public enum Order: Sendable {
        /// As the caller lists them.
        case given
        /// By name, byte by byte.
        case byName
    }

    /// The path given at opening.
    public let path: String
    /// The tensors in the order of their data, with their places in the file.
    public let tensors: [TensorInfo]
    private let output: MappedOutput
    private let positions: [ExactKey: Int]

    /// Creates or replaces `path` with a file of its final size whose tensors are all zero.
    /// Libraries for PyTorch expect the metadata `format: pt`.
    public init(
        creating path: String, tensors: [TensorSpec], metadata: [String: String] = ["format": "pt"], order: Order = .given
    ) throws(FormatError) {
        let specs = order == .given ? tensors : tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        let (header, data) = try Self.layOut(specs, metadata, path)
        self.path = path
        self.tensors = try SafetensorsHeader(parsing: Array(header[8...]), path: path, data: data).tensors
        output = try MappedOutput(creating: path, byteCount: data.upperBound)
        positions = Self.index(self.tensors)
        try output.write(header, at: 0)
    }

    /// Opens a file that `init(creating:)` made, perhaps in another process, to write rows of it.
    public init(opening path: String) throws(FormatError) {
        let header = try SafetensorsFile(path: path)
        self.path = path
        tensors = header.tensors
        output = try MappedOutput(opening: path)
        positions = Self.index(tensors)
    }

    /// The tensor of that name, if there is one.
    public func tensor(_ name: String) -> TensorInfo? { positions[ExactKey(name)].map { tensors[$0] } }

    /// Writes values into an F32, F16 or BF16 tensor from a flat row-major element index on, rounded to its type.
    public func write(_ values: Span<Float>, to name: String, atElement index: Int) throws(FormatError) {
        let (info, range) = try place(name, index, values.count)
        guard info.type.isFloatCopyable else {
            throw .invalid("tensor \(quoted(name)) in \(path) has the type \(info.type.rawValue) and cannot be written from floats")
        }
        // A slice at a time, so that a large tensor needs no second copy of itself.
        let width = info.type.bitWidth / 8
        let slice = 1 << 18
        var scratch = [UInt8](repeating: 0, count: min(values.count, slice) * width)
        var done = 0
        while done < values.count {
            let count = min(slice, values.count - done)
            if count * width < scratch.count { scratch.removeLast(scratch.count - count * width) }
            FloatConversion.narrow(values.extracting(done..<done + count), as: info.type, into: &scratch)
            try output.write(scratch, at: range.lowerBound + done * width)
            done += count
        }
    }

    /// Writes values into an F32, F16 or BF16 tensor from a flat row-major element index on, rounded to its type.
    public func write(_ values: [Float], to name: String, atElement index: Int = 0) throws(FormatError) {
        try write(values.span, to: name, atElement: index)
    }

    /// Writes whole elements as they are, from a flat row-major element index on; for tensors of any byte-sized type.
    public func writeBytes(_ bytes: RawSpan, to name: String, atElement index: Int) throws(FormatError) {
        let width = max(1, (tensor(name)?.type.bitWidth ?? 8) / 8)
        guard bytes.byteCount % width == 0 else {
            throw .invalid("\(bytes.byteCount) bytes are no whole number of elements of tensor \(quoted(name)) in \(path)")
        }
        let (_, range) = try place(name, index, bytes.byteCount / width)
        try output.write(bytes, at: range.lowerBound)
    }

    /// Writes whole elements as they are, from a flat row-major element index on.
    public func writeBytes(_ bytes: [UInt8], to name: String, atElement index: Int = 0) throws(FormatError) {
        try bytes.withRawSpan { (span) throws(FormatError) in try writeBytes(span, to: name, atElement: index) }
    }

    /// Waits until everything written so far is on the device.
    public func finish() throws(FormatError) { try output.synchronize() }

    private func place(_ name: String, _ index: Int, _ count: Int) throws(FormatError) -> (TensorInfo, Range<Int>) {
        guard let info = tensor(name) else { throw .invalid("\(path) has no tensor \(quoted(name)) to write to") }
        guard index >= 0, count <= info.elementCount - index else {
            throw .invalid(
                "\(count) elements from \(index) on do not fit into tensor \(quoted(name)) in \(path), which has \(info.elementCount)")
        }
        return (info, try info.bytes(ofElements: index..<index + count, in: path))
    }

    private static func index(_ tensors: [TensorInfo]) -> [ExactKey: Int] {
        var positions: [ExactKey: Int] = [:]
        for (index, tensor) in tensors.enumerated() { positions[ExactKey(tensor.name)] = index }
        return positions
    }

    /// The complete header, its length included and padded with spaces to a multiple of 8, and where the data lie in the file.
    private static func layOut(
        _ specs: [TensorSpec], _ metadata: [String: String], _ path: String
    ) throws(FormatError) -> (header: [UInt8], data: Range<Int>) {
        var object = JSONObject()
        if !metadata.isEmpty {
            var members = JSONObject()
            for (key, value) in metadata.sorted(by: { $0.key < $1.key }) { members.append(key, .string(value)) }
            object.append("__metadata__", .object(members))
        }
        var offset = 0
        for spec in specs {
            guard let bits = checkedBitCount(spec.type, spec.shape), bits % 8 == 0, bits / 8 <= Int.max / 2 - offset else {
                throw .invalid("tensor \(quoted(spec.name)) of shape \(spec.shape) cannot be written to \(path): its size is impossible")
            }
            let shape = JSONValue.array(spec.shape.map { .integer(Int64($0)) })
            let end = offset + bits / 8
            let offsets = JSONValue.array([.integer(Int64(offset)), .integer(Int64(end))])
            guard object.insert(spec.name, ["dtype": .string(spec.type.rawValue), "shape": shape, "data_offsets": offsets]) else {
                throw .invalid("two tensors named \(quoted(spec.name)) cannot be written to \(path)")
            }
            offset = end
        }
        var json = Array(JSONValue.object(object).text().utf8)
        json.append(contentsOf: repeatElement(0x20, count: (8 - json.count % 8) % 8))
        guard json.count <= Limits.safetensorsHeaderBytes else {
            throw .tooLarge("the header of \(path) would have \(json.count) bytes, more than safetensors allows: write fewer tensors")
        }
        let length = (0..<8).map { UInt8(truncatingIfNeeded: json.count >> (8 * $0)) }
        return (length + json, 8 + json.count..<8 + json.count + offset)
    }
}
