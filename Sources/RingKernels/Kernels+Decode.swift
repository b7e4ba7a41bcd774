// Attention of one token: the query heads of a KV group as rows, every key visible, blocks read as fast as memory gives them.
import CRingKernels

extension Kernels {
    /// Accumulates the query heads that share KV head `kvHead` against all tokens of `keys` into `state`.
    ///
    /// - queries: [heads of the group, headDim], f32; rounded to bf16 inside when the blocks are bf16.
    /// - scale: > 0, usually 1 / sqrt(headDim); applied to the f32 score.
    ///
    /// What `attend` without a mask gives, up to rounding. Blocks are read once for every 16 rows.
    public func decode(
        queries: FloatRows, keys: KVBlocks, kvHead: Int, scale: Float, into state: AttentionState, scratch: AttentionScratch
    ) {
        let layout = keys.layout
        precondition(queries.columns == layout.headDim, "queries of \(queries.columns) dimensions for head_dim \(layout.headDim)")
        precondition(state.rows == queries.rows && state.accumulator.columns == layout.valueDim, "state of another shape")
        precondition(scale > 0 && scale.isFinite, "scale \(scale)")
        precondition(layout.byteCount(forTokens: keys.tokens) <= keys.region.byteCount && keys.tokens >= 0, "tokens past the blocks")
        for row in stride(from: 0, to: queries.rows, by: KernelLimits.decodeRows) {
            let rows = row..<min(row + KernelLimits.decodeRows, queries.rows)
            let (own, part) = (queries.rows(rows), state.rows(rows))
            var call = unsafe ring_attention_call(
                q: own.base, q_stride: Int64(own.stride), rows: Int64(own.rows), q_first: 0,
                kv: keys.region.base.assumingMemoryBound(to: UInt8.self), block_stride: Int64(layout.blockByteCount),
                k_offset: Int64(layout.keyOffset(head: kvHead)), v_offset: Int64(layout.valueOffset(head: kvHead)),
                keys: Int64(keys.tokens), k_first: 0, head_dim: Int32(layout.headDim), value_dim: Int32(layout.valueDim),
                element: layout.element.code, causal: 0, spans: nil, scale: scale, acc: part.accumulator.base,
                acc_stride: Int64(part.accumulator.stride), row_max: part.rowMax.base, row_sum: part.rowSum.base,
                scratch: scratch.region.base)
            unsafe table.pointee.decode(&call)
        }
    }

    /// Reads every byte of `bytes` in order with vector loads and does nothing with them but a sum, so that none is left
    /// out: what memory gives at most, for benchmarks.
    public func read(_ bytes: ByteRegion) -> UInt64 { unsafe ring_read_bytes(bytes.base, Int64(bytes.byteCount)) }
}
