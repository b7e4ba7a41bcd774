// Credentials over time, on a running server: rotation, revocation, certificates that end.

import Foundation
import RingClient
import RingCoordinator
import RingWorker
import Testing

@Suite("Security: lives of credentials", .serialized, .timeLimit(.minutes(2)))
struct SecurityLifeTests {
    private static let probe = "/v1/workers/9/reports?batch=1"

    @Test("a worker rotates its certificate; the old one counts on, both are gone when the worker is shut out")
    func rotation() async throws {
        try await SecurityBench.run { bench in
            let first = try await bench.worker("w")
            #expect(first.rotationDueAt > Date() && first.rotationDueAt <= Date() + 5 * 86_400)
            #expect(first.rotationDueAt < first.expiresAt && !first.isExpired(at: Date()))
            let second = try await first.rotated(address: bench.address)
            #expect(second.name == "w" && second.expiresAt >= first.expiresAt)
            let kept = try #require(try WorkerIdentity.load(folder: bench.folder.path + "/w"))
            #expect(kept.expiresAt == second.expiresAt)
            for identity in [first, second, kept] {
                #expect(try await bench.ask("POST", Self.probe, tls: identity.tlsConfiguration()).status == 404)
            }
            try bench.security.roll.remove("w")
            try await Task.sleep(for: .milliseconds(300))
            for identity in [first, second] {
                #expect(try await bench.ask("POST", Self.probe, tls: identity.tlsConfiguration()).status == 401)
            }
            let error = await #expect(throws: ClientError.self) { _ = try await second.rotated(address: bench.address) }
            guard case .refused(let refusal) = error else { throw error ?? ClientError.cancelled }
            #expect(refusal.status == 401)
            let actions = try bench.security.audit.verified().map(\.action)
            #expect(actions == [.join, .certificateIssue])
        }
    }

    @Test("a revoked key is turned away from the next request on, on a connection that is open too")
    func revokedKey() async throws {
        try await SecurityBench.run { bench in
            let (text, record) = try bench.security.keys.create(name: "alice", role: .submit)
            let caller = Caller(address: bench.address, tls: try bench.trust(), key: text)
            #expect(try await caller.ask("GET", "/v1/jobs").status == 200)
            // Another process would do it like this: over the folder, not over the server's own value.
            _ = try ClientKeys(in: bench.folder).revoke(id: record.id)
            #expect(try await caller.ask("GET", "/v1/jobs").status == 401)
            await caller.close()
        }
    }

    @Test("streams break off when the key that opened them is revoked, and when the worker is shut out")
    func streams() async throws {
        try await SecurityBench.run { bench in
            let (text, record) = try bench.security.keys.create(name: "alice", role: .submit)
            #expect(try await bench.ask("POST", "/v1/jobs", json: attendRequest(workers: 1), key: text).status == 201)
            let client = Caller(address: bench.address, tls: try bench.trust(), key: text)
            let followed = try await client.lasts("/v1/jobs/1/events") { _ = try bench.security.keys.revoke(id: record.id) }
            #expect(followed < 3)
            let worker = Caller(address: bench.address, tls: try await bench.worker("w").tlsConfiguration())
            let id = try await worker.ask("POST", "/v1/workers", registration("w")).text.filter(\.isNumber)
            let directed = try await worker.lasts("/v1/workers/\(id)/directives") { try bench.security.roll.remove("w") }
            #expect(directed < 1.5)
            await client.close()
            await worker.close()
        }
    }

    @Test("a connection outlives its certificate, but what it asks for is turned away from then on")
    func expiry() async throws {
        try await SecurityBench.run(configure: { $0.workerCertificateDays = 3.0 / 86_400 }) { bench in
            let worker = try await bench.worker("w")
            let caller = Caller(address: bench.address, tls: try worker.tlsConfiguration())
            #expect(try await caller.ask("POST", Self.probe).status == 404)
            try await Task.sleep(for: .seconds(3.5))
            #expect(worker.isExpired(at: Date()))
            let after = try? await caller.ask("POST", Self.probe).status
            #expect(after == 401 || after == nil)
            await caller.close()
            await #expect(throws: (any Error).self) { _ = try await bench.ask("POST", Self.probe, tls: worker.tlsConfiguration()) }
        }
    }

    @Test("the server renews its own certificate while it runs")
    func serverRenewal() async throws {
        try await SecurityBench.run(configure: { $0.serverCertificateDays = 3.0 / 86_400 }) { bench in
            #expect(try await bench.ask("GET", "/healthz").status == 200)
            try await Task.sleep(for: .seconds(4))
            #expect(try await bench.ask("GET", "/healthz").status == 200)
        }
    }

    @Test("a worker's file is its owner's alone, and is refused when others may read it")
    func workerFile() async throws {
        try await SecurityBench.run { bench in
            _ = try await bench.worker("w")
            let path = bench.folder.path + "/w/worker-identity.pem"
            #expect(try mode(of: path) == 0o600 && mode(of: bench.folder.path + "/w") == 0o700)
            try FileManager.default.setAttributes([.posixPermissions: 0o640], ofItemAtPath: path)
            #expect(throws: ClientError.self) { _ = try WorkerIdentity.load(folder: bench.folder.path + "/w") }
            #expect(try WorkerIdentity.load(folder: bench.folder.path + "/nowhere") == nil)
        }
    }
}

/// Permissions of a file or folder.
func mode(of path: String) throws -> Int? { try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int }
