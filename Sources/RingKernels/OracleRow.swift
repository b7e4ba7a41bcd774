// The judge of every attention result: one query row in double precision.
import CRingKernels

/// Exact attention of one query row, fed chunk by chunk, in double precision with compensated sums.
public struct OracleRow: Sendable {
    private var state = ring_oracle()
    private let query: [Float]
    private let valueDim: Int
    private let scale: Double

    /// An oracle for `query` that has seen no key.
    public init(query: [Float], valueDim: Int, scale: Double) {
        precondition(valueDim > 0 && valueDim <= Int(RING_ORACLE_DIM_MAX), "v_dim \(valueDim)")
        self.query = query
        self.valueDim = valueDim
        self.scale = scale
        unsafe ring_oracle_begin(&state)
    }

    /// Adds keys [n, headDim] and values [n, valueDim], all of them visible.
    public mutating func feed(keys: FloatRows, values: FloatRows) {
        precondition(keys.rows == values.rows && keys.columns == query.count && values.columns == valueDim, "oracle fed another shape")
        unsafe query.withUnsafeBufferPointer { query in
            guard let start = query.baseAddress else { return }
            unsafe ring_oracle_feed(
                &state, start, keys.base, Int64(keys.stride), values.base, Int64(values.stride), Int64(keys.rows), Int64(query.count),
                Int64(valueDim), scale)
        }
    }

    /// The output [valueDim] and the natural log-sum-exp; (0, -inf) when no key was fed.
    public func result() -> (out: [Double], logSumExp: Double) {
        var out = [Double](repeating: 0, count: valueDim)
        let logSumExp = unsafe withUnsafePointer(to: state) { state in
            unsafe out.withUnsafeMutableBufferPointer { out in
                guard let start = out.baseAddress else { return -Double.infinity }
                return unsafe ring_oracle_end(state, Int64(valueDim), start)
            }
        }
        return (out, logSumExp)
    }
}
