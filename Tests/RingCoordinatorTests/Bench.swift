// A server, workers with scripted executors and an HTTP client, all in this process: everything but the engine is real.

import AsyncHTTPClient
import Foundation
import Logging
import NIOCore
import RingClient
import RingControl
import RingCoordinator
import RingCore
import RingTelemetry
import RingTransport
import RingWorker
import Synchronization
import Testing

/// What a scripted worker does with a job.
struct Script: JobExecutor {
    let body: @Sendable (Assignment, [PromptChunk], ExecutionContext) throws(ExecutionError) -> WorkerSummary?

    func execute(_ assignment: Assignment, prompt: [PromptChunk], context: ExecutionContext) throws(ExecutionError) -> WorkerSummary? {
        try body(assignment, prompt, context)
    }

    /// Echoes the prompt: rank 0 reports the sum of its ids, everybody its tokens.
    static let echo = Script { assignment, prompt, context throws(ExecutionError) in
        context.report(.progress(assignment.run, progress(done: 0, of: prompt.count)))
        guard context.awaitStart() else { return nil }
        context.report(.progress(assignment.run, progress(done: prompt.count, of: prompt.count)))
        var summary = WorkerSummary(rank: assignment.rank)
        summary.tokensOwned = prompt.reduce(0) { $0 + $1.ids.count }
        if assignment.rank == 0 {
            for index in 0..<3 { context.report(.token(assignment.run, index: index, id: UInt32(100 + index))) }
        }
        // Every id is its own position: a chunk that came from elsewhere shows.
        for chunk in prompt where chunk.ids != (chunk.start..<chunk.start + chunk.ids.count).map({ UInt32($0) }) {
            throw ExecutionError(.internalError, "chunk at \(chunk.start) holds other ids")
        }
        return summary
    }

    /// Works until it is told to give up.
    static let endless = Script { assignment, _, context in
        guard context.awaitStart() else { return nil }
        context.report(
            .progress(
                assignment.run,
                WorkerProgress(
                    phase: .attend, layer: 0, layers: 1, step: 1, steps: 4, tokensDone: 1, tokensTotal: 4)))
        while !context.isCancelled() { Thread.sleep(forTimeInterval: 0.005) }
        return nil
    }

    private static func progress(done: Int, of total: Int) -> WorkerProgress {
        WorkerProgress(phase: .prefill, layer: 0, layers: 1, step: 0, steps: 1, tokensDone: done, tokensTotal: total)
    }
}

/// A server under test and how to speak to it.
struct Bench: Sendable {
    let server: CoordinatorServer
    let address: String

    /// Runs `body` beside a server with workers of these names.
    static func run<Result: Sendable>(
        workers: [String] = [], executor: Script = .echo, policy: CoordinatorPolicy = CoordinatorPolicy(),
        store: any JobStore = MemoryJobStore(), logger: Logger = .silent,
        _ body: @escaping @Sendable (Bench) async throws -> Result
    ) async throws -> Result {
        let shell = try CoordinatorShell(version: RingmasterVersion.text, policy: policy, store: store, logger: logger)
        var server = CoordinatorServer(shell: shell, token: JoinToken(text: "secret"))
        server.logger = logger
        let running = server
        return try await server.run { port in
            let bench = Bench(server: running, address: "http://127.0.0.1:\(port)")
            return try await withThrowingTaskGroup(of: Void.self) { group in
                for name in workers { group.addTask { try? await bench.session(name, executor: executor).run() } }
                defer { group.cancelAll() }
                return try await body(bench)
            }
        }
    }

    func session(
        _ name: String, token: String = "secret", executor: Script = .echo, policy: WorkerPolicy = .embedded,
        logger: Logger = .silent
    ) throws -> WorkerSession {
        let registration = WorkerRegistration(
            name: name, pid: 1, machine: "m", isa: "scalar", cpus: 2, numaNodes: 1, memoryBytes: 1 << 30, dataHost: "127.0.0.1",
            dataPort: 1, version: RingmasterVersion.text, instance: UUID().uuidString)
        return try WorkerSession(
            ClusterConnection.Configuration(address: address, key: token), registration: registration, listener: try TCPListener(),
            executor: executor, policy: policy, logger: logger)
    }

    /// One request; gives the status and the body as text.
    func ask(
        _ method: String, _ path: String, _ body: [UInt8] = [], token: String? = "secret"
    ) async throws -> (status: UInt, text: String) {
        var request = HTTPClientRequest(url: address + path)
        request.method = .init(rawValue: method)
        if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
        if !body.isEmpty { request.body = .bytes(ByteBuffer(bytes: body)) }
        let response = try await HTTPClient.shared.execute(request, timeout: .seconds(20))
        let answer = try await response.body.collect(upTo: 32 << 20)
        return (response.status.code, String(buffer: answer))
    }

    /// One request that must be answered with `status`.
    func expect(
        _ status: UInt, _ method: String, _ path: String, _ body: [UInt8] = [], json: String? = nil, token: String? = "secret",
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let answer = try await ask(method, path, json.map { Array($0.utf8) } ?? body, token: token)
        #expect(answer.status == status, "\(method) \(path): \(answer.text)", sourceLocation: sourceLocation)
    }

    func ask(_ method: String, _ path: String, json: String, token: String? = "secret") async throws -> (status: UInt, text: String) {
        try await ask(method, path, Array(json.utf8), token: token)
    }

    /// The lines of a job's event stream, to its end.
    func events(of job: Int) async throws -> [String] {
        try await ask("GET", "/v1/jobs/\(job)/events").text.split(separator: "\n").map(String.init)
    }

    /// Waits until `condition` holds, at most ten seconds.
    func wait(until condition: @Sendable () async throws -> Bool) async throws -> Bool {
        for _ in 0..<1000 {
            if try await condition() { return true }
            try await Task.sleep(for: .milliseconds(10))
        }
        return false
    }
}

/// A generate job as a person would post it.
func generateRequest(tokens: Int, workers: Int) -> String {
    """
    {"workers": \(workers), "spec": {"kind": "generate", "generate": {"model_folder": "/m", "prompt_token_count": \(tokens),
    "max_tokens": 3, "temperature": 0, "top_k": 0, "top_p": 1, "seed": 0, "ignore_eos": false, "stop_tokens": [], "kv_element": "f32",
    "allow_longer": false}}}
    """
}

/// An attend job as a person would post it.
func attendRequest(workers: Int) -> String {
    """
    {"workers": \(workers), "spec": {"kind": "attend", "attend": {"input": {"kind": "seeded", "seed": 1}, "causal": true,
    "shape": {"tokens": 64, "heads": 4, "kv_heads": 2, "head_dim": 64, "value_dim": 64, "element": "f32"}, "kv_element": "f32"}}}
    """
}

/// `ids` as they travel.
func words(_ ids: some Sequence<Int>) -> [UInt8] {
    ids.flatMap { id in (0..<4).map { UInt8(truncatingIfNeeded: id >> (8 * $0)) } }
}
