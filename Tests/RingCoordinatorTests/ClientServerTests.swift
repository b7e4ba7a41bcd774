// The client against the real server in this process, method by method, and across the end of one coordinator and the beginning
// of the next.

import Foundation
import RingClient
import RingControl
import RingCoordinator
import RingCore
import Synchronization
import Testing

/// What a follower has been given.
private final class Seen: Sendable {
    let news = Mutex<[JobNews]>([])
}

@Suite("Client and server", .timeLimit(.minutes(1)))
struct ClientServerTests {
    private func withClient<Result>(_ address: String, key: String? = "secret", _ body: (ClusterClient) async throws -> Result) async throws
        -> Result
    {
        let connection = try ClusterConnection(.init(address: address, key: key))
        do {
            let result = try await body(ClusterClient(connection, patienceSeconds: 20))
            await connection.close()
            return result
        } catch {
            await connection.close()
            throw error
        }
    }

    private static var attend: JobSpec {
        let shape = AttentionShape(tokens: 64, heads: 2, kvHeads: 1, headDim: 64, valueDim: 64, element: .f32)
        return .attend(AttendSpec(input: .seeded(seed: 1), shape: shape, causal: true))
    }

    @Test("a prompt in pieces is answered, and its events are numbered from one to the end")
    func generate() async throws {
        try await Bench.run(workers: ["a", "b"]) { bench in
            try await withClient(bench.address) { client in
                // Each id is its own position: the scripted workers see whether a piece went astray.
                let prompt = (0..<UInt32(ClientLimits.promptTokensPerRequest + 5)).map { $0 }
                var order = JobOrder(.generate(GenerateSpec(modelFolder: "m", promptTokenCount: prompt.count, maxTokens: 3)))
                order.workers = 2
                let job = try await client.submit(order, prompt: prompt, idempotencyKey: "prompted")
                var (tokens, sequences): ([UInt32], [Int]) = ([], [])
                var end: JobEvent?
                for try await news in client.events(of: job.id) {
                    if case .token(_, let id) = news.event { tokens.append(id) }
                    sequences += news.sequence.map { [$0] } ?? []
                    end = news.event
                }
                guard case .succeeded(let summaries) = end else {
                    Issue.record("\(String(describing: end))")
                    return
                }
                #expect(tokens == [100, 101, 102] && summaries.map(\.tokensOwned).reduce(0, +) == prompt.count)
                #expect(sequences == Array(1...sequences.count))
                let view = try await client.job(job.id)
                #expect(view.state == .succeeded && view.tokensGenerated == 3 && view.settledAt != nil)
                var rest = 0
                for try await _ in client.events(of: job.id, after: sequences.count - 2) { rest += 1 }
                #expect(rest >= 2)
                // Again under the same key: the same job, whose prompt is not asked for any more.
                #expect(try await client.submit(order, prompt: prompt, idempotencyKey: "prompted").id == job.id)
            }
        }
    }

    @Test("one key is one job, and a random one is a new job each time")
    func idempotency() async throws {
        try await Bench.run { bench in
            try await withClient(bench.address) { client in
                let order = JobOrder(Self.attend)
                let (first, isNew) = try await client.submit(order, idempotencyKey: "k")
                let (again, isNewAgain) = try await client.submit(order, idempotencyKey: "k")
                #expect(first.id == again.id && isNew && !isNewAgain)
                let other = try await client.submit(JobOrder(Self.attend))
                #expect(other.isNew && other.job.id != first.id)
                let all = try await client.jobs()
                #expect(all.map(\.id) == [first.id, other.job.id])
                #expect(try await client.jobs(limit: 1).map(\.id) == [other.job.id])
                #expect(try await client.cancel(first.id).state == .cancelled)
                #expect(try await client.jobs(state: .cancelled).map(\.id) == [first.id])
                #expect(try await client.jobs(state: .running).isEmpty)
            }
        }
    }

    @Test("workers, cluster, version and drains")
    func cluster() async throws {
        try await Bench.run(workers: ["a", "b"]) { bench in
            try await withClient(bench.address) { client in
                let joined = try await bench.wait { try await client.workers().count == 2 }
                #expect(joined)
                #expect(try await client.workers().map(\.registration.name).sorted() == ["a", "b"])
                #expect(try await client.version() == RingmasterVersion.text)
                #expect(try await client.cluster().workers.idle == 2)
                try await client.drainWorker("a")
                let left = try await bench.wait { try await client.workers().map(\.registration.name) == ["b"] }
                #expect(left)
                for nobody in ["nobody", "../x", "a/b", "?", "ü"] {
                    await #expect(throws: ClientError.self, "\(nobody)") { try await client.drainWorker(nobody) }
                }
                try await client.drainCluster()
                let error = await #expect(throws: ClientError.self) { try await client.submit(JobOrder(Self.attend)) }
                guard case .refused(let refusal) = error else {
                    Issue.record("\(String(describing: error))")
                    return
                }
                #expect(refusal.status == 503 && refusal.isTemporary, "\(refusal)")
            }
        }
    }

