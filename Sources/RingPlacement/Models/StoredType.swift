// How weights and cached keys and values lie in memory: what matters to a plan is how many bits an element takes, scales included.

/// A type in which weights, or cached keys and values, are kept.
public enum StoredType: String, CaseIterable, Hashable, Sendable {
    case f32 = "f32"
    case bf16 = "bf16"
    case fp8 = "fp8"
    case int8 = "int8"
    case int4 = "int4"
    case mxfp4 = "mxfp4"

    /// Bits of an element with its share of the scales.
    ///
    /// fp8: a scale for 128 x 128 elements, counted as none. int8: 4 bytes for 128 elements, as this program keeps int8 keys and values.
    /// int4: 2 bytes for 32 (compressed-tensors' `pack-quantized`, groups of 32). mxfp4: one byte for 32 (OCP Microscaling, 1.0).
    public var bits: Double {
        switch self {
        case .f32: 32
        case .bf16: 16
        case .fp8: 8
        case .int8: 8.25
        case .int4: 4.5
        case .mxfp4: 4.25
        }
    }

    /// Bytes of an element with its share of the scales.
    public var bytes: Double { bits / 8 }
}
