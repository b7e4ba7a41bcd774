// Programs of other people that some tests ask for their opinion. Where one is missing its test is skipped and says what to install.

import Foundation

/// A program on the search path.
struct Tool: Sendable {
    let path: String

    /// Prometheus' own checker; the Debian package is `prometheus`.
    static let promtool = Tool("promtool")

    init?(_ name: String) {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        let found = folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
        guard let found else { return nil }
        path = found
    }

    /// Runs it to its end; gives its exit code and all that it wrote.
    func run(_ arguments: [String], in folder: URL? = nil, input: String = "") throws -> (code: Int32, text: String) {
        // Files instead of pipes: nothing to drain while it runs.
        let base = FileManager.default.temporaryDirectory.appending(path: "ringmaster-tool-\(UUID().uuidString)")
        let (said, given) = (base.appendingPathExtension("out"), base.appendingPathExtension("in"))
        defer { for file in [said, given] { try? FileManager.default.removeItem(at: file) } }
        try Data(input.utf8).write(to: given)
        try Data().write(to: said)
        let process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = arguments
        if let folder { process.currentDirectoryURL = folder }
        let output = try FileHandle(forWritingTo: said)
        process.standardInput = try FileHandle(forReadingFrom: given)
        process.standardOutput = output
        process.standardError = output
        try process.run()
        process.waitUntilExit()
        return (process.terminationStatus, try String(contentsOf: said, encoding: .utf8))
    }
}
