// Linear layers: oneDNN for matrices, our own matrix-vector product for a few rows, where time goes into reading weights.
import COneDNN
import CRingKernels
import Glibc

extension Kernels {
    /// Rows up to which the weights' bytes, not the arithmetic, set the time, so that the matrix-vector kernel serves.
    static let fewRows = 8

    /// out [rows, outputs] = x [rows, inputs] times the transpose of weight [outputs, inputs], plus `bias` [1, outputs].
    /// One thread a call: see `prepareThreadForLinear`.
    public func linear(_ x: FloatRows, weight: FloatRows, bias: FloatRows? = nil, into out: FloatRows) throws(KernelError) {
        precondition(x.columns == weight.columns, "\(x.columns) inputs for a weight of \(weight.columns)")
        precondition(out.rows == x.rows && out.columns == weight.rows, "output \(out.rows) x \(out.columns)")
        guard x.rows > 0, weight.rows > 0 else { return }
        if x.rows <= Self.fewRows {
            unsafe table.pointee.gemv(
                x.base, Int64(x.stride), Int64(x.rows), weight.base, Int64(weight.stride), Int64(weight.rows), Int64(x.columns), out.base,
                Int64(out.stride))
        } else {
            let status = unsafe dnnl_sgemm(
                CChar(UInt8(ascii: "N")), CChar(UInt8(ascii: "T")), Int64(x.rows), Int64(weight.rows), Int64(x.columns), 1, x.base,
                Int64(x.stride), weight.base, Int64(weight.stride), 0, out.base, Int64(out.stride))
            guard status == dnnl_success else { throw .linearFailed(status: Int(status.rawValue)) }
        }
        if let bias { addBias(bias, to: out) }
    }

    /// Tells oneDNN's OpenMP that the calling thread works alone. Each thread that calls `linear` does this once;
    /// otherwise the first call starts a pool of its own that fights ours for the cores.
    public static func prepareThreadForLinear() { omp_set_num_threads(1) }
}
