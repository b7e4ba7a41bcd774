// The program's entry: one verb a file, and our own exit codes: 0 ok, 1 failed, 2 usage, 75 try again, 78 configuration,
// 130 and 143 when interrupted. (swift-argument-parser would say 64 for a usage error.)

import ArgumentParser
import Foundation

struct Ringmaster: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ringmaster",
        abstract: "Million-token contexts by exact ring attention on the servers you have.",
        subcommands: [
            RunCommand.self, AttendCommand.self, UpCommand.self, CoordinatorCommand.self, WorkerCommand.self, SubmitCommand.self,
            JobsCommand.self, StatusCommand.self, TopCommand.self, DrainCommand.self, ClusterCommand.self, TokenCommand.self,
            KeyCommand.self, ModelCommand.self, BenchCommand.self, VerifyCommand.self, SimulateCommand.self, PlaceCommand.self,
            PlanCommand.self,
            DoctorCommand.self,
            VersionCommand.self,
        ])
}

@main
enum Entry {
    static func main() async {
        // A reader that goes away (`ringmaster run | head`) is an error of one write, not the end of the process.
        signal(SIGPIPE, SIG_IGN)
        // Before there is a second thread.
        let arguments = Array(CommandLine.arguments.dropFirst())
        do throws(CommandError) { try NodeOptions.moveIn(arguments) } catch { exit(report(error)) }
        let interrupts = Interrupts()
        let command = Task { await run(arguments) }
        interrupts.whenInterrupted { command.cancel() }
        let code = await command.value
        exit(interrupts.exitCode ?? code)
    }

    private static func run(_ arguments: [String]) async -> Int32 {
        do {
            var command = try Ringmaster.parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
            return 0
        } catch {
            return report(error)
        }
    }

    private static func report(_ error: any Error) -> Int32 {
        if let error = error as? CommandError {
            Console.error(error.message)
            return error.exitCode
        }
        if let code = error as? ExitCode { return code.rawValue }
        if error is CancellationError {
            Console.error("interrupted: the job was cancelled and its workers are gone")
            return 130
        }
        switch Ringmaster.exitCode(for: error) {
        case .success:
            Console.out(Ringmaster.fullMessage(for: error) + "\n")
            return 0
        case .validationFailure:
            Console.error(Ringmaster.message(for: error))
            // What follows the sentence: the usage line and where to find help.
            let lines = Ringmaster.fullMessage(for: error).split(separator: "\n").drop { !$0.hasPrefix("Usage:") }
            if !lines.isEmpty { Console.message(lines.joined(separator: "\n")) }
            return 2
        default:
            Console.error("\(error)")
            return 1
        }
    }
}
