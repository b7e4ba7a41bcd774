// The story that a coordinator and its workers write to their logs, read back from the lines; and what must never be in one.

import Foundation
import Logging
import RingControl
import RingCoordinator
import RingCore
import RingTelemetry
import RingWorker
import Synchronization
import Testing

/// A log that is read back.
final class LogReader: Sendable {
    private let bytes = Mutex(Data())
    private let sink: Mutex<LogSink?> = Mutex(nil)

    init() { sink.withLock { $0 = LogSink(.json) { [weak self] more in self?.bytes.withLock { $0 += more } } } }

    func logger(_ label: String, level: Logger.Level = .info) -> Logger {
        sink.withLock { $0?.logger(label, level: level) } ?? .silent
    }

    var text: String {
        sink.withLock { $0 }?.flush()
        return bytes.withLock { String(decoding: $0, as: UTF8.self) }
    }

    /// Every line; a line that is no JSON object is an error.
    func objects() throws -> [[String: Any]] {
        try text.split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any], "\(line)")
        }
    }

    /// The first line of this message that fits.
    func first(_ message: String, where fits: ([String: Any]) -> Bool = { _ in true }) throws -> [String: Any]? {
        try objects().first { $0["msg"] as? String == message && fits($0) }
    }
}

@Suite("Log of a cluster", .serialized, .timeLimit(.minutes(1)))
struct CoordinatorLogTests {
    @Test("a job whose worker falls silent: each step is a line, in order, and a hostile name forges none")
    func story() async throws {
        var policy = CoordinatorPolicy.daemon
        policy.silenceSeconds = 1.5
        let log = LogReader()
        let name = "mute\n{\"ts\":\"0\",\"msg\":\"forged\"}"
        try await Bench.run(policy: policy, logger: log.logger("c")) { bench in
            let registration = WorkerRegistration(
                name: name, pid: 1, machine: "m", isa: "scalar", cpus: 1, numaNodes: 1, memoryBytes: 1, dataHost: "127.0.0.1", dataPort: 1,
                version: RingmasterVersion.text)
            _ = try await bench.server.shell.join(registration)
            try await bench.expect(201, "POST", "/v1/jobs", json: attendRequest(workers: 1))
            #expect(try await bench.wait { try log.first("job retrying") != nil })
            let session = try bench.session("b", policy: .daemon, logger: log.logger("w", level: .debug))
            let task = Task { try await session.run() }
            #expect(try await bench.wait { try log.first("job succeeded") != nil })
            await session.drain()
            try await task.value
            #expect(try await bench.wait { try log.first("worker left") != nil })
        }
        let story = try log.objects().filter { $0["logger"] as? String == "c" }
        #expect(
            story.compactMap { $0["msg"] as? String } == [
                "worker joined", "job submitted", "job placed", "worker suspected", "worker lost", "job retrying", "worker joined",
                "job placed", "job running", "job succeeded", "worker draining", "worker left",
            ], "\(log.text)")
        try #require(story.count == 12)
        #expect(story[0]["worker"] as? String == name && story[4]["worker"] as? String == name && story[4]["level"] as? String == "warning")
        #expect((story[4]["reason"] as? String)?.contains("silent") == true)
        #expect(story[1]["job"] as? Int == 1 && story[1]["kind"] as? String == "attend" && story[1]["tokens"] as? Int == 64)
        #expect(story[2]["workers"] as? [String] == [name] && story[2]["epoch"] as? Int == 1 && story[7]["epoch"] as? Int == 2)
        #expect(story[5]["code"] as? String == "worker_lost" && story[5]["attempt"] as? Int == 1 && story[5]["rank"] as? Int == 0)
        #expect((story[9]["seconds"] as? Double ?? -1) > 0 && story[9]["attempt"] as? Int == 2, "\(story[9])")
    }

    @Test("the worker's side: joined, prepared, started, finished, leaving, with job, epoch and rank")
    func worker() async throws {
        let log = LogReader()
        try await Bench.run { bench in
            let session = try bench.session("b", policy: .daemon, logger: log.logger("w"))
            let task = Task { try await session.run() }
            try await bench.expect(201, "POST", "/v1/jobs", json: attendRequest(workers: 1))
            let last = try await bench.events(of: 1).last ?? ""
            #expect(last.contains("succeeded"), "\(last)")
            await session.stop()
            try await task.value
        }
        // The engine's thread may still be on its way out when the worker is told to stop.
        let story = try log.objects().filter { $0["msg"] as? String != "run given up" }
        #expect(
            story.compactMap { $0["msg"] as? String } == [
                "joining", "joined the coordinator", "run prepared", "run started", "run finished", "stopping", "leaving",
            ], "\(log.text)")
        for line in story.dropFirst(2).prefix(3) {
            #expect(line["job"] as? Int == 1 && line["epoch"] as? Int == 1 && line["rank"] as? Int == 0 && line["ranks"] as? Int == 1)
        }
    }

    @Test("a coordinator that is away: told once as a warning, with the wait, then as routine")
    func unreachable() async throws {
        let log = LogReader()
        let bench = try await Bench.run { $0 }
        let session = try bench.session("a", policy: .daemon, logger: log.logger("w"))
        let task = Task { try await session.run() }
        #expect(try await bench.wait { try log.objects().count { $0["msg"] as? String == "coordinator unreachable" } >= 3 })
        await session.stop()
        try await task.value
        let lines = try log.objects().filter { $0["msg"] as? String == "coordinator unreachable" }
        #expect(lines.first?["level"] as? String == "warning" && lines.dropFirst().allSatisfy { $0["level"] as? String == "info" })
        for line in lines {
            #expect((line["retry_seconds"] as? Double ?? -1) > 0 && (line["reason"] as? String)?.isEmpty == false, "\(line)")
        }
    }

    @Test("guesses at the door are told, few lines however many they are, and never what was guessed")
    func refusals() async throws {
        let log = LogReader()
        try await Bench.run(logger: log.logger("c", level: .trace)) { bench in
            for _ in 0..<40 { try await bench.expect(401, "GET", "/v1/jobs", token: "guessed-password") }
            #expect(try await bench.ask("GET", "/v1/jobs").status == 200)
        }
        let refused = try log.objects().filter { $0["msg"] as? String == "request refused" }
        #expect(!refused.isEmpty && refused.count < 20, "\(refused.count) lines")
        #expect(refused.first?["address"] as? String == "127.0.0.1" && refused.first?["code"] as? String == "unauthorized")
        #expect(refused.allSatisfy { $0["level"] as? String == "warning" })
        #expect(try log.first("request") { $0["status"] as? Int == 200 } != nil, "a request is a line at debug")
        #expect(!log.text.contains("guessed-password") && !log.text.contains("secret"), "\(log.text)")
    }

    @Test("a prompt, an answer and the ring's secret are in no line, at any level")
    func secrets() async throws {
        let log = LogReader()
        let seen = Mutex("")
        let script = Script { assignment, prompt, context throws(ExecutionError) in
            seen.withLock { $0 = assignment.secret }
            return try Script.echo.body(assignment, prompt, context)
        }
        try await Bench.run(logger: log.logger("c", level: .trace)) { bench in
            let session = try bench.session("a", executor: script, logger: log.logger("w", level: .trace))
            let task = Task { try await session.run() }
            try await bench.expect(201, "POST", "/v1/jobs", json: generateRequest(tokens: 7, workers: 1))
            // Script.echo answers 100, 101, 102.
            try await bench.expect(204, "PUT", "/v1/jobs/1/prompt?start=0", words(0..<7))
            let last = try await bench.events(of: 1).last ?? ""
            #expect(last.contains("succeeded"), "\(last)")
            await session.stop()
            try await task.value
        }
        let secret = seen.withLock { $0 }
        #expect(secret.utf8.count == 64)
        #expect(try log.first("job succeeded") { $0["tokens_generated"] as? Int == 3 } != nil, "\(log.text)")
        #expect(!log.text.contains(secret) && !log.text.contains("\"secret\""), "\(log.text)")
        for answer in [100, 101, 102] {
            #expect(try !log.objects().contains { $0.values.contains { $0 as? Int == answer } }, "\(log.text)")
        }
    }

    @Test("a store that fails is told once, and once when it works again")
    func store() async throws {
        let (log, store) = (LogReader(), FlakyStore())
        let shell = try CoordinatorShell(version: "1", policy: CoordinatorPolicy(), store: store, logger: log.logger("c"))
        let server = CoordinatorServer(shell: shell, token: JoinToken(text: "secret"))
        try await server.run { port in
            let bench = Bench(server: server, address: "http://127.0.0.1:\(port)")
            store.fails.withLock { $0 = true }
            for _ in 0..<3 { try await bench.expect(503, "POST", "/v1/jobs", json: attendRequest(workers: 1)) }
            store.fails.withLock { $0 = false }
            try await bench.expect(201, "POST", "/v1/jobs", json: attendRequest(workers: 1))
        }
        let told = try log.objects().filter { ($0["msg"] as? String)?.hasPrefix("store") == true }
        #expect(told.compactMap { $0["msg"] as? String } == ["store cannot be written", "store can be written again"], "\(log.text)")
        #expect(told.first?["level"] as? String == "error" && (told.first?["reason"] as? String)?.contains("full") == true)
    }

    @Test("with certificates: who is let in and who is not, without the token")
    func admission() async throws {
        let log = LogReader()
        try await SecurityBench.run(logger: log.logger("c", level: .trace)) { bench in
            let (token, _) = try bench.security.tokens.create(worker: nil)
            func join() async throws -> WorkerIdentity {
                try await WorkerIdentity.join(
                    address: bench.address, token: token, fingerprint: bench.security.authority.fingerprint, name: "w",
                    folder: bench.folder.path + "/w")
            }
            let identity = try await join()
            _ = try await identity.rotated(address: bench.address)
            await #expect(throws: (any Error).self) { try await join() }
            let secret = try #require(token.split(separator: ".").last)
            #expect(!log.text.contains(secret), "\(log.text)")
        }
        #expect(try log.first("worker admitted") { $0["worker"] as? String == "w" } != nil, "\(log.text)")
        #expect(try log.first("certificate issued") { $0["worker"] as? String == "w" } != nil, "\(log.text)")
        #expect(try log.first("request refused") { ($0["route"] as? String)?.hasSuffix("/join") == true } != nil, "\(log.text)")
    }
}

/// A store whose disk is full for as long as the test says.
private final class FlakyStore: JobStore {
    let fails = Mutex(false)
    func load() throws(StoreError) -> StoredState { StoredState() }
    func events(of job: JobNumber) throws(StoreError) -> [JobNews] { [] }
    func prompt(of job: JobNumber) throws(StoreError) -> [(start: Int, ids: [UInt32])] { [] }
    func commit(_ changes: [StoreChange]) throws(StoreError) {
        if fails.withLock({ $0 }) { throw .unwritable("the disk is full") }
    }
}
