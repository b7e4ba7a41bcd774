// What HeadStates is to a running state, this is to bins: those of a rank's tokens for all heads.
import RingKernels

/// Bins of [tokens, heads]: integers [tokens, heads * 2 * valueDim], and what is told of each row, [heads, tokens].
public struct HeadBins: Sendable {
    /// Tokens (rows).
    public let tokens: Int
    /// Query heads.
    public let heads: Int
    /// Values of one head's row.
    public let valueDim: Int
    private let bins: ByteRegion
    private let sums: ByteRegion

    /// Fresh bins; call `reset` before use.
    public init(tokens: Int, heads: Int, valueDim: Int) throws(KernelError) {
        self.tokens = tokens
        self.heads = heads
        self.valueDim = valueDim
        bins = try .allocate(byteCount: tokens * heads * AttentionBins.binByteCount(valueDim: valueDim))
        sums = try .allocate(byteCount: heads * tokens * AttentionBins.sumByteCount)
    }

    /// Bytes of bins of this shape: 16 for each value and 32 for each row, where a running state has 4 and 8.
    public static func byteCount(tokens: Int, heads: Int, valueDim: Int) -> Int {
        tokens * heads * (AttentionBins.binByteCount(valueDim: valueDim) + AttentionBins.sumByteCount)
    }

    /// Forgets what has come.
    public func reset() {
        for head in 0..<heads { slice(head: head, rows: 0..<tokens).reset() }
    }

    /// One head's bins of some tokens.
    public func slice(head: Int, rows: Range<Int>) -> AttentionBins {
        let row = AttentionBins.binByteCount(valueDim: valueDim)
        let first = (head * tokens + rows.lowerBound) * AttentionBins.sumByteCount
        // An empty slice may begin where the bins end.
        let start = rows.isEmpty ? 0 : (rows.lowerBound * heads + head) * row
        return AttentionBins(
            bins: bins[start..<bins.byteCount], rowBytes: heads * row, sums: sums[first..<first + rows.count * AttentionBins.sumByteCount],
            rows: rows.count, valueDim: valueDim)
    }

    /// Normalises some tokens, as `HeadStates.finish` does.
    public func finish(rows: Range<Int>, out: FloatRows, lse: FloatRows) -> (row: Int, head: Int)? {
        var bad: (row: Int, head: Int)?
        for head in 0..<heads {
            let partial = AttentionPartial(
                out: out.columns(head * valueDim..<(head + 1) * valueDim), logSumExp: lse.rows(head..<head + 1).columns(0..<rows.count))
            if let row = slice(head: head, rows: rows).finish(into: partial), row < bad?.row ?? Int.max { bad = (row, head) }
        }
        return bad
    }
}
