// The vector helpers round the linear layers: norms, activation, residuals, conversions, rotary embedding, normals.
import CRingKernels

/// Storage type of values that are read into f32.
public enum StoredElement: String, CaseIterable, Hashable, Sendable {
    /// IEEE binary32, IEEE binary16, bfloat16.
    case f32, f16, bf16

    /// Bytes of one element.
    public var byteCount: Int { self == .f32 ? 4 : 2 }

    var code: ring_element {
        switch self {
        case .f32: .RING_ELEMENT_F32
        case .f16: .RING_ELEMENT_F16
        case .bf16: .RING_ELEMENT_BF16
        }
    }
}

extension Kernels {
    /// out = x / sqrt(mean(x^2) + epsilon) * weight, row by row; the mean in double precision. `out` may be `x`.
    /// With `groups` > 1 each row holds that many vectors (heads), each normed by itself: `weight` has
    /// columns / groups values.
    public func rmsNorm(_ x: FloatRows, weight: FloatRows, epsilon: Double, groups: Int = 1, into out: FloatRows) {
        precondition(groups > 0 && x.columns % groups == 0, "\(x.columns) columns in \(groups) groups")
        precondition(weight.rows == 1 && weight.columns == x.columns / groups, "norm weight of \(weight.columns)")
        precondition(out.rows == x.rows && out.columns == x.columns, "norm into another shape")
        unsafe table.pointee.rms_norm(
            x.base, Int64(x.stride), Int64(x.rows), Int64(groups), Int64(x.columns / groups), weight.base, epsilon, out.base,
            Int64(out.stride))
    }

    /// out = gate / (1 + exp(-gate)) * up. `out` may be `gate` or `up`.
    public func siluMultiply(gate: FloatRows, up: FloatRows, into out: FloatRows) {
        precondition(gate.rows == up.rows && gate.columns == up.columns && gate.rows == out.rows && gate.columns == out.columns)
        unsafe table.pointee.silu_multiply(
            gate.base, Int64(gate.stride), up.base, Int64(up.stride), Int64(gate.rows), Int64(gate.columns), out.base, Int64(out.stride))
    }

    /// x += y.
    public func add(_ y: FloatRows, to x: FloatRows) {
        precondition(x.rows == y.rows && x.columns == y.columns, "add of different shapes")
        unsafe table.pointee.add(x.base, Int64(x.stride), y.base, Int64(y.stride), Int64(x.rows), Int64(x.columns))
    }

    /// Adds one row, `bias`, to every row of `x`.
    public func addBias(_ bias: FloatRows, to x: FloatRows) {
        precondition(bias.rows == 1 && bias.columns == x.columns, "bias of \(bias.columns) for \(x.columns) columns")
        unsafe table.pointee.add_bias(x.base, Int64(x.stride), bias.base, Int64(x.rows), Int64(x.columns))
    }

    /// Reads stored values, row after row without gaps, into `out`. The span holds exactly rows x columns elements.
    public func widen(_ stored: RawSpan, element: StoredElement, into out: FloatRows) {
        precondition(
            stored.byteCount == out.rows * out.columns * element.byteCount, "\(stored.byteCount) bytes for \(out.rows) x \(out.columns)")
        unsafe stored.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            precondition(Int(bitPattern: start) % element.byteCount == 0, "stored values at an odd address")
            for row in 0..<out.rows {
                let source = unsafe start + row * out.columns * element.byteCount
                unsafe table.pointee.widen(source, element.code, Int64(out.columns), out.base + row * out.stride)
            }
        }
    }

    /// Rounds rows to bf16, nearest even, row after row without gaps. `bytes` holds exactly 2 x rows x columns.
    public func narrow(_ rows: FloatRows, intoBF16 bytes: ByteRegion) {
        precondition(bytes.byteCount == rows.rows * rows.columns * 2, "\(bytes.byteCount) bytes for \(rows.rows) x \(rows.columns)")
        precondition(unsafe Int(bitPattern: bytes.base) % 2 == 0, "bf16 at an odd address")
        for row in 0..<rows.rows {
            let out = unsafe (bytes.base + row * rows.columns * 2).assumingMemoryBound(to: UInt16.self)
            unsafe table.pointee.narrow_bf16(rows.base + row * rows.stride, Int64(rows.columns), out)
        }
    }

    /// Fills `out`, row after row, with standard normals: element `firstElement + row * columns + column` of tensor
    /// `tensor` under `seed`. An element depends on these three numbers alone and has the same bits on every machine.
    public func fillNormals(_ out: FloatRows, seed: UInt64, tensor: UInt64, firstElement: UInt64 = 0) {
        for row in 0..<out.rows {
            let first = firstElement + UInt64(row * out.columns)
            unsafe table.pointee.normals(seed, tensor, first, Int64(out.columns), out.base + row * out.stride)
        }
    }

    /// Rotates rows in place (split-half layout): row i stands at `firstPosition + i` and holds `heads` heads of
    /// columns / heads values, of which the first 2 x frequencies.count are rotated by position x frequency. Angles are held in
    /// double precision, good beyond 4M tokens; cos and sin are multiplied by `attentionFactor` (YaRN).
    public func rope(_ x: FloatRows, heads: Int, firstPosition: Int, frequencies: [Double], attentionFactor: Double = 1) {
        precondition(heads > 0 && x.columns % heads == 0, "\(x.columns) columns in \(heads) heads")
        let headDim = x.columns / heads
        precondition(
            frequencies.count * 2 <= min(headDim, KernelLimits.rotaryDimensionMax), "\(frequencies.count) frequencies in \(headDim)")
        unsafe frequencies.withUnsafeBufferPointer { values in
            guard let start = values.baseAddress else { return }
            unsafe ring_rope(
                x.base, Int64(x.stride), Int64(x.rows), Int64(heads), Int64(headDim), Int64(values.count * 2), Int64(firstPosition), start,
                attentionFactor)
        }
    }
}
