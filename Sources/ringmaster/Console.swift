// stdout is data, stderr is messages. Whoever prints asks here whether somebody watches.

import Foundation

enum Console {
    /// Whether stderr is a terminal that can redraw a line.
    static let isTerminal = isatty(STDERR_FILENO) == 1 && ProcessInfo.processInfo.environment["TERM"] != "dumb"
    /// Whether to use colour on stderr.
    static let usesColour = isTerminal && (ProcessInfo.processInfo.environment["NO_COLOR"] ?? "").isEmpty

    /// Data.
    static func out(_ text: String) { write(text, to: .standardOutput) }

    /// A message on a line of its own.
    static func message(_ text: String) { write(text + "\n", to: .standardError) }

    /// A message as it is.
    static func raw(_ text: String) { write(text, to: .standardError) }

    /// The sentence with which a command fails.
    static func error(_ sentence: String) {
        let mark = usesColour ? "\u{1B}[31merror:\u{1B}[0m" : "error:"
        message("\(mark) \(sentence)")
    }

    /// Columns of the terminal when it was first asked for; 80 if it does not tell. `stty` asks the kernel for us: the call
    /// itself passes a raw pointer, which has no place in this target.
    static let width: Int = {
        if let columns = ProcessInfo.processInfo.environment["COLUMNS"].flatMap({ Int($0) }), columns > 0 { return columns }
        let stty = Process()
        stty.executableURL = URL(filePath: "/usr/bin/env")
        stty.arguments = ["stty", "-F", "/dev/tty", "size"]
        let output = Pipe()
        (stty.standardInput, stty.standardOutput, stty.standardError) = (FileHandle.nullDevice, output, FileHandle.nullDevice)
        guard isTerminal, (try? stty.run()) != nil else { return 80 }
        let words = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self).split(separator: " ")
        stty.waitUntilExit()
        let columns = words.count == 2 ? Int(words[1].trimmingCharacters(in: .whitespacesAndNewlines)) ?? 0 : 0
        return columns > 0 ? columns : 80
    }()

    // A closed pipe is nobody's error here: the exit code tells what the command did.
    private static func write(_ text: String, to handle: FileHandle) { try? handle.write(contentsOf: Data(text.utf8)) }
}

/// `1.25 GiB`, `312 MiB`, `17 B`.
func humanBytes(_ count: Int) -> String {
    var value = Double(count)
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024 { return unit == "B" ? "\(count) B" : fixed(value, value < 10 ? 2 : value < 100 ? 1 : 0) + " " + unit }
        value /= 1024
    }
    return fixed(value, 2) + " TiB"
}

/// `value` with `digits` digits after the point.
func fixed(_ value: Double, _ digits: Int) -> String {
    value.isFinite ? String(format: "%.\(digits)f", value) : "-"
}

/// `1.73e-07`.
func scientific(_ value: Double) -> String { String(format: "%.2e", value) }

/// `1,048,576`.
func grouped(_ count: Int) -> String {
    let digits = String(count.magnitude)
    var text = ""
    for (place, digit) in digits.enumerated() {
        if place > 0 && (digits.count - place) % 3 == 0 { text.append(",") }
        text.append(digit)
    }
    return (count < 0 ? "-" : "") + text
}

/// Text that came from elsewhere, fit for a line of a terminal: what could move the cursor, change colours or hide letters is a
/// question mark.
func printable(_ text: String) -> String {
    var clean = ""
    for scalar in text.unicodeScalars {
        switch scalar.properties.generalCategory {
        case .control where scalar == "\n" || scalar == "\t": clean.append(" ")
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: clean.append("?")
        default: clean.unicodeScalars.append(scalar)
        }
    }
    return clean
}
