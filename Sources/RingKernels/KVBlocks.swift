// KV blocks of one run of tokens: what attention reads, packing writes and the ring sends.
import CRingKernels

/// A run of tokens in KV blocks that lie one after another, the first token at the first block's start.
public struct KVBlocks: Sendable {
    /// Shape of each block.
    public let layout: KVLayout
    /// The blocks; may hold room for more tokens than there are.
    public let region: ByteRegion
    /// Tokens in the blocks; the last block may be partial.
    public var tokens: Int
    /// Position of the first token in the whole context.
    public var firstPosition: Int

    /// A view of blocks in `region`, which must hold `tokens` tokens.
    public init(layout: KVLayout, region: ByteRegion, tokens: Int, firstPosition: Int) {
        precondition(
            tokens >= 0 && layout.byteCount(forTokens: tokens) <= region.byteCount, "\(tokens) tokens in \(region.byteCount) bytes")
        self.layout = layout
        self.region = region
        self.tokens = tokens
        self.firstPosition = firstPosition
    }

    /// Fresh blocks with room for `capacity` tokens and none in them.
    public static func allocate(layout: KVLayout, capacity: Int, firstPosition: Int) throws(KernelError) -> KVBlocks {
        let region = try ByteRegion.allocate(byteCount: layout.byteCount(forTokens: capacity))
        return KVBlocks(layout: layout, region: region, tokens: 0, firstPosition: firstPosition)
    }

    /// Tokens that the region has room for.
    public var capacity: Int { region.byteCount / layout.blockByteCount * KVLayout.blockTokens }

    /// The bytes of the blocks that hold tokens: what goes over the wire.
    public var bytes: ByteRegion { region[0..<layout.byteCount(forTokens: tokens)] }

    /// Writes the keys of one KV head for tokens from `token` on: `keys` [tokens, headDim]. Rounds to nearest even for
    /// bf16 and int8. Tokens are written in order: a block entered at its first token is cleared first. Does not change `tokens`.
    /// Returns the index of the first row that is not finite (after rounding), or nil.
    public func packKeys(_ keys: FloatRows, head: Int, at token: Int) -> Int? {
        precondition(keys.columns == layout.headDim, "keys of \(keys.columns) dimensions for head_dim \(layout.headDim)")
        var call = unsafe packCall(keys, head: head, at: token, values: false)
        return unsafe optional(ring_pack_keys(&call))
    }

    /// The same for values: `values` [tokens, valueDim].
    public func packValues(_ values: FloatRows, head: Int, at token: Int) -> Int? {
        precondition(values.columns == layout.valueDim, "values of \(values.columns) dimensions for v_dim \(layout.valueDim)")
        var call = unsafe packCall(values, head: head, at: token, values: true)
        return unsafe optional(ring_pack_values(&call))
    }

    /// Keys from stored rows, for example of a mapped file: `tokens` rows that start `rowStride` elements apart, the
    /// first at the span's beginning. bf16 into bf16 blocks is exact.
    public func packKeys(stored: RawSpan, element: ElementType, rowStride: Int, tokens: Int, head: Int, at token: Int) -> Int? {
        pack(stored: stored, element: element, rowStride: rowStride, tokens: tokens, head: head, at: token, values: false)
    }

    /// Values from stored rows; see `packKeys(stored:)`.
    public func packValues(stored: RawSpan, element: ElementType, rowStride: Int, tokens: Int, head: Int, at token: Int) -> Int? {
        pack(stored: stored, element: element, rowStride: rowStride, tokens: tokens, head: head, at: token, values: true)
    }

    /// Reads keys back, for tests and tools: fills `rows` [n, headDim] from tokens `token ..< token + n`.
    public func unpackKeys(into rows: FloatRows, head: Int, from token: Int) {
        precondition(rows.columns == layout.headDim)
        var call = unsafe packCall(rows, head: head, at: token, values: false)
        unsafe ring_unpack_keys(&call, rows.base, Int64(rows.stride))
    }

    /// Reads values back: fills `rows` [n, valueDim] from tokens `token ..< token + n`.
    public func unpackValues(into rows: FloatRows, head: Int, from token: Int) {
        precondition(rows.columns == layout.valueDim)
        var call = unsafe packCall(rows, head: head, at: token, values: true)
        unsafe ring_unpack_values(&call, rows.base, Int64(rows.stride))
    }

    private func pack(
        stored: RawSpan, element: ElementType, rowStride: Int, tokens: Int, head: Int, at token: Int, values: Bool,
    ) -> Int? {
        let dim = values ? layout.valueDim : layout.headDim
        let elements = tokens == 0 ? 0 : (tokens - 1) * rowStride + dim
        precondition(element != .int8, "rows are not stored as int8")
        precondition(rowStride >= dim && elements * element.byteCount <= stored.byteCount, "stored rows past the end")
        return unsafe stored.withUnsafeBytes { source -> Int? in
            guard let start = source.baseAddress, tokens > 0 else { return nil }
            precondition(Int(bitPattern: start) % element.byteCount == 0, "stored rows at an odd address")
            var call = unsafe packCall(start, element.code, rowStride, tokens, head: head, at: token, values: values)
            return unsafe optional(values ? ring_pack_values(&call) : ring_pack_keys(&call))
        }
    }

    private func packCall(_ rows: FloatRows, head: Int, at token: Int, values: Bool) -> ring_pack_call {
        unsafe packCall(rows.base, .RING_ELEMENT_F32, rows.stride, rows.rows, head: head, at: token, values: values)
    }

    private func packCall(
        _ source: UnsafeRawPointer, _ element: ring_element, _ stride: Int, _ tokens: Int, head: Int, at token: Int, values: Bool,
    ) -> ring_pack_call {
        precondition(token >= 0 && token + tokens <= capacity, "tokens \(token) + \(tokens) in room for \(capacity)")
        return unsafe ring_pack_call(
            source: source, source_stride: Int64(stride), source_element: element, tokens: Int64(tokens),
            dim: Int32(values ? layout.valueDim : layout.headDim), kv: region.base.assumingMemoryBound(to: UInt8.self),
            block_stride: Int64(layout.blockByteCount),
            page_offset: Int64(values ? layout.valueOffset(head: head) : layout.keyOffset(head: head)),
            first_token: Int64(token), element: layout.element.code)
    }

    private func optional(_ index: Int64) -> Int? { index < 0 ? nil : Int(index) }
}