    @Test("a wrong key and an unknown job are refusals with their codes")
    func refusals() async throws {
        try await Bench.run { bench in
            for key in [nil, "guess"] {
                let error = await #expect(throws: ClientError.self) {
                    try await withClient(bench.address, key: key) { try await $0.jobs() }
                }
                guard case .refused(let refusal) = error else {
                    Issue.record("\(String(describing: error))")
                    continue
                }
                #expect(refusal.status == 401 && refusal.code == "unauthorized")
            }
            let error = await #expect(throws: ClientError.self) {
                try await withClient(bench.address) { client in
                    for try await _ in client.events(of: JobNumber(99)) {}
                }
            }
            guard case .refused(let refusal) = error else {
                Issue.record("\(String(describing: error))")
                return
            }
            #expect(refusal.status == 404 && refusal.code == "not_found" && refusal.message.contains("99"))
        }
    }

    @Test("a follower reads on from the next coordinator without losing or repeating an event")
    func restart() async throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "ringmaster-\(UUID().uuidString)").path(percentEncoded: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        /// A coordinator on `port` with the store of this test, from ready until `body` returns.
        func coordinate<Result: Sendable>(_ port: Int, _ body: @escaping @Sendable (Bench) async throws -> Result) async throws -> Result {
            let shell = try CoordinatorShell(
                version: RingmasterVersion.text, policy: .daemon, store: try SQLiteJobStore(folder: folder))
            let server = CoordinatorServer(shell: shell, token: JoinToken(text: "secret"))
            let result = try await server.run(port: port) { try await body(Bench(server: server, address: "http://127.0.0.1:\($0)")) }
            await shell.close()
            return result
        }
        let seen = Seen()
        let (port, follower) = try await coordinate(0) { bench in
            let job = try await withClient(bench.address) { try await $0.submit(JobOrder(Self.attend)).job.id }
            let address = bench.address
            let follower = Task { () async throws -> Void in
                try await withClient(address) { client in
                    for try await news in client.events(of: job) { seen.news.withLock { $0.append(news) } }
                }
            }
            let isHeard = try await bench.wait { seen.news.withLock { !$0.isEmpty } }
            #expect(isHeard)
            return (Int(address.split(separator: ":").last ?? "") ?? 0, follower)
        }
        try await Task.sleep(for: .milliseconds(300))
        try await coordinate(port) { bench in
            let session = try bench.session("a")
            let work = Task { try? await session.run() }
            let ended = try await bench.wait { seen.news.withLock { $0.last?.event.isFinal == true } }
            #expect(ended, "\(seen.news.withLock { $0 })")
            work.cancel()
            _ = await work.value
        }
        try await follower.value
        let sequences = seen.news.withLock { $0.compactMap(\.sequence) }
        #expect(sequences == Array(1...max(1, sequences.count)) && sequences.count >= 4, "\(sequences)")
        #expect(seen.news.withLock { if case .succeeded = $0.last?.event { true } else { false } })
    }

    @Test("over TLS only the cluster's own authority is trusted, and a key does what its role allows")
    func certificates() async throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "ringmaster-\(UUID().uuidString)").path(percentEncoded: false)
        defer { try? FileManager.default.removeItem(atPath: root) }
        let folder = try StateFolder(root + "/cluster", creating: true)
        let authority = try ClusterAuthority.create(in: folder, hosts: ["127.0.0.1"])
        let other = try ClusterAuthority.create(in: try StateFolder(root + "/other", creating: true), hosts: ["127.0.0.1"])
        let security = try ClusterSecurity(loading: folder)
        let reader = try security.keys.create(name: "r", role: .read).text
        let submitter = try security.keys.create(name: "s", role: .submit).text
        let shell = try CoordinatorShell(version: RingmasterVersion.text, policy: .daemon)
        let server = CoordinatorServer(shell: shell, security: .certificates(security))
        /// What a client that trusts `authority` and shows `key` gets for a submission.
        @Sendable func submit(_ port: Int, _ authority: ClusterAuthority, _ key: String?) async throws -> Result<String, ClientError> {
            let tls = try ClusterTLS.configuration(authority: Data(authority.certificatePEM.utf8))
            let connection = try ClusterConnection(.init(address: "https://127.0.0.1:\(port)", key: key, tls: tls))
            let result: Result<String, ClientError>
            do throws(ClientError) {
                result = .success(
                    try await ClusterClient(connection, patienceSeconds: 0).submit(JobOrder(Self.attend)).job.owner)
            } catch {
                result = .failure(error)
            }
            await connection.close()
            return result
        }
        try await server.run { port in
            #expect(try await submit(port, authority, submitter) == .success("s"))
            for (key, status) in [(reader, 403), ("guess", 401), (nil, 401)] as [(String?, Int)] {
                guard case .failure(.refused(let refusal)) = try await submit(port, authority, key) else {
                    Issue.record("\(key ?? "no key") is not refused")
                    continue
                }
                #expect(refusal.status == status, "\(refusal)")
            }
            guard case .failure(.untrusted) = try await submit(port, other, submitter) else {
                Issue.record("a server of another authority is spoken to")
                return
            }
        }
    }
}
