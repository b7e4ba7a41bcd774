// Attention of query rows against a run of KV blocks.
import CRingKernels

/// Working memory of attention, one per thread.
public struct AttentionScratch: Sendable {
    let region: ByteRegion
    let spans: ByteRegion

    /// Fresh scratch for one thread.
    public init() throws(KernelError) {
        region = try .allocate(byteCount: KernelLimits.attentionScratchBytes)
        spans = try .allocate(byteCount: KernelLimits.spanRows * MemoryLayout<ring_key_span>.stride)
    }
}

extension Kernels {
    /// Accumulates one query head's rows against all tokens of `keys` into `state`.
    ///
    /// - queries: [rows, headDim], f32; rounded to bf16 inside when the blocks are bf16.
    /// - firstPosition: position of row 0 in the whole context; rows are consecutive. Matters only when `causal`.
    /// - kvHead: the KV head that this query head reads.
    /// - causal: a key is visible iff its position is not after the query's. Invisible tiles cost nothing.
    /// - scale: > 0, usually 1 / sqrt(headDim); applied to the f32 score.
    ///
    /// One token has a path of its own, which reads the blocks faster: `decode`.
    public func attend(
        queries: FloatRows, firstPosition: Int, keys: KVBlocks, kvHead: Int, causal: Bool, scale: Float, into state: AttentionState,
        scratch: AttentionScratch,
    ) {
        attend(
            queries: queries, firstPosition: firstPosition, keys: keys, kvHead: kvHead, causal: causal, scale: scale, into: state,
            scratch: scratch, hasSpans: false)
    }

    /// The same, where each row sees one run of the keys: `visible(row)` counts from the first of `keys`, lies within them, and
    /// neither of its ends ever falls from one row to the next. Keys outside cost at most a block at each edge of a row.
    public func attend(
        queries: FloatRows, keys: KVBlocks, kvHead: Int, scale: Float, into state: AttentionState, scratch: AttentionScratch,
        visible: (_ row: Int) -> Range<Int>
    ) {
        precondition(queries.rows <= KernelLimits.spanRows, "\(queries.rows) rows with spans, at most \(KernelLimits.spanRows)")
        let spans = unsafe scratch.spans.base.assumingMemoryBound(to: ring_key_span.self)
        var last = 0..<0
        for row in 0..<queries.rows {
            let keysSeen = visible(row)
            precondition(
                keysSeen.lowerBound >= last.lowerBound && keysSeen.upperBound >= last.upperBound && keysSeen.upperBound <= keys.tokens,
                "row \(row) sees keys \(keysSeen) of \(keys.tokens), the row before it \(last)")
            unsafe spans[row] = ring_key_span(first: Int64(keysSeen.lowerBound), end: Int64(keysSeen.upperBound))
            last = keysSeen
        }
        attend(
            queries: queries, firstPosition: 0, keys: keys, kvHead: kvHead, causal: false, scale: scale, into: state, scratch: scratch,
            hasSpans: true)
    }

    private func attend(
        queries: FloatRows, firstPosition: Int, keys: KVBlocks, kvHead: Int, causal: Bool, scale: Float, into state: AttentionState,
        scratch: AttentionScratch, hasSpans: Bool
    ) {
        var call = unsafe call(queries, keys, kvHead: kvHead, scale: scale, into: state, scratch: scratch)
        unsafe call.q_first = Int64(firstPosition)
        unsafe call.k_first = Int64(keys.firstPosition)
        unsafe call.causal = causal ? 1 : 0
        if hasSpans { unsafe call.spans = UnsafePointer(scratch.spans.base.assumingMemoryBound(to: ring_key_span.self)) }
        unsafe table.pointee.attend(&call)
    }

    /// What one call of the C table reads and writes, every key visible, once the shapes are known to fit.
    func call(
        _ queries: FloatRows, _ keys: KVBlocks, kvHead: Int, scale: Float, into state: AttentionState, scratch: AttentionScratch
    ) -> ring_attention_call {
        let layout = keys.layout
        precondition(queries.columns == layout.headDim, "queries of \(queries.columns) dimensions for head_dim \(layout.headDim)")
        precondition(state.rows == queries.rows && state.accumulator.columns == layout.valueDim, "state of another shape")
        precondition(scale > 0 && scale.isFinite, "scale \(scale)")
        precondition(layout.byteCount(forTokens: keys.tokens) <= keys.region.byteCount && keys.tokens >= 0, "tokens past the blocks")
        return unsafe ring_attention_call(
            q: queries.base, q_stride: Int64(queries.stride), rows: Int64(queries.rows), q_first: 0,
            kv: keys.region.base.assumingMemoryBound(to: UInt8.self), block_stride: Int64(layout.blockByteCount),
            k_offset: Int64(layout.keyOffset(head: kvHead)), v_offset: Int64(layout.valueOffset(head: kvHead)), keys: Int64(keys.tokens),
            k_first: 0, head_dim: Int32(layout.headDim), value_dim: Int32(layout.valueDim), element: layout.element.code, causal: 0,
            spans: nil, alone: rowsStandAlone ? 1 : 0, scale: scale, acc: state.accumulator.base,
            acc_stride: Int64(state.accumulator.stride),
            row_max: state.rowMax.base, row_sum: state.rowSum.base, scratch: scratch.region.base)
    }
}
