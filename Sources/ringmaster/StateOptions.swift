// Which cluster's secrets a command works on: it opens the coordinator's state folder itself, so whoever may do that needs no key. Nothing
// that is secret is ever an argument.

import ArgumentParser
import Foundation
import RingCoordinator
import RingFormats

/// The state folder of a coordinator on this machine, which may be running.
struct StateOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "State folder of the coordinator (default: as for 'ringmaster coordinator': RINGMASTER_STATE, else ~/.local/state/ringmaster).",
            valueName: "dir"))
    var state: String?
    @Flag(help: "Print it as JSON.")
    var json = false

    /// Its path.
    func path() throws(CommandError) -> String { try DaemonSettings(config: nil).state(state) }

    /// Opens the folder and turns what goes wrong with it into an error of a command.
    func use<Result>(creating: Bool = false, _ body: (StateFolder) throws -> Result) throws -> Result {
        do {
            return try body(try StateFolder(try path(), creating: creating))
        } catch let error as SecurityError {
            throw CommandError(error)
        }
    }

    /// Who is named in the audit log.
    var actor: String { "cli:" + NSUserName() }

    /// An object, or a text for people.
    func print(_ object: JSONValue, _ text: @autoclosure () -> String) {
        Console.out(json ? object.text(pretty: true) : text() + "\n")
    }
}

extension CommandError {
    /// An error of the state folder or of what is asked of it.
    init(_ error: SecurityError) {
        switch error {
        case .invalid(let sentence): self = .usage(sentence)
        case .file, .damaged: self = .configuration(error.description)
        case .exists, .notFound, .refused: self = .failed(error.description)
        }
    }
}

/// A time of the state folder's files, for people.
func moment(_ seconds: Int64) -> String {
    Date(timeIntervalSince1970: TimeInterval(seconds)).formatted(.iso8601.dateTimeSeparator(.space))
}
