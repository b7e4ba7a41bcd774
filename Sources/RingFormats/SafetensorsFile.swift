// A safetensors file for reading: the header checked as a whole when it is opened, the data mapped and touched only where asked.

/// A safetensors file, mapped read-only.
public final class SafetensorsFile: Sendable {
    /// The path given at opening.
    public let path: String
    /// The tensors in the order of their data.
    public let tensors: [TensorInfo]
    /// The `__metadata__` of the header.
    public let metadata: [String: String]
    private let file: MappedFile
    private let positions: [ExactKey: Int]

    /// Opens a file and checks its header completely; the data are not read.
    public init(path: String) throws(FormatError) {
        let file = try MappedFile(path: path)
        let header = try SafetensorsHeader(path: path, fileByteCount: file.byteCount) { (range) throws(FormatError) in
            try file.copyBytes(in: range)
        }
        self.path = path
        self.file = file
        tensors = header.tensors
        metadata = header.metadata
        positions = header.positions
    }

    /// The tensor of that name, if there is one.
    public func tensor(_ name: String) -> TensorInfo? { positions[ExactKey(name)].map { tensors[$0] } }

    /// The tensor of that name, with the shape and one of the types that the caller needs; the error names what was found instead.
    public func require(_ name: String, shape: [Int]? = nil, types: [TensorType]? = nil) throws(FormatError) -> TensorInfo {
        guard let info = tensor(name) else {
            throw .malformed("\(path) has no tensor \(quoted(name)): check that the file belongs to this model")
        }
        if let shape, shape != info.shape {
            throw .malformed(
                "tensor \(quoted(name)) in \(path) has the shape \(info.shape) but \(shape) is needed: check that it belongs to this model"
            )
        }
        if let types, !types.contains(info.type) {
            let wanted = types.map(\.rawValue).joined(separator: ", ")
            throw .unsupported(
                "tensor \(quoted(name)) in \(path) has the type \(info.type.rawValue) but one of \(wanted) is needed: convert the file")
        }
        return info
    }

    /// Copies elements of an F32, F16 or BF16 tensor, counted in row-major order, widened exactly to f32.
    /// `destination` has as many elements as are asked for.
    public func copyFloats(
        of tensor: TensorInfo, elements: Range<Int>, into destination: inout MutableSpan<Float>
    ) throws(FormatError) {
        let file = file
        let source = try file.bytes(in: try floatBytes(of: tensor, elements))
        FloatConversion.widen(source, as: tensor.type, into: &destination)
    }

    /// Copies elements of a tensor of any byte-sized type as they are in the file. `destination` has exactly their bytes.
    public func copyBytes(
        of tensor: TensorInfo, elements: Range<Int>, into destination: inout MutableRawSpan
    ) throws(FormatError) {
        try file.copy(tensor.bytes(ofElements: elements, in: path), into: &destination)
    }

    /// All elements of an F32, F16 or BF16 tensor, widened exactly to f32.
    public func floats(of tensor: TensorInfo) throws(FormatError) -> [Float] {
        let elements = 0..<tensor.elementCount
        _ = try floatBytes(of: tensor, elements)
        var values = [Float](repeating: 0, count: elements.count)
        var span = values.mutableSpan
        try copyFloats(of: tensor, elements: elements, into: &span)
        return values
    }

    /// Tells the kernel that a tensor will be read soon.
    public func prefetch(_ tensor: TensorInfo) { file.prefetch(tensor.byteRange) }

    /// Tells the kernel that the pages of a tensor are not needed any more; reading them again is legal.
    public func release(_ tensor: TensorInfo) { file.release(tensor.byteRange) }

    func floatBytes(of tensor: TensorInfo, _ elements: Range<Int>) throws(FormatError) -> Range<Int> {
        guard tensor.type.isFloatCopyable else {
            throw .unsupported(
                "tensor \(quoted(tensor.name)) in \(path) is \(tensor.type.rawValue) but F32, F16 or BF16 is needed: convert the file"
            )
        }
        return try tensor.bytes(ofElements: elements, in: path)
    }

    /// The mapping, for the pointer entrances in MappedTensors.swift.
    var mapped: MappedFile { file }
}
