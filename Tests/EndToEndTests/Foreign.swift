// Programs of other people that tests use: a browser, curl, jq. Where one is missing its test is skipped and says what to install.

import Foundation

/// A program on the search path.
struct Foreign: Sendable {
    let path: String

    /// The browser for the page of /ui; the Debian package is `chromium`.
    static let chromium = Foreign("chromium") ?? Foreign("chromium-browser") ?? Foreign("google-chrome")
    static let curl = Foreign("curl")
    static let shell = Foreign("bash")
    static let jq = Foreign("jq")

    init?(_ name: String) {
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        let found = folders.map { "\($0)/\(name)" }.first { FileManager.default.isExecutableFile(atPath: $0) }
        guard let found else { return nil }
        path = found
    }

    /// Starts it with no signal blocked: threads of the concurrency runtime block them, and a shell keeps what it was born with.
    private static func start(_ process: Process) throws {
        var (none, before) = (sigset_t(), sigset_t())
        unsafe sigemptyset(&none)
        unsafe pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { unsafe pthread_sigmask(SIG_SETMASK, &before, nil) }
        try process.run()
    }

    /// Runs it to its end, at most `seconds`; output goes through files in `folder`, so that nothing has to be drained meanwhile.
    func run(_ arguments: [String], in folder: String, seconds: Double = 60) async throws -> (code: Int32, out: String, err: String) {
        let base = folder + "/" + UUID().uuidString
        let files = ["out", "err"].map { URL(filePath: "\(base).\($0)") }
        for file in files { try Data().write(to: file) }
        let process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = arguments
        process.currentDirectoryURL = URL(filePath: folder)
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = try FileHandle(forWritingTo: files[0])
        process.standardError = try FileHandle(forWritingTo: files[1])
        try Self.start(process)
        let identifier = process.processIdentifier
        let deadline = ContinuousClock.now + .seconds(seconds)
        while isAlive(identifier) {
            if ContinuousClock.now > deadline || Task.isCancelled { kill(identifier, SIGKILL) }
            try? await Task.sleep(for: .milliseconds(20))
        }
        process.waitUntilExit()
        return (
            process.terminationStatus, try String(contentsOf: files[0], encoding: .utf8), try String(contentsOf: files[1], encoding: .utf8)
        )
    }
}

/// `ringmaster up` while it runs.
struct UpCluster: Sendable {
    let address: String
    let folder: String

    /// Keeps a cluster in a folder of its own while `body` runs; ends it by SIGTERM.
    static func run(workers: Int = 2, _ body: (UpCluster) async throws -> Void) async throws {
        try await withFolder { folder in
            let up = try Running([
                "up", "--workers", "\(workers)", "--listen", "127.0.0.1:0", "--json", "--models", folder, "--data", folder,
            ])
            var address: String?
            for _ in 0..<3000 where address == nil {
                address = up.outputText.firstMatch(of: /"address":"([^"]+)"/).map { String($0.output.1) }
                if address == nil { try await Task.sleep(for: .milliseconds(10)) }
            }
            guard let address else {
                up.signal(SIGKILL)
                throw UpFailed(said: up.errorText)
            }
            do {
                try await body(UpCluster(address: address, folder: folder))
            } catch {
                up.signal(SIGTERM)
                _ = await up.outcome()
                throw error
            }
            up.signal(SIGTERM)
            _ = await up.outcome()
        }
    }
}

/// `ringmaster up` that did not say its address.
struct UpFailed: Error {
    let said: String
}
