// What a safetensors header says about one tensor, once it has been checked.

/// One tensor of a safetensors file.
public struct TensorInfo: Hashable, Sendable {
    /// The name in the header.
    public let name: String
    /// The element type.
    public let type: TensorType
    /// The dimensions, outermost first; empty for a scalar.
    public let shape: [Int]
    /// Where the elements lie, in bytes from the start of the file.
    public let byteRange: Range<Int>

    /// The product of the dimensions.
    public var elementCount: Int { shape.reduce(1, *) }
    /// Bytes in the file.
    public var byteCount: Int { byteRange.count }

    package init(name: String, type: TensorType, shape: [Int], byteRange: Range<Int>) {
        self.name = name
        self.type = type
        self.shape = shape
        self.byteRange = byteRange
    }

    /// The bytes of some elements, counted in row-major order.
    func bytes(ofElements elements: Range<Int>, in path: String) throws(FormatError) -> Range<Int> {
        guard elements.lowerBound >= 0, elements.upperBound <= elementCount else {
            throw .invalid(
                "elements \(elements.lowerBound) to \(elements.upperBound) of \(quoted(name)) in \(path) are needed, it has \(elementCount)"
            )
        }
        guard type.bitWidth % 8 == 0 else {
            throw .unsupported("tensor \(quoted(name)) in \(path) has the packed type \(type.rawValue), which cannot be copied by element")
        }
        let width = type.bitWidth / 8
        return byteRange.lowerBound + elements.lowerBound * width..<byteRange.lowerBound + elements.upperBound * width
    }
}

/// A tensor that is about to be written.
public struct TensorSpec: Hashable, Sendable {
    /// The name in the header.
    public var name: String
    /// The element type.
    public var type: TensorType
    /// The dimensions, outermost first.
    public var shape: [Int]

    /// A tensor of that name, type and shape.
    public init(_ name: String, _ type: TensorType, _ shape: [Int]) {
        self.name = name
        self.type = type
        self.shape = shape
    }
}

/// Bits of a tensor of that type and shape, or nil if they do not fit in an `Int`.
func checkedBitCount(_ type: TensorType, _ shape: [Int]) -> Int? {
    var count = type.bitWidth
    for dimension in shape {
        guard dimension >= 0 else { return nil }
        let (product, overflow) = count.multipliedReportingOverflow(by: dimension)
        if overflow { return nil }
        count = product
    }
    return count
}
