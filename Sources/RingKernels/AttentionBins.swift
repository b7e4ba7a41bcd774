// Sums of attention over key tiles whose bits do not depend on the order in which the tiles come (Docs/MATH.md, "The same bits").
import CRingKernels

/// Partials of some query rows of one head, each of one tile of keys, summed up in bins of fixed point.
///
/// An alternative to an `AttentionState` that goes on from one run of keys to the next: each tile is attended to into a state of its own,
/// and that is deposited here. Views of the caller's memory: the bins of head h are a column range of [tokens, heads * 2 * valueDim]
/// integers, what is told of its rows is row h of [heads, tokens].
public struct AttentionBins: Sendable {
    /// Query rows.
    public let rows: Int
    /// Values of a row.
    public let valueDim: Int
    private let bins: ByteRegion
    private let rowBytes: Int
    private let sums: ByteRegion

    /// Bytes of one row's bins.
    public static func binByteCount(valueDim: Int) -> Int { 2 * MemoryLayout<Int64>.stride * valueDim }
    /// Bytes of what is told of one row beside its bins.
    public static let sumByteCount = MemoryLayout<ring_bin_row>.stride

    /// Bins from the start of `bins` on, `rowBytes` from one row to the next, and what is told of them, row after row, from the start of
    /// `sums` on. Does not reset them.
    public init(bins: ByteRegion, rowBytes: Int, sums: ByteRegion, rows: Int, valueDim: Int) {
        let row = Self.binByteCount(valueDim: valueDim)
        precondition(rowBytes >= row && rowBytes % MemoryLayout<Int64>.stride == 0, "rows of \(rowBytes) bytes for \(valueDim) values")
        precondition(rows == 0 || (rows - 1) * rowBytes + row <= bins.byteCount, "\(rows) rows in \(bins.byteCount) bytes")
        precondition(rows * Self.sumByteCount <= sums.byteCount, "sums of \(rows) rows in \(sums.byteCount) bytes")
        let isAligned = unsafe Int(bitPattern: bins.base) % 8 == 0 && Int(bitPattern: sums.base) % 8 == 0
        precondition(isAligned, "bins at an odd address")
        self.rows = rows
        self.valueDim = valueDim
        self.bins = bins
        self.rowBytes = rowBytes
        self.sums = sums
    }

    /// Fresh bins to which nothing has come.
    public static func allocate(rows: Int, valueDim: Int) throws(KernelError) -> AttentionBins {
        let rowBytes = binByteCount(valueDim: valueDim)
        let fresh = AttentionBins(
            bins: try .allocate(byteCount: rows * rowBytes), rowBytes: rowBytes, sums: try .allocate(byteCount: rows * sumByteCount),
            rows: rows, valueDim: valueDim)
        fresh.reset()
        return fresh
    }

    /// Forgets what has come.
    public func reset() { unsafe ring_bins_reset(sums.base.assumingMemoryBound(to: ring_bin_row.self), Int64(rows)) }

    /// The bins of some of the rows.
    public func rows(_ range: Range<Int>) -> AttentionBins {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows, "rows \(range) of \(rows)")
        let first = min(range.lowerBound * rowBytes, bins.byteCount)
        return AttentionBins(
            bins: bins[first..<bins.byteCount], rowBytes: rowBytes,
            sums: sums[range.lowerBound * Self.sumByteCount..<range.upperBound * Self.sumByteCount], rows: range.count, valueDim: valueDim)
    }

    /// Normalises into `partial`; a row to which nothing came gives (0, -inf). Returns the first row whose lse is NaN or +inf or whose
    /// output is not finite, or nil when all is well. Does not change the bins.
    public func finish(into partial: AttentionPartial) -> Int? {
        precondition(partial.rows == rows && partial.out.columns == valueDim, "partial of another shape")
        let row = unsafe ring_bins_finish(
            bins.base.assumingMemoryBound(to: Int64.self), Int64(rowBytes / MemoryLayout<Int64>.stride),
            sums.base.assumingMemoryBound(to: ring_bin_row.self), Int64(rows), Int64(valueDim), partial.out.base,
            Int64(partial.out.stride), partial.logSumExp.base)
        return row < 0 ? nil : Int(row)
    }

    /// What one call of the C table reads and writes.
    fileprivate func call(_ state: AttentionState) -> ring_deposit_call {
        precondition(state.rows == rows && state.accumulator.columns == valueDim, "state of another shape")
        return unsafe ring_deposit_call(
            acc: state.accumulator.base, acc_stride: Int64(state.accumulator.stride), row_max: state.rowMax.base,
            row_sum: state.rowSum.base, rows: Int64(rows), value_dim: Int64(valueDim), bins: bins.base.assumingMemoryBound(to: Int64.self),
            bins_stride: Int64(rowBytes / MemoryLayout<Int64>.stride), sums: sums.base.assumingMemoryBound(to: ring_bin_row.self))
    }
}

extension Kernels {
    /// Adds what `state` has seen, one tile of keys since it was reset, to `bins`. In whatever order tiles come, and by whichever
    /// instruction set, the bins are the same.
    public func deposit(_ state: AttentionState, into bins: AttentionBins) {
        var call = unsafe bins.call(state)
        unsafe table.pointee.deposit(&call)
    }
}
