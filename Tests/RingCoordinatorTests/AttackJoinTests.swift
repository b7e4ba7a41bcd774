// Coming in by the front door: join tokens, requests to sign, pinned authorities, certificates.

import Crypto
import Foundation
import NIOSSL
import RingClient
import RingControl
import RingCoordinator
import RingWorker
import Testing

@Suite("Attack: joining", .serialized, .timeLimit(.minutes(2)))
struct AttackJoinTests {
    private static func join(_ bench: SecurityBench, token: String, csr: String) async throws -> (status: UInt, text: String) {
        let body = try JSONEncoder().encode(["token": token, "csr": csr])
        return try await bench.ask("POST", "/v1/join", Array(body))
    }

    private static let honest = ["spiffe://ringmaster/worker/w"]

    @Test("no token, a wrong one, one in another shape, an expired, a revoked and a used one are told apart by nobody")
    func badTokens() async throws {
        try await SecurityBench.run { bench in
            let tokens = bench.security.tokens
            let expired = try tokens.create(hours: 1, now: Date() - 7200).text
            let revoked = try tokens.create()
            try tokens.revoke(id: revoked.record.id)
            let used = try tokens.create().text
            #expect(try await Self.join(bench, token: used, csr: signingRequest(Self.honest)).status == 201)
            let bound = try tokens.create(worker: "other").text
            let good = try tokens.create().text
            let wrong = good.prefix(7) + String(repeating: "a", count: 16)
            var answers: Set<String> = []
            for token in ["", String(wrong), good.uppercased(), expired, revoked.text, used, bound] {
                let (status, text) = try await Self.join(bench, token: token, csr: signingRequest(["spiffe://ringmaster/worker/new"]))
                #expect(status == 401, "\(token): \(text)")
                answers.insert(text)
            }
            #expect(answers.count == 1, "\(answers)")
            #expect(try tokens.list().contains { $0.usedBy == "new" } == false)
        }
    }

    @Test("ten tries from one address, then a pause, also for the right token")
    func guessing() async throws {
        try await SecurityBench.run { bench in
            let good = try bench.security.tokens.create().text
            var statuses: [UInt] = []
            for _ in 0..<12 {
                statuses.append(try await Self.join(bench, token: "abcdef.0123456789abcdef", csr: signingRequest(Self.honest)).status)
            }
            #expect(statuses.prefix(10).allSatisfy { $0 == 401 } && statuses.suffix(2).allSatisfy { $0 == 429 }, "\(statuses)")
            #expect(try await Self.join(bench, token: good, csr: signingRequest(Self.honest)).status == 429)
            #expect(try await bench.ask("GET", "/v1/jobs", key: try bench.key("a", .read)).status == 200)
        }
    }

    @Test("a request to sign that proves no key, or names no or two or a strange worker, costs no token and gets nothing")
    func badRequests() async throws {
        try await SecurityBench.run { bench in
            let token = try bench.security.tokens.create().text
            let prefix = "spiffe://ringmaster/worker/"
            let bad = try [
                "", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----",
                signingRequest(Self.honest, signedBy: .init()), signingRequest([]), signingRequest([prefix + "a", prefix + "b"]),
                signingRequest([prefix + "../etc"]), signingRequest([prefix]), signingRequest(["spiffe://elsewhere/worker/w"]),
            ]
            for csr in bad {
                let (status, text) = try await Self.join(bench, token: token, csr: csr)
                #expect(status == 400, "\(csr): \(text)")
            }
            #expect(try bench.security.tokens.list().allSatisfy { $0.usedAt == nil })
        }
    }

    @Test("what a request asks for beside its name is not granted: no authority over others comes of it")
    func noAuthority() async throws {
        try await withStateFolder { folder in
            let authority = try ClusterAuthority.create(in: folder, hosts: [])
            let issued = try authority.sign(request: signingRequest(Self.honest, isAuthority: true))
            let certificate = try CertificateFacts(issued.certificatePEM)
            #expect(!certificate.isAuthority && !certificate.isForServers && certificate.isForClients)
            #expect(certificate.end.timeIntervalSinceNow < 7.01 * 86_400)
        }
    }

    @Test("a name that is in use is given to a second machine only by a token made for it, and the first is out then")
    func takeover() async throws {
        try await SecurityBench.run { bench in
            let first = try await bench.worker("w").tlsConfiguration()
            let error = await #expect(throws: ClientError.self) { _ = try await bench.worker("w") }
            guard case .refused(let refusal) = error else { throw error ?? ClientError.cancelled }
            #expect(refusal.status == 409)
            #expect(try await bench.ask("POST", "/v1/workers", registration("w"), tls: first).status == 201)
            let second = try await bench.worker("w", mayReplace: true).tlsConfiguration()
            try await Task.sleep(for: .milliseconds(300))
            #expect(try await bench.ask("GET", "/v1/workers/1/directives", tls: first).status == 401)
            #expect(try await bench.ask("POST", "/v1/workers/9/reports?batch=1", tls: second).status == 404)
        }
    }

    @Test("a worker sends its token to nobody whose authority has another fingerprint")
    func wrongFingerprint() async throws {
        try await SecurityBench.run { bench in
            let token = try bench.security.tokens.create().text
            let strange = "sha256:" + String(repeating: "0", count: 64)
            for fingerprint in [strange, "", "sha256:xyz", bench.security.authority.fingerprint.uppercased()] {
                await #expect(throws: ClientError.self) {
                    _ = try await WorkerIdentity.join(
                        address: bench.address, token: token, fingerprint: fingerprint, name: "w", folder: bench.folder.path + "/w")
                }
            }
            #expect(try bench.security.tokens.list().allSatisfy { $0.usedAt == nil })
            #expect(try bench.security.audit.verified().isEmpty)
            #expect(!FileManager.default.fileExists(atPath: bench.folder.path + "/w"))
        }
    }

    @Test("a certificate of another authority, an expired one, and a revoked one open no connection or no route")
    func certificates() async throws {
        try await SecurityBench.run { bench in
            let other = try await withStateFolder { folder in try ClusterAuthority.create(in: folder, hosts: []) }
            let key = P256.Signing.PrivateKey()
            let csr = try signingRequest(Self.honest, key: key)
            func tls(_ issued: ClusterAuthority.Issued) throws -> TLSConfiguration {
                try ClusterTLS.configuration(
                    authority: Data(bench.security.authority.certificatePEM.utf8), certificate: Data(issued.certificatePEM.utf8),
                    privateKey: Data(key.pemRepresentation.utf8))
            }
            // Foreign, and long over: the handshake fails, no answer comes.
            for issued in [
                try other.sign(request: csr), try bench.security.authority.sign(request: csr, days: 1, now: Date() - 3 * 86_400),
            ] {
                await #expect(throws: (any Error).self) { _ = try await bench.ask("GET", "/healthz", tls: tls(issued)) }
            }
            // Well signed, but never admitted: as good as none.
            let stray = try bench.security.authority.sign(request: csr)
            #expect(try await bench.ask("GET", "/v1/jobs/1/prompt?start=0&count=1", tls: tls(stray)).status == 401)
            #expect(try await bench.ask("GET", "/healthz").status == 200)
        }
    }

    @Test("a client does not talk to a server of another authority")
    func strangerAsServer() async throws {
        try await SecurityBench.run { bench in
            let other = try await withStateFolder { folder in try ClusterAuthority.create(in: folder, hosts: []) }
            let trust = try ClusterTLS.configuration(authority: Data(other.certificatePEM.utf8))
            await #expect(throws: (any Error).self) { _ = try await bench.ask("GET", "/healthz", tls: trust) }
        }
    }
}
