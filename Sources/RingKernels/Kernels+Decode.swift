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
        precondition(state.rows == queries.rows, "state of another shape")
        for row in stride(from: 0, to: queries.rows, by: KernelLimits.decodeRows) {
            let rows = row..<min(row + KernelLimits.decodeRows, queries.rows)
            var call = unsafe call(
                queries.rows(rows), keys, kvHead: kvHead, scale: scale, into: state.rows(rows), scratch: scratch)
            unsafe table.pointee.decode(&call)
        }
    }

    /// Reads every byte of `bytes` in order with vector loads and does nothing with them but a sum, so that none is left
    /// out: what memory gives at most, for benchmarks.
    public func read(_ bytes: ByteRegion) -> UInt64 { unsafe ring_read_bytes(bytes.base, Int64(bytes.byteCount)) }
}
