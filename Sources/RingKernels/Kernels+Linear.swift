// Linear layers: our tile kernel for bf16 weights where the CPU has tiles, oneDNN for f32 matrices, our own matrix-vector
// products for a few rows, where time goes into reading weights.
import COneDNN
import CRingKernels
import Glibc

/// A weight [outputs, inputs] in one of the forms that linear layers take.
public enum LinearMatrix: Sendable {
    /// Rows of f32, one an output.
    case f32(FloatRows)
    /// Tiles of bf16.
    case bf16(PackedWeight)

    /// Outputs.
    public var outputs: Int {
        switch self {
        case .f32(let rows): rows.rows
        case .bf16(let packed): packed.outputs
        }
    }

    /// Inputs.
    public var inputs: Int {
        switch self {
        case .f32(let rows): rows.columns
        case .bf16(let packed): packed.inputs
        }
    }

    /// Some of the outputs; the range starts at a multiple of `PackedWeight.panelOutputs`.
    public func outputs(_ range: Range<Int>) -> LinearMatrix {
        switch self {
        case .f32(let rows): .f32(rows.rows(range))
        case .bf16(let packed): .bf16(packed.outputs(range))
        }
    }

    /// Some of the inputs; the range starts and ends at multiples of `PackedWeight.stepInputs`, or ends with the last input.
    public func inputs(_ range: Range<Int>) -> LinearMatrix {
        switch self {
        case .f32(let rows): .f32(rows.columns(range))
        case .bf16(let packed): .bf16(packed.inputs(range))
        }
    }
}

/// Rows that one or more linear layers take, packed once for all of them.
public struct LinearInput: Sendable {
    let rows: FloatRows
    let packed: PackedRows?
}

extension Kernels {
    /// Rows up to which the weights' bytes, not the arithmetic, set the time, so that the matrix-vector kernel serves.
    static let fewRows = 8

    /// Whether these kernels take bf16 weights packed in tiles.
    public var packsWeights: Bool { unsafe table.pointee.linear != nil }

    /// `x` for linear layers, packed in `room` where these kernels pack: many rows then meet bf16 weights at speed. Without room
    /// they meet them as they are, one by one.
    public func input(_ x: FloatRows, packedIn room: PackedRows?) -> LinearInput {
        guard let room, let pack = unsafe table.pointee.pack_rows else { return LinearInput(rows: x, packed: nil) }
        let bytes = PackedRows.byteCount(rows: x.rows, columns: x.columns, parts: room.parts)
        precondition(bytes <= room.region.byteCount, "\(x.rows) x \(x.columns) values do not fit their room")
        unsafe pack(
            x.base, Int64(x.stride), Int64(x.rows), Int64(x.columns), Int32(room.parts),
            room.region.base.assumingMemoryBound(to: UInt8.self)
        )
        return LinearInput(rows: x, packed: room)
    }

    /// out [rows, outputs] = x [rows, inputs] times the transpose of weight [outputs, inputs], plus `bias` [1, outputs]. With
    /// `adding` all that is added to `out`. One thread a call: see `prepareThreadForLinear`.
    public func linear(
        _ x: LinearInput, weight: LinearMatrix, bias: FloatRows? = nil, adding: Bool = false, into out: FloatRows
    ) throws(KernelError) {
        let rows = x.rows
        precondition(rows.columns == weight.inputs, "\(rows.columns) inputs for a weight of \(weight.inputs)")
        precondition(out.rows == rows.rows && out.columns == weight.outputs, "output \(out.rows) x \(out.columns)")
        guard rows.rows > 0, weight.outputs > 0 else { return }
        switch weight {
        case .f32(let matrix): try multiply(rows, matrix, adding: adding, into: out)
        case .bf16(let matrix): multiply(x, matrix, adding: adding, into: out)
        }
        if let bias { addBias(bias, to: out) }
    }

    /// The same for an f32 weight and rows that no other layer takes.
    public func linear(_ x: FloatRows, weight: FloatRows, bias: FloatRows? = nil, into out: FloatRows) throws(KernelError) {
        try linear(LinearInput(rows: x, packed: nil), weight: .f32(weight), bias: bias, into: out)
    }

    private func multiply(_ x: FloatRows, _ weight: FloatRows, adding: Bool, into out: FloatRows) throws(KernelError) {
        if x.rows <= Self.fewRows && !adding {
            unsafe table.pointee.gemv(
                x.base, Int64(x.stride), Int64(x.rows), weight.base, Int64(weight.stride), Int64(weight.rows), Int64(x.columns), out.base,
                Int64(out.stride))
        } else {
            let status = unsafe dnnl_sgemm(
                CChar(UInt8(ascii: "N")), CChar(UInt8(ascii: "T")), Int64(x.rows), Int64(weight.rows), Int64(x.columns), 1, x.base,
                Int64(x.stride), weight.base, Int64(weight.stride), adding ? 1 : 0, out.base, Int64(out.stride))
            guard status == dnnl_success else { throw .linearFailed(status: Int(status.rawValue)) }
        }
    }

    private func multiply(_ x: LinearInput, _ weight: PackedWeight, adding: Bool, into out: FloatRows) {
        guard let linear = unsafe table.pointee.linear, let few = unsafe table.pointee.gemv_packed else {
            preconditionFailure("packed weights belong to kernels that pack")
        }
        guard let packed = x.packed else {
            precondition(!adding, "rows that are not packed are not added")
            unsafe few(
                x.rows.base, Int64(x.rows.stride), Int64(x.rows.rows), weight.base, Int64(weight.panelStride), Int64(weight.outputs),
                Int64(weight.inputs), out.base, Int64(out.stride))
            return
        }
        var call = unsafe ring_linear_call(
            packed: UnsafePointer(packed.region.base.assumingMemoryBound(to: UInt8.self)), rows: Int64(x.rows.rows), weight: weight.base,
            panel_stride: Int64(weight.panelStride), outputs: Int64(weight.outputs), steps: Int64(PackedWeight.steps(weight.inputs)),
            parts: Int32(packed.parts), accumulate: adding ? 1 : 0, out: out.base, out_stride: Int64(out.stride))
        unsafe linear(&call)
    }

    /// Tells oneDNN's OpenMP that the calling thread works alone. Each thread that calls `linear` does this once;
    /// otherwise the first call starts a pool of its own that fights ours for the cores.
    public static func prepareThreadForLinear() { omp_set_num_threads(1) }
}
