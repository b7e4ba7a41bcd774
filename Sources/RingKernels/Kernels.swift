// The chosen table of kernels. Chosen once at start; everything that computes holds a copy.
import CRingKernels
import Glibc

/// The kernels of one instruction set.
///
/// Sendable because the table behind it is constant data of the binary.
@safe public struct Kernels: @unchecked Sendable {
    /// The set that these kernels use.
    public let instructionSet: InstructionSet
    /// How exactly activations meet bf16 weights.
    public var activations = Activations.exact
    /// Whether the bits of a row's state after `attend` depend on its query, on the keys that it sees and on where among the call's keys
    /// those stand, and on nothing else: not on the other rows, nor on how many they are and what they see.
    public var rowsStandAlone = false
    let table: UnsafePointer<ring_kernel_table>

    /// The kernels of `set`; throws when this machine lacks it.
    public init(_ set: InstructionSet) throws(KernelError) {
        guard let table = unsafe ring_kernels(set.code) else { throw .unsupportedInstructionSet(set) }
        instructionSet = set
        unsafe self.table = table
    }

    /// The fastest kernels of this machine, or those that `override` names (the value of `RINGMASTER_ISA`; empty counts
    /// as unset).
    ///
    /// A CPU may have BF16 instructions that are slower than widening to f32: Sapphire Rapids does one VDPBF16PS every
    /// two cycles, half of its f32 multiply-add rate, Zen 4 and 5 do twice theirs; and tiles may be there
    /// without being fast. So a set with BF16 is measured before it is chosen, in a few milliseconds.
    public static func selected(override name: String? = nil) throws(KernelError) -> Kernels {
        if let name, !name.isEmpty {
            guard let set = InstructionSet(rawValue: name) else { throw .unknownInstructionSet(name) }
            return try Kernels(set)
        }
        for set in InstructionSet.supported.reversed() {
            let kernels = try Kernels(set)
            if set < .avx512bf16 || kernels.dotSpeedup >= KernelLimits.dotSpeedupMin { return kernels }
        }
        return try Kernels(.scalar)
    }

    /// The kernels that the environment asks for: `RINGMASTER_ISA`, else the fastest; `RINGMASTER_ACTIVATIONS`, else exact ones.
    public static func fromEnvironment() throws(KernelError) -> Kernels {
        func value(_ name: String) -> String? { unsafe getenv(name).map { unsafe String(cString: $0) } }
        var kernels = try selected(override: value("RINGMASTER_ISA"))
        if let name = value("RINGMASTER_ACTIVATIONS"), !name.isEmpty {
            guard let activations = Activations(rawValue: name) else { throw .unknownActivations(name) }
            kernels.activations = activations
        }
        return kernels
    }

    /// How many times as fast bf16 dot products are as f32 multiply-adds: the best of several short bursts each, so that a
    /// preempted burst does not decide.
    private var dotSpeedup: Double {
        let rates = (0..<8).map { _ in (dot: peakRate(of: .bf16, rounds: 1000), f32: peakRate(of: .f32, rounds: 1000)) }
        return (rates.map(\.dot).max() ?? 0) / max(rates.map(\.f32).max() ?? 0, 1)
    }

    /// Floating-point operations a second of the multiply-add that serves `element`, on the calling thread, measured over
    /// `rounds` rounds of register arithmetic (some hundred operations a round; with tiles some ten thousand).
    public func peakRate(of element: ElementType, rounds: Int) -> Double {
        let start = MonotonicClock.now
        // Bytes are bf16 to tiles; everybody else widens them to f32.
        let dots = element == .bf16 || (element == .int8 && instructionSet == .amx)
        let operations = unsafe dots ? table.pointee.peak_bf16(Int64(rounds)) : table.pointee.peak_f32(Int64(rounds))
        return operations / max(MonotonicClock.now - start, 1e-9)
    }
}

/// Seconds of the monotonic clock; for measuring only.
enum MonotonicClock {
    static var now: Double {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) * 1e-9
    }
}
