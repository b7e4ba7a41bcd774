// Starts the real program as a person would and waits for it: exit code, stdout, stderr, and what is left behind.

import Foundation
import Synchronization
import Testing

/// All suites here run one test at a time: each starts several processes and some look at the clock.
@Suite("End to end", .serialized) enum EndToEnd {}

/// The program under test.
enum Binary {
    /// `RINGMASTER_BINARY`, else the program that was built beside the tests.
    static let path: String = {
        if let path = ProcessInfo.processInfo.environment["RINGMASTER_BINARY"], !path.isEmpty { return path }
        let folder = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? CommandLine.arguments[0]
        return URL(filePath: folder).deletingLastPathComponent().appending(path: "ringmaster").path(percentEncoded: false)
    }()

    /// How a run ended.
    struct Outcome {
        let code: Int32
        let out: String
        let err: String

        /// The JSON object on stdout.
        var json: [String: Any] { (try? JSONSerialization.jsonObject(with: Data(out.utf8)) as? [String: Any]) ?? [:] }
        /// The lines of stderr that begin with `error:`.
        var errors: [String] { err.split(separator: "\n").filter { $0.hasPrefix("error:") }.map(String.init) }
    }

    /// Runs the program to its end.
    static func run(
        _ arguments: [String], stdin: String = "", environment: [String: String] = [:], limits: String? = nil
    ) async throws -> Outcome {
        let running = try Running(arguments, stdin: stdin, environment: environment, limits: limits)
        return await running.outcome()
    }
}

/// The program while it runs.
final class Running: Sendable {
    private let process: Mutex<Process>
    private let out = Collector()
    private let err = Collector()
    let identifier: Int32

    /// `limits` is what a shell does before it becomes the program, as `ulimit -n 50`.
    init(_ arguments: [String], stdin: String = "", environment: [String: String] = [:], limits: String? = nil) throws {
        let child = Process()
        child.executableURL = URL(filePath: limits == nil ? Binary.path : "/bin/bash")
        child.arguments = (limits.map { ["-c", $0 + #"; exec "$0" "$@""#, Binary.path] } ?? []) + arguments
        var variables = ProcessInfo.processInfo.environment
        // What a launcher of the tests themselves left would be meant for us.
        for name in [
            "COLUMNS", "NO_COLOR", "RINGMASTER_ISA", "RINGMASTER_ACTIVATIONS", "RINGMASTER_TRANSPORT", "MASTER_ADDR", "MASTER_PORT",
            "RANK", "SLURM_PROCID", "NOTIFY_SOCKET",
        ] { variables[name] = nil }
        child.environment = variables.merging(environment) { $1 }
        let input = Pipe()
        child.standardInput = input
        child.standardOutput = out.pipe
        child.standardError = err.pipe
        try child.run()
        identifier = child.processIdentifier
        try? input.fileHandleForWriting.write(contentsOf: Data(stdin.utf8))
        try? input.fileHandleForWriting.close()
        process = Mutex(child)
    }

    /// What it has written on stderr so far.
    var errorText: String { err.text }
    /// What it has written on stdout so far.
    var outputText: String { out.text }

    func signal(_ number: Int32) { kill(identifier, number) }

    /// Waits for its end.
    func outcome() async -> Binary.Outcome {
        var code = exitCode
        while code == nil {
            // A test whose time is over is cancelled: what hangs is ended, so that the wait ends with it.
            if Task.isCancelled { kill(identifier, SIGKILL) }
            try? await Task.sleep(for: .milliseconds(10))
            code = exitCode
        }
        await out.end()
        await err.end()
        return Binary.Outcome(code: code ?? -1, out: out.text, err: err.text)
    }

    /// How it ended, `nil` while it runs. Asks the system beside Foundation, whose announcement of a child's end can be late
    /// for ever when another child is started at the same moment.
    private var exitCode: Int32? {
        var info = unsafe siginfo_t()
        if unsafe waitid(P_PID, id_t(identifier), &info, WEXITED | WNOHANG | WNOWAIT) == 0 {
            let child = unsafe info._sifields._sigchld
            guard child.si_pid == identifier else { return nil }
            return unsafe info.si_code == CLD_EXITED ? child.si_status : 128 + child.si_status
        }
        // Foundation has collected it already.
        return process.withLock { child in
            if child.isRunning { return nil }
            return child.terminationReason == .uncaughtSignal ? 128 + child.terminationStatus : child.terminationStatus
        }
    }

    /// Waits until stderr holds `count` matches of `worker-N is process P` and gives the process numbers by name.
    func workers(_ count: Int) async -> [String: Int32] {
        for _ in 0..<1500 {
            let found = errorText.matches(of: /(worker-\d+) is process (\d+)/)
            if found.count >= count {
                return Dictionary(found.map { (String($0.1), Int32($0.2) ?? 0) }) { first, _ in first }
            }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return [:]
    }

    /// Waits until stderr holds `text`.
    func says(_ text: String, within seconds: Double = 30) async -> Bool {
        for _ in 0..<Int(seconds * 100) {
            if errorText.contains(text) { return true }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return false
    }
}

/// Collects what comes out of a pipe.
private final class Collector: Sendable {
    let pipe = Pipe()
    private let bytes = Mutex(Data())
    private let done: AsyncStream<Void>

    init() {
        let (done, announce) = AsyncStream<Void>.makeStream()
        self.done = done
        let reader = Thread { [self] in
            while true {
                let part = pipe.fileHandleForReading.availableData
                if part.isEmpty { break }
                bytes.withLock { $0.append(part) }
            }
            announce.finish()
        }
        reader.start()
    }

    var text: String { bytes.withLock { String(decoding: $0, as: UTF8.self) } }

    func end() async { for await _ in done {} }
}

/// A folder for one test; gone when `body` is through, kept when it throws.
func withFolder<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    let folder = FileManager.default.temporaryDirectory.appending(path: "ringmaster-e2e-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    let result = try await body(folder.path(percentEncoded: false))
    try? FileManager.default.removeItem(at: folder)
    return result
}

/// Processes whose command line or working files mention `text`, zombies left out.
func processes(mentioning text: String) -> [String] {
    let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
    return entries.filter { Int($0) != nil }.compactMap { entry in
        let line = String(
            decoding: (FileManager.default.contents(atPath: "/proc/\(entry)/cmdline") ?? Data()).map { $0 == 0 ? 32 : $0 }, as: UTF8.self)
        return line.contains(text) ? "\(entry) \(line)" : nil
    }
}

/// Whether a process is there and no zombie.
func isAlive(_ process: Int32) -> Bool {
    guard let stat = FileManager.default.contents(atPath: "/proc/\(process)/stat") else { return false }
    let text = String(decoding: stat, as: UTF8.self)
    return text.split(separator: ")").last?.split(separator: " ").first != "Z"
}

/// Waits until none of `processes` is alive.
func vanish(_ processes: some Collection<Int32>, within seconds: Double) async -> Bool {
    for _ in 0..<Int(seconds * 100) {
        if !processes.contains(where: isAlive) { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return false
}
