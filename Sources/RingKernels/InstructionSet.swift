// The instruction sets that the kernels exist for, and which of them this machine can run.
import CRingKernels

/// A set of CPU instructions with its own table of kernels. Ordered from the most general to the fastest.
public enum InstructionSet: String, CaseIterable, Hashable, Sendable, Comparable {
    /// Plain C at the architecture's base.
    case scalar
    /// AVX2 and FMA.
    case avx2
    /// AVX-512 F, BW, DQ and VL.
    case avx512
    /// AVX-512 with BF16 (VDPBF16PS).
    case avx512bf16
    /// AVX-512 with BF16, and AMX tiles of bf16.
    case amx

    /// Whether this CPU and its operating system can run it.
    public var isSupported: Bool { unsafe ring_kernels(code) != nil }

    /// Those that this machine can run, slowest first; never empty.
    public static var supported: [InstructionSet] { allCases.filter(\.isSupported) }

    /// Whether `left` is the more general set.
    public static func < (left: InstructionSet, right: InstructionSet) -> Bool { left.code.rawValue < right.code.rawValue }

    var code: ring_isa {
        switch self {
        case .scalar: .RING_ISA_SCALAR
        case .avx2: .RING_ISA_AVX2
        case .avx512: .RING_ISA_AVX512
        case .avx512bf16: .RING_ISA_AVX512BF16
        case .amx: .RING_ISA_AMX
        }
    }
}
