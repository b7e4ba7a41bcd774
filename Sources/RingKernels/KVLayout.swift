// How keys and values lie in memory and on the wire: one layout for every instruction set, so that a block packed once
// at its owner is sent as it is and read by every rank. The picture is in ring_kernels.h.
import CRingKernels

/// Storage type of keys and values.
public enum ElementType: String, CaseIterable, Hashable, Sendable {
    /// IEEE binary32.
    case f32
    /// bfloat16: the upper half of binary32.
    case bf16
    /// A byte, and for each token's row of a head what one means: the row's largest magnitude / 127. Of blocks only.
    case int8

    /// Bytes of one element.
    public var byteCount: Int {
        switch self {
        case .f32: 4
        case .bf16: 2
        case .int8: 1
        }
    }

    /// Bytes that a token's row of a head takes beside its elements.
    public var scaleByteCount: Int { self == .int8 ? 4 : 0 }

    var code: ring_element {
        switch self {
        case .f32: .RING_ELEMENT_F32
        case .bf16: .RING_ELEMENT_BF16
        case .int8: .RING_ELEMENT_INT8
        }
    }
}

/// Shape of the KV blocks of one layer: 64 tokens of all KV heads, for each head a K page, then a V page.
public struct KVLayout: Hashable, Sendable {
    /// Key-value heads in a block.
    public let kvHeads: Int
    /// Dimensions of a key.
    public let headDim: Int
    /// Dimensions of a value; may differ from `headDim`.
    public let valueDim: Int
    /// Storage type of both.
    public let element: ElementType

    /// Throws when a dimension is no multiple of 8 from 8 to 256 or there is no head.
    public init(kvHeads: Int, headDim: Int, valueDim: Int, element: ElementType) throws(KernelError) {
        guard kvHeads >= 1, kvHeads <= 1 << 16 else { throw .invalidCount(what: "kv_heads", value: kvHeads) }
        try Self.check(headDim, what: "head_dim")
        try Self.check(valueDim, what: "v_dim")
        self.kvHeads = kvHeads
        self.headDim = headDim
        self.valueDim = valueDim
        self.element = element
    }

    /// Tokens of a block.
    public static var blockTokens: Int { KernelLimits.blockTokens }

    /// Bytes of one block, a multiple of 64.
    public var blockByteCount: Int { kvHeads * headByteCount }

    /// Bytes of one token's share of a block: what a token costs on the wire when blocks are full.
    public var tokenByteCount: Int { blockByteCount / Self.blockTokens }

    /// Blocks that `tokens` tokens fill, the last one perhaps in part.
    public static func blocks(forTokens tokens: Int) -> Int { (tokens + blockTokens - 1) / blockTokens }

    /// Bytes of the blocks that `tokens` tokens fill.
    public func byteCount(forTokens tokens: Int) -> Int { Self.blocks(forTokens: tokens) * blockByteCount }

    /// Bytes from a block's start to the K page of KV head `head`.
    public func keyOffset(head: Int) -> Int {
        precondition(head >= 0 && head < kvHeads, "KV head \(head) of \(kvHeads)")
        return head * headByteCount
    }

    /// Bytes from a block's start to the V page of KV head `head`.
    public func valueOffset(head: Int) -> Int { keyOffset(head: head) + pageByteCount(headDim) }

    private var headByteCount: Int { pageByteCount(headDim) + pageByteCount(valueDim) }

    private func pageByteCount(_ dimension: Int) -> Int { Self.blockTokens * (dimension * element.byteCount + element.scaleByteCount) }

    private static func check(_ dimension: Int, what: String) throws(KernelError) {
        guard dimension >= KernelLimits.dimensionMin, dimension <= KernelLimits.dimensionMax, dimension % KernelLimits.dimensionStep == 0
        else {
            throw .unsupportedDimension(what: what, value: dimension)
        }
    }
}
