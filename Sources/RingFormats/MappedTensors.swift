// The entrances of safetensors files that deal in addresses: for the packages above that own memory by pointer.

extension MappedFile {
    /// A copy of the bytes in `range`; an error if the file is shorter.
    func copyBytes(in range: Range<Int>) throws(FormatError) -> [UInt8] {
        let span = try bytes(in: range)
        return unsafe span.withUnsafeBytes { unsafe [UInt8]($0) }
    }

    /// Copies the bytes in `range` to `destination`, which has exactly that many.
    func copy(_ range: Range<Int>, into destination: inout MutableRawSpan) throws(FormatError) {
        let span = try bytes(in: range)
        precondition(destination.byteCount == span.byteCount, "source and destination differ in length")
        unsafe span.withUnsafeBytes { source in
            unsafe destination.withUnsafeMutableBytes { unsafe $0.copyMemory(from: source) }
        }
    }
}

extension SafetensorsFile {
    /// The bytes of a tensor of this file; their address may be unaligned.
    @_lifetime(borrow self)
    public func bytes(of tensor: TensorInfo) throws(FormatError) -> RawSpan {
        let span = try mapped.bytes(in: tensor.byteRange)
        return unsafe _overrideLifetime(span, borrowing: self)  // the file lives as long as self
    }

    /// Copies elements of an F32, F16 or BF16 tensor, counted in row-major order, widened exactly to f32.
    /// `destination` has as many elements as are asked for.
    public func copyFloats(
        of tensor: TensorInfo, elements: Range<Int>, into destination: UnsafeMutableBufferPointer<Float>
    ) throws(FormatError) {
        let range = try floatBytes(of: tensor, elements)
        unsafe FloatConversion.widen(try mapped.bytes(in: range), as: tensor.type, into: destination)
    }

    /// Hands out the address of a tensor of this file, perhaps unaligned. The pointer must not outlive `body`.
    public func withUnsafeBytes<Result, Failure: Error>(
        of tensor: TensorInfo, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try unsafe mapped.withUnsafeBytes(in: tensor.byteRange, body)
    }
}

extension CheckpointTensor {
    /// Copies elements, counted in row-major order, widened exactly to f32. `destination` has as many elements as are asked for.
    public func copyFloats(elements: Range<Int>, into destination: UnsafeMutableBufferPointer<Float>) throws(FormatError) {
        try unsafe file.copyFloats(of: info, elements: elements, into: destination)
    }
}
