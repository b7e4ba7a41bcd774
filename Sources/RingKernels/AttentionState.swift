// The running, unnormalised state of attention over many calls, and how it becomes a partial.
import CRingKernels

/// State of some query rows of one head while keys arrive: accumulator, maximum and sum (Milakov & Gimelshein 2018).
///
/// Starts as (0, -inf, 0); a row that has seen no key keeps that. Views of the caller's matrices: the accumulator of
/// head h is a column range of [tokens, heads x valueDim], its maxima and sums are row h of [heads, tokens].
public struct AttentionState: Sendable {
    /// [rows, valueDim], unnormalised.
    public let accumulator: FloatRows
    /// [1, rows], in base-2 units of the scaled score.
    public let rowMax: FloatRows
    /// [1, rows].
    public let rowSum: FloatRows

    /// A state over views of matching shapes. Does not reset them.
    public init(accumulator: FloatRows, rowMax: FloatRows, rowSum: FloatRows) {
        let rows = accumulator.rows
        precondition(rowMax.rows == 1 && rowSum.rows == 1 && rowMax.columns == rows && rowSum.columns == rows, "state of \(rows) rows")
        self.accumulator = accumulator
        self.rowMax = rowMax
        self.rowSum = rowSum
    }

    /// A fresh state that has seen no key.
    public static func allocate(rows: Int, valueDim: Int) throws(KernelError) -> AttentionState {
        let state = try AttentionState(
            accumulator: .allocate(rows: rows, columns: valueDim), rowMax: .allocate(rows: 1, columns: rows),
            rowSum: .allocate(rows: 1, columns: rows))
        state.reset()
        return state
    }

    /// Query rows.
    public var rows: Int { accumulator.rows }

    /// Forgets every key.
    public func reset() {
        accumulator.fill(0)
        rowMax.fill(-.infinity)
        rowSum.fill(0)
    }

    /// The state of some of the rows.
    public func rows(_ range: Range<Int>) -> AttentionState {
        AttentionState(accumulator: accumulator.rows(range), rowMax: rowMax.columns(range), rowSum: rowSum.columns(range))
    }

    /// Normalises into `partial`, whose `out` may be this state's accumulator. An empty row gives (0, -inf).
    /// Returns the first row whose lse is NaN or +inf or whose output is not finite, or nil when all is well.
    public func finish(into partial: AttentionPartial) -> Int? {
        precondition(partial.rows == rows && partial.out.columns == accumulator.columns, "partial of another shape")
        let row = unsafe ring_finish(
            accumulator.base, Int64(accumulator.stride), rowMax.base, rowSum.base, Int64(rows), Int64(accumulator.columns),
            partial.out.base, Int64(partial.out.stride), partial.logSumExp.base)
        return row < 0 ? nil : Int(row)
    }
}

/// Normalised attention of some query rows over some of the keys, with the natural logarithm of the sum of exponentials.
/// Partials over disjoint keys merge to the partial over their union: a commutative monoid up to rounding, identity
/// (0, -inf).
public struct AttentionPartial: Sendable {
    /// [rows, valueDim].
    public let out: FloatRows
    /// [1, rows], natural logarithm.
    public let logSumExp: FloatRows

    /// A partial over views of matching shapes. Does not reset them.
    public init(out: FloatRows, logSumExp: FloatRows) {
        precondition(logSumExp.rows == 1 && logSumExp.columns == out.rows, "partial of \(out.rows) rows")
        self.out = out
        self.logSumExp = logSumExp
    }

    /// A fresh identity.
    public static func allocate(rows: Int, valueDim: Int) throws(KernelError) -> AttentionPartial {
        let partial = try AttentionPartial(out: .allocate(rows: rows, columns: valueDim), logSumExp: .allocate(rows: 1, columns: rows))
        partial.reset()
        return partial
    }

    /// Query rows.
    public var rows: Int { out.rows }

    /// Becomes the identity.
    public func reset() {
        out.fill(0)
        logSumExp.fill(-.infinity)
    }

    /// The partial of some of the rows.
    public func rows(_ range: Range<Int>) -> AttentionPartial {
        AttentionPartial(out: out.rows(range), logSumExp: logSumExp.columns(range))
    }

    /// Folds `other` in. Two empty rows stay empty. Returns the first row with NaN or +inf in a log-sum-exp or a result
    /// that is not finite, or nil when all is well.
    public func merge(_ other: AttentionPartial) -> Int? {
        precondition(other.rows == rows && other.out.columns == out.columns, "merge of partials of different shapes")
        let row = unsafe ring_merge(
            out.base, Int64(out.stride), logSumExp.base, other.out.base, Int64(other.out.stride), other.logSumExp.base, Int64(rows),
            Int64(out.columns))
        return row < 0 ? nil : Int(row)
    }
}
