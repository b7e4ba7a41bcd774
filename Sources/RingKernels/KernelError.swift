// Everything that can go wrong at this target's boundary for a reason outside the program. Shapes that do not fit each
// other are bugs of the caller and stop the process instead.

/// Why a kernel cannot be chosen, memory not be had, or a shape not be served.
public enum KernelError: Error, Hashable, Sendable, CustomStringConvertible {
    /// `RINGMASTER_ISA` names no instruction set.
    case unknownInstructionSet(String)
    /// `RINGMASTER_ISA` names one that this machine lacks.
    case unsupportedInstructionSet(InstructionSet)
    /// `RINGMASTER_ACTIVATIONS` is neither `exact` nor `rounded`.
    case unknownActivations(String)
    /// A head dimension outside 8 ... 256 or not a multiple of 8; `what` is "head_dim" or "v_dim".
    case unsupportedDimension(what: String, value: Int)
    /// A count (heads, key-value heads, threads ...) that must be at least 1, or that does not divide what it must.
    case invalidCount(what: String, value: Int)
    /// Memory could not be mapped.
    case outOfMemory(byteCount: Int)
    /// oneDNN refused a matrix multiplication.
    case linearFailed(status: Int)
    /// A thread of a benchmark could not be started.
    case threadFailed(errno: Int)

    /// One sentence that names the thing and says what to do.
    public var description: String {
        switch self {
        case .unknownInstructionSet(let name):
            let known = InstructionSet.allCases.map(\.rawValue).joined(separator: ", ")
            return "RINGMASTER_ISA=\(name) is no instruction set; use one of \(known), or unset it"
        case .unsupportedInstructionSet(let set):
            let supported = InstructionSet.supported.map(\.rawValue).joined(separator: ", ")
            return "RINGMASTER_ISA=\(set.rawValue) is not supported by this CPU and operating system; use one of \(supported), or unset it"
        case .unknownActivations(let name):
            return "RINGMASTER_ACTIVATIONS=\(name) is not known; use exact or rounded, or unset it"
        case .unsupportedDimension(let what, let value):
            return
                "\(what) \(value) is not supported; use a multiple of \(KernelLimits.dimensionStep) from \(KernelLimits.dimensionMin) to \(KernelLimits.dimensionMax)"
        case .invalidCount(let what, let value):
            return "\(what) \(value) is not possible; use a number of at least 1 that fits the other sizes"
        case .outOfMemory(let byteCount):
            return "cannot map \(byteCount) bytes of memory; use more workers, a smaller shard, or a machine with more memory"
        case .linearFailed(let status):
            return "oneDNN failed a matrix multiplication with status \(status); check that libdnnl matches this CPU"
        case .threadFailed(let errno):
            return "cannot start a thread (errno \(errno)); lower --threads or raise the process limit"
        }
    }
}
