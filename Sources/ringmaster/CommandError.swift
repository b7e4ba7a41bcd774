// Errors of the commands: one sentence for stderr and an exit code for scripts.

import RingControl
import RingFormats

/// Why a command ends with a code other than zero.
struct CommandError: Error {
    let message: String
    let exitCode: Int32

    /// Could not be done: exit code 1.
    static func failed(_ message: String) -> CommandError { CommandError(message: message, exitCode: 1) }
    /// Was asked for wrongly: exit code 2.
    static func usage(_ message: String) -> CommandError { CommandError(message: message, exitCode: 2) }
    /// May work later: exit code 75.
    static func tryAgain(_ message: String) -> CommandError { CommandError(message: message, exitCode: 75) }
    /// A configuration or environment variable is wrong: exit code 78.
    static func configuration(_ message: String) -> CommandError { CommandError(message: message, exitCode: 78) }

    init(message: String, exitCode: Int32) {
        self.message = message
        self.exitCode = exitCode
    }

    /// A job's failure.
    init(_ failure: Failure) {
        let isTemporary = failure.code == .workersMissing || failure.code == .shuttingDown
        self.init(message: failure.message, exitCode: isTemporary ? 75 : 1)
    }

    /// A file's error; a value that a person wrote is a usage error.
    init(_ error: FormatError) {
        if case .invalid(let message) = error {
            self.init(message: message, exitCode: 2)
        } else {
            self.init(message: error.message, exitCode: 1)
        }
    }
}

/// Runs `body`, whose errors are files', and turns them into errors of a command.
func reading<Result>(_ body: () throws(FormatError) -> Result) throws(CommandError) -> Result {
    do {
        return try body()
    } catch {
        throw CommandError(error)
    }
}
