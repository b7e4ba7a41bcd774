// bf16 weights in tiles, and a slice of activations packed to meet them. Only kernels with a tile unit read them
// (`Kernels.packsWeights`); everywhere else weights are f32.
import CRingKernels

/// A bf16 weight [outputs, inputs] in the order in which the tile unit reads it. Copies are views of the same values.
public struct PackedWeight: Sendable {
    /// Outputs of a panel; slices of outputs start at multiples of it.
    public static let panelOutputs = Int(RING_PANEL_OUTPUTS)
    /// Inputs of a step; slices of inputs start at multiples of it.
    public static let stepInputs = Int(RING_STEP_INPUTS)

    /// Outputs in view.
    public let outputs: Int
    /// Inputs in view.
    public let inputs: Int
    let region: ByteRegion
    let panelStride: Int

    /// A weight of zeros.
    public static func allocate(outputs: Int, inputs: Int) throws(KernelError) -> PackedWeight {
        guard outputs >= 0, inputs >= 0, outputs < 1 << 31, inputs < 1 << 31 else { throw .outOfMemory(byteCount: .max) }
        let region = try ByteRegion.allocate(byteCount: byteCount(outputs: outputs, inputs: inputs))
        return PackedWeight(outputs: outputs, inputs: inputs, region: region, panelStride: panelBytes(inputs: inputs))
    }

    /// Bytes of such a weight: two a value, rounded up to whole tiles.
    public static func byteCount(outputs: Int, inputs: Int) -> Int {
        (outputs + panelOutputs - 1) / panelOutputs * panelBytes(inputs: inputs)
    }

    private static func panelBytes(inputs: Int) -> Int { steps(inputs) * stepBytes }

    static func steps(_ inputs: Int) -> Int { (inputs + stepInputs - 1) / stepInputs }

    private static let stepBytes = panelOutputs * stepInputs * 2

    /// Sets outputs `first ..< first + rows.rows`: a whole panel, or what the last one holds. The values must be bf16 already;
    /// others are rounded.
    public func set(outputs first: Int, rows: FloatRows) {
        precondition(first % Self.panelOutputs == 0 && rows.rows == min(outputs - first, Self.panelOutputs), "no panel at \(first)")
        precondition(rows.columns == inputs && panelStride == Self.panelBytes(inputs: inputs), "rows of \(rows.columns) inputs")
        guard rows.rows > 0 else { return }
        let panel = region[first / Self.panelOutputs * panelStride..<(first / Self.panelOutputs + 1) * panelStride]
        unsafe ring_pack_weight(
            rows.base, Int64(rows.stride), Int64(rows.rows), Int64(inputs), panel.base.assumingMemoryBound(to: UInt8.self))
    }

    /// Some of the outputs, from the start of a panel on.
    public func outputs(_ range: Range<Int>) -> PackedWeight {
        precondition(range.lowerBound % Self.panelOutputs == 0 && range.upperBound <= outputs, "outputs \(range) of \(outputs)")
        let start = min(range.lowerBound / Self.panelOutputs * panelStride, region.byteCount)
        return PackedWeight(outputs: range.count, inputs: inputs, region: region[start..<region.byteCount], panelStride: panelStride)
    }

    /// Some of the inputs, from the start of a step to the end of one or to the last input.
    public func inputs(_ range: Range<Int>) -> PackedWeight {
        precondition(range.lowerBound % Self.stepInputs == 0 && range.upperBound <= inputs, "inputs \(range) of \(inputs)")
        precondition(range.upperBound % Self.stepInputs == 0 || range.upperBound == inputs, "inputs \(range) end inside a step")
        let start = min(range.lowerBound / Self.stepInputs * Self.stepBytes, region.byteCount)
        return PackedWeight(outputs: outputs, inputs: range.count, region: region[start..<region.byteCount], panelStride: panelStride)
    }

    var base: UnsafePointer<UInt8> { unsafe UnsafePointer(region.base.assumingMemoryBound(to: UInt8.self)) }
}

/// Room for a slice of activations in the form that meets packed weights.
public struct PackedRows: Sendable {
    let region: ByteRegion
    /// bf16 values that an activation is packed as.
    let parts: Int

    /// Room for `rows` rows of up to `columns` values, for these kernels.
    public static func allocate(rows: Int, columns: Int, for kernels: Kernels) throws(KernelError) -> PackedRows {
        let parts = kernels.activations.parts
        return PackedRows(region: try .allocate(byteCount: byteCount(rows: rows, columns: columns, parts: parts)), parts: parts)
    }

    /// Bytes of such room where an activation has most parts.
    public static func byteCount(rows: Int, columns: Int) -> Int { byteCount(rows: rows, columns: columns, parts: 2) }

    static func byteCount(rows: Int, columns: Int, parts: Int) -> Int {
        let group = Int(RING_GROUP_ROWS)
        return (rows + group - 1) / group * group * PackedWeight.steps(columns) * PackedWeight.stepInputs * 2 * parts
    }
}

/// How exactly activations meet bf16 weights.
public enum Activations: String, CaseIterable, Hashable, Sendable {
    /// As two bf16 parts, 16 bits of each value: within a few parts in a million.
    case exact
    /// Rounded to bf16: half the multiplications, and the error that bf16 inference commonly has.
    case rounded

    var parts: Int { self == .exact ? 2 : 1 }
}
