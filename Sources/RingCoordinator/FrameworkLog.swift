// What the HTTP framework says, without its one false alarm: a server whose last connections are cut when it has waited for them long
// enough reports that as an error each time.

import Logging

/// Passes on to another handler what is worth it.
struct FrameworkLog: LogHandler {
    private var base: any LogHandler

    /// A logger that passes on to `logger`.
    static func logger(_ logger: Logger) -> Logger {
        Logger(label: logger.label, factory: { _ in FrameworkLog(base: logger.handler) })
    }

    var metadata: Logger.Metadata {
        get { base.metadata }
        set { base.metadata = newValue }
    }

    var logLevel: Logger.Level {
        get { base.logLevel }
        set { base.logLevel = newValue }
    }

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { base[metadataKey: key] }
        set { base[metadataKey: key] = newValue }
    }

    func log(event: LogEvent) {
        if event.message.description.hasSuffix("\(CancellationError())") { return }
        base.log(event: event)
    }
}
