// How a daemon's log is written, and the log itself: option, then RINGMASTER_LOG_* variable, then the configuration, then text and info. It
// goes to stderr; stdout is for data.

import ArgumentParser
import Foundation
import Logging
import RingFormats
import RingTelemetry

/// The options of every daemon's log.
struct LogOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "How log lines are written: text or json (default: RINGMASTER_LOG_FORMAT, a coordinator's configuration, text).",
            valueName: "format"))
    var logFormat: String?
    @Option(
        help: ArgumentHelp(
            "Least that is logged: trace, debug, info, notice, warning or error (default: RINGMASTER_LOG_LEVEL, a coordinator's configuration, info).",
            valueName: "level"))
    var logLevel: String?

    /// Whether any of them was given.
    var isGiven: Bool { logFormat != nil || logLevel != nil }

    /// Opens the log. `isChild`: a worker of an embedded cluster minds its parent's options only, and says nothing without them.
    func open(_ config: ClusterConfig.Log = .init(), isChild: Bool = false) throws(CommandError) -> DaemonLog {
        func variable(_ name: String) -> String? { isChild ? nil : DaemonSettings.variable(name) }
        let format = try Self.value(
            logFormat, "--log-format", variable("RINGMASTER_LOG_FORMAT"), "RINGMASTER_LOG_FORMAT", config.format, ClusterConfig.Log.formats)
        let level = try Self.value(
            logLevel, "--log-level", variable("RINGMASTER_LOG_LEVEL"), "RINGMASTER_LOG_LEVEL", config.level, ClusterConfig.Log.levels)
        return DaemonLog(
            format: format.flatMap { LogFormat(rawValue: $0) } ?? .text, level: level.flatMap { Logger.Level(rawValue: $0) } ?? .info,
            isSilent: isChild && !isGiven)
    }

    private static func value(
        _ option: String?, _ name: String, _ set: String?, _ variable: String, _ config: String?, _ known: [String]
    ) throws(CommandError) -> String? {
        let words = known.dropLast().joined(separator: ", ") + " or " + (known.last ?? "")
        if let option {
            guard known.contains(option) else { throw .usage("\(name) is \(words), not \(option.debugDescription)") }
            return option
        }
        guard let set else { return config }
        guard known.contains(set) else { throw .configuration("\(variable) is \(words), not \(set.debugDescription)") }
        return set
    }
}

/// A daemon's log.
struct DaemonLog: Sendable {
    let sink: LogSink
    let level: Logger.Level
    /// Whether nothing is logged at all.
    let isSilent: Bool

    init(format: LogFormat, level: Logger.Level, isSilent: Bool) {
        self.level = level
        self.isSilent = isSilent
        // A closed pipe is nobody's error here: the exit code tells what the daemon did.
        sink = LogSink(format, usesColour: Console.usesColour, hasPriorities: LogSink.isJournal) {
            try? FileHandle.standardError.write(contentsOf: $0)
        }
    }

    /// Whether a person reads it as it comes.
    var isForPeople: Bool { sink.format == .text && Console.isTerminal }

    func logger(_ label: String, _ metadata: Logger.Metadata = [:]) -> Logger {
        isSilent ? .silent : sink.logger(label, level: level, metadata: metadata)
    }

    /// For a framework whose routine is nobody's business: its warnings, and everything only for who asked for more than info.
    func frameworkLogger(_ label: String) -> Logger {
        isSilent ? .silent : sink.logger(label, level: level <= .debug ? level : max(level, .warning))
    }

    /// Does a daemon's work and writes out what was logged, with what ended it if that was an error.
    func keep(_ logger: Logger, _ body: () async throws -> Void) async throws {
        defer { sink.flush() }
        do {
            try await body()
        } catch {
            let reason = (error as? CommandError)?.message ?? "\(error)"
            // What was typed wrongly is for the terminal, and an interruption is no error.
            let isForTerminal = error is CancellationError || error is ExitCode || (error as? CommandError)?.exitCode == 2
            if !isForTerminal { logger.error("ending on an error", metadata: ["reason": .string(reason)]) }
            throw error
        }
    }

    /// The options that give a child the same log.
    var arguments: [String] { ["--log-format", sink.format.rawValue, "--log-level", level.rawValue] }
}
