// Figures on their way to JSON, which has no NaN and no infinities, and kernels' errors on their way to the user.

import RingFormats
import RingKernels

extension JSONValue {
    /// A figure; `null` if it is none.
    static func number(_ value: Double) -> JSONValue { value.isFinite ? .real(value) : .null }
}

/// Runs `body`, whose errors are the kernels', and turns them into errors of a command: what `RINGMASTER_ISA` asks for in
/// vain is a matter of configuration.
func fromKernels<Result>(_ body: () throws(KernelError) -> Result) throws(CommandError) -> Result {
    do {
        return try body()
    } catch {
        switch error {
        case .unknownInstructionSet, .unsupportedInstructionSet, .unknownActivations: throw .configuration("\(error)")
        default: throw .failed("\(error)")
        }
    }
}
