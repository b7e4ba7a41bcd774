// One log record as one line, of text or JSON. Values may come from anybody (a worker's name, a peer's last words): whatever they hold, a
// record stays one line, and no value can pass for another field or another line.

import Foundation
import Logging

/// How log lines are written.
public enum LogFormat: String, Hashable, Sendable, CaseIterable {
    /// `time level logger message key=value ...`, for people and grep.
    case text
    /// One JSON object a line, for collectors.
    case json
}

/// What a line is made of.
package struct LogRecord: Sendable {
    package var time: Date
    package var level: Logger.Level
    package var logger: String
    package var message: String
    package var metadata: Logger.Metadata

    package init(time: Date, level: Logger.Level, logger: String, message: String, metadata: Logger.Metadata) {
        (self.time, self.level, self.logger, self.message, self.metadata) = (time, level, logger, message, metadata)
    }

    /// The line without its end.
    package func line(_ format: LogFormat, usesColour: Bool = false) -> String {
        switch format {
        case .text: usesColour ? colouredText : "\(timestamp) \(level.rawValue) \(LogValue.bare(logger)) \(said)"
        case .json: json
        }
    }

    /// RFC 3339 in UTC, with milliseconds.
    private var timestamp: String { time.formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true)) }

    private var said: String {
        let fields = fields.map { " \(LogValue.key($0))=\(LogValue.text($1))" }
        return LogValue.prose(message) + fields.joined()
    }

    /// The eye finds the level first, and the date last.
    private var colouredText: String {
        let colour =
            switch level {
            case .trace, .debug: "2"
            case .info: "32"
            case .notice: "36"
            case .warning: "33"
            case .error, .critical: "31"
            }
        return
            "\u{1B}[2m\(timestamp)\u{1B}[0m \u{1B}[\(colour)m\(level.rawValue)\u{1B}[0m \u{1B}[2m\(LogValue.bare(logger))\u{1B}[0m \(said)"
    }

    private var json: String {
        var line = "{\"ts\":\"\(timestamp)\",\"level\":\"\(level.rawValue)\",\"logger\":\(LogValue.quoted(logger))"
        line += ",\"msg\":\(LogValue.quoted(message))"
        for (key, value) in fields {
            // A field of ours keeps its name whatever somebody's metadata are called.
            let name = Self.reserved.contains(key) ? key + "_" : key
            line += ",\(LogValue.quoted(name)):\(LogValue.json(value))"
        }
        return line + "}"
    }

    private static let reserved: Set<String> = ["ts", "level", "logger", "msg"]
    /// What a line is about comes first; the rest follows by name.
    private static let leading = ["job", "epoch", "attempt", "worker", "id", "rank", "address"]

    private var fields: [(key: String, value: Logger.MetadataValue)] {
        func place(_ key: String) -> Int { Self.leading.firstIndex(of: key) ?? Self.leading.count }
        return metadata.sorted { (place($0.key), $0.key) < (place($1.key), $1.key) }
    }
}

/// Values as they stand in a line.
package enum LogValue {
    /// As JSON. Numbers and truth values stay what they are.
    static func json(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .string(let text): quoted(text)
        case .stringConvertible(let value): number(value) ?? quoted(value.description)
        case .array(let values): "[" + (values.prefix(TelemetryLimits.logElements).map(json) + rest(values)).joined(separator: ",") + "]"
        case .dictionary(let fields):
            "{" + fields.sorted { $0.key < $1.key }.map { "\(quoted($0.key)):\(json($0.value))" }.joined(separator: ",") + "}"
        }
    }

    /// As text: bare where nothing can be mistaken, else a JSON string.
    static func text(_ value: Logger.MetadataValue) -> String {
        switch value {
        case .string(let text): bare(text)
        case .stringConvertible(let value): bare(value.description)
        case .array(let values): "[" + (values.prefix(TelemetryLimits.logElements).map(text) + rest(values)).joined(separator: ",") + "]"
        case .dictionary(let fields):
            "{" + fields.sorted { $0.key < $1.key }.map { "\(key($0.key))=\(text($0.value))" }.joined(separator: ",") + "}"
        }
    }

    /// A last element that says how many were left out.
    private static func rest(_ values: [Logger.MetadataValue]) -> [String] {
        values.count > TelemetryLimits.logElements ? [quoted("\(values.count - TelemetryLimits.logElements) more")] : []
    }

    private static func number(_ value: any CustomStringConvertible & Sendable) -> String? {
        switch value {
        case let value as any BinaryInteger: "\(value)"
        case let value as Double: value.isFinite ? "\(value)" : nil
        case let value as Bool: "\(value)"
        default: nil
        }
    }

    /// A key of text: what is no plain word becomes one.
    static func key(_ key: String) -> String {
        String(String.UnicodeScalarView(key.unicodeScalars.map { isPlain($0) ? $0 : "_" }))
    }

    /// A word that cannot be mistaken for anything else, or a JSON string.
    static func bare(_ text: String) -> String {
        !text.isEmpty && text.utf8.count <= TelemetryLimits.logValueScalars && text.unicodeScalars.allSatisfy(isPlain) ? text : quoted(text)
    }

    /// A sentence in which no field can hide, or a JSON string.
    static func prose(_ text: String) -> String {
        let isProse =
            text.utf8.count <= TelemetryLimits.logValueScalars && text.unicodeScalars.allSatisfy { isPlain($0) || $0 == " " || $0 == "," }
        return isProse ? text : quoted(text)
    }

    /// A JSON string. What ends a line, moves a cursor or hides letters is escaped, and what is too long is cut.
    static func quoted(_ text: String) -> String {
        var line = "\""
        for (count, scalar) in text.unicodeScalars.enumerated() {
            if count == TelemetryLimits.logValueScalars {
                line += "…"
                break
            }
            switch scalar {
            case "\"": line += "\\\""
            case "\\": line += "\\\\"
            case "\n": line += "\\n"
            case "\r": line += "\\r"
            case "\t": line += "\\t"
            case _ where isHarmless(scalar): line.unicodeScalars.append(scalar)
            default: for unit in String(scalar).utf16 { line += escape(unit) }
            }
        }
        return line + "\""
    }

    private static func escape(_ unit: UInt16) -> String {
        let digits = String(unit, radix: 16)
        return "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
    }

    /// Printable ASCII without what has a meaning in a line of text.
    private static func isPlain(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar {
        case "\"", "\\", "=", ",", "[", "]", "{", "}": false
        default: scalar.value > 0x20 && scalar.value < 0x7F
        }
    }

    private static func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.isASCII { return scalar.value >= 0x20 && scalar.value < 0x7F }
        switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: return false
        default: return true
        }
    }
}
