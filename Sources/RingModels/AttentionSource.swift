// Where the rows of a bare attention problem come from: a safetensors file, or standard normals of a seed. Workers read
// their shards through it and the verifier reads single rows, so both see the same numbers.
import RingFormats
import RingKernels

/// Q, K and V of an attention problem.
public struct AttentionSource: Sendable {
    /// One of the three inputs.
    public enum Tensor: Int, CaseIterable, Sendable {
        /// `q` [tokens, heads, headDim].
        case query
        /// `k` [tokens, kvHeads, headDim].
        case key
        /// `v` [tokens, kvHeads, valueDim].
        case value

        /// Its name in a file.
        public var name: String { ["q", "k", "v"][rawValue] }
    }

    /// Sizes of the problem.
    public struct Shape: Hashable, Sendable {
        /// Tokens, heads, KV heads and dimensions.
        public var tokens: Int, heads: Int, kvHeads: Int, headDim: Int, valueDim: Int
        /// How the inputs are given; bf16 inputs are bf16 values widened.
        public var element: ElementType

        /// A shape of its parts.
        public init(tokens: Int, heads: Int, kvHeads: Int, headDim: Int, valueDim: Int, element: ElementType) {
            self.tokens = tokens
            self.heads = heads
            self.kvHeads = kvHeads
            self.headDim = headDim
            self.valueDim = valueDim
            self.element = element
        }

        /// Values in one token's row of a tensor.
        public func width(of tensor: Tensor) -> Int {
            switch tensor {
            case .query: heads * headDim
            case .key: kvHeads * headDim
            case .value: kvHeads * valueDim
            }
        }
    }

    private enum Origin: Sendable {
        case file(SafetensorsFile)
        case seed(UInt64)
    }

    /// The sizes.
    public let shape: Shape
    private let origin: Origin
    private let kernels: Kernels
    /// As what keys and values are read back, where not as they are given.
    private var kept: ElementType?

    /// Standard normals of `seed`: element i of a tensor depends on the seed, the tensor and i alone.
    public init(seed: UInt64, shape: Shape, kernels: Kernels) {
        self.shape = shape
        self.kernels = kernels
        origin = .seed(seed)
    }

    /// Reads the sizes and types of `q`, `k` and `v` in the file at `path` and checks that they fit each other.
    public init(path: String, kernels: Kernels) throws(FormatError) {
        let file = try SafetensorsFile(path: path)
        let types: [TensorType] = [.f32, .bf16]
        let query = try file.require("q", types: types)
        let key = try file.require("k", types: types)
        let value = try file.require("v", types: types)
        for tensor in [query, key, value] where tensor.shape.count != 3 {
            throw .malformed(
                "\(path): tensor \(tensor.name) has shape \(tensor.shape), expected three dimensions [tokens, heads, head_dim]")
        }
        guard query.type == key.type, key.type == value.type else {
            throw .malformed(
                "\(path): q, k and v are \(query.type.rawValue), \(key.type.rawValue) and \(value.type.rawValue); store all three as F32 or all as BF16"
            )
        }
        guard query.shape[0] == key.shape[0], key.shape[0] == value.shape[0] else {
            throw .malformed(
                "\(path): q, k and v have \(query.shape[0]), \(key.shape[0]) and \(value.shape[0]) tokens; they must have as many")
        }
        guard key.shape[1] == value.shape[1], key.shape[1] > 0, query.shape[1] % key.shape[1] == 0, query.shape[1] > 0 else {
            throw .malformed(
                "\(path): q has \(query.shape[1]) heads, k \(key.shape[1]) and v \(value.shape[1]); k and v need as many heads, and their number must divide q's"
            )
        }
        guard query.shape[2] == key.shape[2] else {
            throw .malformed("\(path): head_dim is \(query.shape[2]) in q and \(key.shape[2]) in k; they must be equal")
        }
        shape = Shape(
            tokens: query.shape[0], heads: query.shape[1], kvHeads: key.shape[1], headDim: query.shape[2], valueDim: value.shape[2],
            element: query.type == .f32 ? .f32 : .bf16)
        origin = .file(file)
        self.kernels = kernels
    }

    /// Fills `rows` [count, width(of: tensor)] with tokens `first ..< first + rows.rows`. Throws, naming tensor and token, when a
    /// value is not finite.
    public func read(_ tensor: Tensor, first: Int, into rows: FloatRows) throws(FormatError) {
        let width = shape.width(of: tensor)
        precondition(rows.columns == width && rows.stride == width, "rows of \(tensor.name) are \(width) values, adjacent")
        switch origin {
        case .seed(let seed):
            kernels.fillNormals(rows, seed: seed, tensor: UInt64(tensor.rawValue), firstElement: UInt64(first * width))
            if shape.element == .bf16 { rows.roundToBF16() }
        case .file(let file):
            let info = try file.require(tensor.name)
            try rows.withMutableSpan { (span) throws(FormatError) in
                try file.copyFloats(of: info, elements: first * width..<(first + rows.rows) * width, into: &span)
            }
        }
        if let bad = rows.firstNonFiniteRow {
            throw .malformed("tensor \(tensor.name) holds NaN or infinity in token \(first + bad); clean the input and try again")
        }
        if let kept, tensor != .query { try round(rows, of: tensor, to: kept) }
    }

    /// The same problem with keys and values as blocks of `element` hold them: what is computed from such blocks, for checks.
    public func kept(as element: ElementType) -> AttentionSource {
        var source = self
        source.kept = element
        return source
    }

    /// Packs rows of keys or values and reads them back.
    private func round(_ rows: FloatRows, of tensor: Tensor, to element: ElementType) throws(FormatError) {
        do throws(KernelError) {
            let layout = try KVLayout(kvHeads: shape.kvHeads, headDim: shape.headDim, valueDim: shape.valueDim, element: element)
            let blocks = try KVBlocks.allocate(layout: layout, capacity: rows.rows, firstPosition: 0)
            let width = tensor == .key ? shape.headDim : shape.valueDim
            for head in 0..<shape.kvHeads {
                let some = rows.columns(head * width..<(head + 1) * width)
                _ = tensor == .key ? blocks.packKeys(some, head: head, at: 0) : blocks.packValues(some, head: head, at: 0)
                if tensor == .key {
                    blocks.unpackKeys(into: some, head: head, from: 0)
                } else {
                    blocks.unpackValues(into: some, head: head, from: 0)
                }
            }
        } catch { throw .unsupported("\(error)") }
    }
}
