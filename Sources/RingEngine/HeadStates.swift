// The running attention state of a rank's tokens for all heads, laid out so that one token's heads are adjacent: the
// output projection then reads a row as it lies.
import RingKernels

/// Unnormalised state of [tokens, heads]: accumulator [tokens, heads * valueDim], maxima and sums [heads, tokens].
public struct HeadStates: Sendable {
    /// Tokens (rows).
    public let tokens: Int
    /// Query heads.
    public let heads: Int
    /// Values of one head's row.
    public let valueDim: Int
    private let accumulator: FloatRows
    private let rowMax: FloatRows
    private let rowSum: FloatRows

    /// A fresh state; call `reset` before use.
    public init(tokens: Int, heads: Int, valueDim: Int) throws(KernelError) {
        self.tokens = tokens
        self.heads = heads
        self.valueDim = valueDim
        accumulator = try .allocate(rows: tokens, columns: heads * valueDim)
        rowMax = try .allocate(rows: heads, columns: tokens)
        rowSum = try .allocate(rows: heads, columns: tokens)
    }

    /// Bytes of a state of this shape.
    public static func byteCount(tokens: Int, heads: Int, valueDim: Int) -> Int { 4 * tokens * heads * (valueDim + 2) }

    /// Forgets every key.
    public func reset() {
        accumulator.fill(0)
        rowMax.fill(-.infinity)
        rowSum.fill(0)
    }

    /// One head's state of some tokens.
    public func slice(head: Int, rows: Range<Int>) -> AttentionState {
        AttentionState(
            accumulator: accumulator.rows(rows).columns(head * valueDim..<(head + 1) * valueDim),
            rowMax: rowMax.rows(head..<head + 1).columns(rows), rowSum: rowSum.rows(head..<head + 1).columns(rows))
    }

    /// Normalises some tokens into `out` [rows, heads * valueDim]; `lse` [heads, rows.count] gets the natural log-sum-exp.
    /// Returns the lowest row (counted from `rows`' start) and head that is not finite.
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
