// The embedded cluster's processes, with shell scripts in the workers' place.

import Foundation
import RingControl
import RingCoordinator
import RingCore
import Testing

@Suite("Embedded cluster", .serialized, .timeLimit(.minutes(1)))
struct ProcessTests {
    /// Runs `body` with a script that stands in for the program, and sees that no process of it is left.
    @discardableResult
    private func withScript<Result>(_ text: String, _ body: (String, String) async throws -> Result) async throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appending(path: "ringmaster-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let script = folder.appending(path: "fake")
        try Data("#!/bin/sh\n\(text)\n".utf8).write(to: script)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: script.path())
        let result = try await body(script.path(), folder.path())
        #expect(Self.commandLines(containing: script.path()).isEmpty, "a process is left")
        return result
    }

    private static func commandLines(containing text: String) -> [String] {
        let entries = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return entries.filter { Int($0) != nil }.compactMap { entry in
            let bytes = FileManager.default.contents(atPath: "/proc/\(entry)/cmdline") ?? Data()
            let line = String(decoding: bytes.map { $0 == 0 ? UInt8(ascii: " ") : $0 }, as: UTF8.self)
            return line.contains(text) ? line : nil
        }
    }

    private var spec: JobSpec {
        let shape = AttentionShape(tokens: 64, heads: 2, kvHeads: 1, headDim: 64, valueDim: 64, element: .f32)
        return .attend(AttendSpec(input: .seeded(seed: 1), shape: shape, causal: true))
    }

    private func outcome(_ binary: String, workers: Int) async throws -> (event: JobEvent?, tail: String?) {
        try await EmbeddedCluster.run(EmbeddedCluster.Configuration(binary: binary, workers: workers)) { cluster in
            let (_, events) = try await cluster.submit(spec, threads: nil, prompt: [])
            for await case .news(let news) in events where news.event.isFinal {
                let event = news.event
                if case .failed(let failure) = event { return (event, failure.worker.flatMap { cluster.stderrTail(of: $0) }) }
                return (event, nil)
            }
            return (nil, nil)
        }
    }

    @Test("a worker that ends at once fails the job, with its exit code and the last of its stderr")
    func endsAtOnce() async throws {
        let (event, tail) = try await withScript("echo 'the disk is on fire' >&2; exit 7") { script, _ in
            try await outcome(script, workers: 2)
        }
        guard case .failed(let failure) = event else {
            Issue.record("\(String(describing: event))")
            return
        }
        #expect(failure.code == .workersMissing)
        #expect(failure.message.contains("did not start: it ended with exit code 7"))
        #expect(tail == "the disk is on fire\n")
    }

    @Test("a worker that a signal kills is told with the signal's name")
    func killed() async throws {
        let (event, _) = try await withScript("kill -SEGV $$") { script, _ in try await outcome(script, workers: 1) }
        guard case .failed(let failure) = event else {
            Issue.record("\(String(describing: event))")
            return
        }
        #expect(failure.message.contains("worker worker-0 did not start: it was killed by SIGSEGV"))
    }

    @Test("workers that ignore SIGTERM are killed after the grace, also when the body throws")
    func stubborn() async throws {
        struct Enough: Error {}
        let started = ContinuousClock.now
        try await withScript("trap '' TERM; while :; do sleep 0.1; done") { script, _ in
            await #expect(throws: Enough.self) {
                try await EmbeddedCluster.run(EmbeddedCluster.Configuration(binary: script, workers: 3)) { _ in throw Enough() }
            }
        }
        #expect(ContinuousClock.now - started < .seconds(10))
    }

    @Test("the token comes through stdin and shows in no argument and no environment")
    func tokenIsHidden() async throws {
        try await withScript("read token; echo \"$token\" > $(dirname $0)/token; exec cat > /dev/null") { script, folder in
            try await EmbeddedCluster.run(EmbeddedCluster.Configuration(binary: script, workers: 1)) { cluster in
                for _ in 0..<300 where !FileManager.default.fileExists(atPath: folder + "/token") {
                    try await Task.sleep(for: .milliseconds(10))
                }
                try await Task.sleep(for: .milliseconds(50))
                let token = String(decoding: FileManager.default.contents(atPath: folder + "/token") ?? Data(), as: UTF8.self)
                    .trimmingCharacters(in: .whitespacesAndNewlines)
                #expect(token.count == 64)
                #expect(Self.commandLines(containing: token).isEmpty)
                let process = cluster.processNumbers[0].process
                let environment = String(
                    decoding: FileManager.default.contents(atPath: "/proc/\(process)/environ") ?? Data(), as: UTF8.self)
                #expect(!environment.isEmpty && !environment.contains(token))
            }
        }
    }

    @Test("a cancelled command leaves no process")
    func cancelled() async throws {
        try await withScript("exec cat > /dev/null") { script, _ in
            let command = Task {
                try await EmbeddedCluster.run(EmbeddedCluster.Configuration(binary: script, workers: 2)) { cluster in
                    let (_, events) = try await cluster.submit(spec, threads: nil, prompt: [])
                    for await _ in events {}
                }
            }
            try await Task.sleep(for: .milliseconds(300))
            command.cancel()
            _ = await command.result
        }
    }

    @Test("a program that is not there is an error that names it")
    func noBinary() async throws {
        let error = await #expect(throws: Failure.self) {
            try await EmbeddedCluster.run(EmbeddedCluster.Configuration(binary: "/nowhere/ringmaster", workers: 1)) { _ in }
        }
        #expect(error?.message.contains("/nowhere/ringmaster") == true)
    }
}
