// Where a process's log goes, in which format: makes the loggers that write there. swift-log's own handler knows neither JSON nor escapes.

import Foundation
import Logging

/// A place for log lines.
public final class LogSink: Sendable {
    /// How lines are written.
    public let format: LogFormat
    private let usesColour: Bool
    private let hasPriorities: Bool
    private let queue: LogQueue

    /// A sink whose thread hands whole lines to `write`, which may block. With `hasPriorities` each line of text begins with its level as
    /// systemd's journal reads it from a service's stderr: `<6>` (sd-daemon(3)).
    public init(
        _ format: LogFormat, usesColour: Bool = false, hasPriorities: Bool = false, write: @escaping @Sendable (Data) -> Void
    ) {
        (self.format, self.usesColour, self.hasPriorities) = (format, usesColour, hasPriorities)
        let confess = { @Sendable (dropped: Int) in
            Self.line(
                LogRecord(
                    time: Date(), level: .warning, logger: "ringmaster.log", message: "log lines dropped",
                    metadata: ["count": .stringConvertible(dropped)]),
                format, usesColour, hasPriorities)
        }
        queue = LogQueue(confess: confess, write: write)
    }

    /// Whether this process's stderr is the journal's: then `JOURNAL_STREAM` names the very socket. (A child may inherit the variable
    /// and have another stderr.)
    public static var isJournal: Bool {
        guard let stream = ProcessInfo.processInfo.environment["JOURNAL_STREAM"], let inode = stream.split(separator: ":").last,
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/2")
        else { return false }
        return target == "socket:[\(inode)]"
    }

    /// A logger that writes here; `metadata` is on each of its lines.
    public func logger(_ label: String, level: Logger.Level, metadata: Logger.Metadata = [:]) -> Logger {
        Logger(label: label, factory: { label in SinkHandler(sink: self, label: label, metadata: metadata, logLevel: level) })
    }

    /// Writes a line that is one already; what could break it is replaced.
    public func write(line: String) {
        queue.put(String(String.UnicodeScalarView(line.unicodeScalars.map { $0.value < 0x20 || $0.value == 0x7F ? " " : $0 })))
    }

    /// Waits until what was logged is written, at most a second: a process that ends does not take its last words with it, and does
    /// not hang for want of a reader either.
    public func flush() { queue.flush(seconds: TelemetryLimits.logFlushSeconds) }

    fileprivate func write(_ record: LogRecord) { queue.put(Self.line(record, format, usesColour, hasPriorities)) }

    private static func line(_ record: LogRecord, _ format: LogFormat, _ usesColour: Bool, _ hasPriorities: Bool) -> String {
        let prefix = hasPriorities && format == .text ? "<\(priority(record.level))>" : ""
        return prefix + record.line(format, usesColour: usesColour)
    }

    /// Levels as syslog counts them.
    private static func priority(_ level: Logger.Level) -> Int {
        switch level {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}

extension Logger {
    /// A logger that says nothing, for whoever gives none.
    public static var silent: Logger { Logger(label: "silent", factory: { _ in SwiftLogNoOpLogHandler() }) }
}

/// Writes what a logger is told into a sink.
private struct SinkHandler: LogHandler {
    let sink: LogSink
    let label: String
    var metadata: Logger.Metadata
    var logLevel: Logger.Level

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        var fields = metadata
        if let more = event.metadata { fields.merge(more) { $1 } }
        if let error = event.error { fields["error"] = fields["error"] ?? "\(error)" }
        sink.write(
            LogRecord(time: Date(), level: event.level, logger: label, message: event.message.description, metadata: fields))
    }
}
