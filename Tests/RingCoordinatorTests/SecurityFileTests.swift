// The lists in the state folder without a server: what they keep, what two processes do to them, what a crash or a hand in them leaves.

import Foundation
import NIOCore
import RingCoordinator
import Testing

@Suite("Security: files", .timeLimit(.minutes(1)))
struct SecurityFileTests {
    @Test("a token has kubeadm's shape, works once, within its time, for the name it was made for")
    func tokens() async throws {
        try await withStateFolder { folder in
            let tokens = JoinTokens(in: folder)
            let (text, record) = try tokens.create(worker: "w")
            #expect(text.wholeMatch(of: /[a-z0-9]{6}\.[a-z0-9]{16}/) != nil)
            #expect(record.expiresAt - record.createdAt == 86_400 && record.state(at: Date()) == "open")
            #expect(throws: SecurityError.self) { _ = try tokens.redeem(text, for: "v") }
            #expect(throws: SecurityError.self) { _ = try tokens.redeem(text, for: "w", now: Date() + 90_000) }
            #expect(try tokens.redeem(text, for: "w").usedBy == "w")
            #expect(throws: SecurityError.self) { _ = try tokens.redeem(text, for: "w") }
            for hours in [0, -1, .nan, .infinity, 1e9] { #expect(throws: SecurityError.self) { _ = try tokens.create(hours: hours) } }
            #expect(throws: SecurityError.self) { _ = try tokens.create(worker: "../w") }
        }
    }

    @Test("two that use one token at the same moment: one gets in")
    func race() async throws {
        try await withStateFolder { folder in
            let text = try JoinTokens(in: folder).create().text
            let winners = await withTaskGroup(of: Bool.self) { group in
                for place in 0..<8 { group.addTask { (try? JoinTokens(in: folder).redeem(text, for: "w\(place)")) != nil } }
                return await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            #expect(winners == 1)
        }
    }

    @Test("writers at the same time lose none of each other's keys, and what is written is seen by others within a second")
    func concurrency() async throws {
        try await withStateFolder { folder in
            let reader = ClientKeys(in: folder)
            #expect(try reader.list().isEmpty)
            let texts = await withTaskGroup(of: String?.self) { group in
                for place in 0..<20 { group.addTask { try? ClientKeys(in: folder).create(name: "o\(place)", role: .read).text } }
                return await group.reduce(into: [String]()) { if let text = $1 { $0.append(text) } }
            }
            #expect(Set(texts).count == 20)
            try await Task.sleep(for: .milliseconds(300))
            for text in texts {
                #expect(text.wholeMatch(of: /rmk_[0-9a-f]{64}/) != nil)
                #expect(try reader.owner(of: text)?.role == .read)
            }
            #expect(try reader.owner(of: "rmk_" + String(repeating: "0", count: 64)) == nil)
        }
    }

    @Test("a damaged list opens to nobody and is not written over")
    func damaged() async throws {
        try await withStateFolder { folder in
            let text = try ClientKeys(in: folder).create(name: "a", role: .admin).text
            let file = URL(filePath: folder.path + "/client-keys.json")
            for bytes in [
                Data(), Data("[]".utf8), try Data(contentsOf: file).dropLast(20), Data(#"{"schema_version":2,"records":[]}"#.utf8),
            ] {
                try bytes.write(to: file)
                #expect(throws: SecurityError.self) { _ = try ClientKeys(in: folder).owner(of: text) }
                #expect(throws: SecurityError.self) { _ = try ClientKeys(in: folder).create(name: "b", role: .read) }
                #expect(try Data(contentsOf: file) == bytes)
            }
        }
    }

    @Test("an authority is made once, its key is refused when others may read it, and the fingerprint is that of its public key")
    func authority() async throws {
        try await withStateFolder { folder in
            let made = try ClusterAuthority.create(in: folder, hosts: ["ring.example", "10.0.0.7", "fd00::1"])
            #expect(made.fingerprint.wholeMatch(of: /sha256:[0-9a-f]{64}/) != nil)
            #expect(throws: SecurityError.self) { _ = try ClusterAuthority.create(in: folder, hosts: []) }
            #expect(try ClusterAuthority(loading: folder).fingerprint == made.fingerprint)
            let certificate = try CertificateFacts(made.serverIdentity().certificatePEM)
            #expect(certificate.isForServers && !certificate.isForClients && !certificate.isAuthority)
            for name in ["ring.example", "10.0.0.7", "fd00::1", "localhost", "127.0.0.1", "::1"] {
                #expect(certificate.names.contains(try HostName(name).name), "\(name)")
            }
            let path = folder.path + "/authority-key.pem"
            #expect(try mode(of: path) == 0o600)
            try FileManager.default.setAttributes([.posixPermissions: 0o644], ofItemAtPath: path)
            #expect(throws: SecurityError.self) { _ = try ClusterAuthority(loading: folder) }
        }
    }

    @Test("host names and addresses are told apart, and what is neither is refused")
    func hostNames() throws {
        #expect(try addressBytes("::") == [UInt8](repeating: 0, count: 16))
        #expect(try addressBytes("1:2:3:4:5:6:7:8") == [0, 1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8])
        #expect(try addressBytes("255.0.0.1") == [255, 0, 0, 1])
        #expect(try addressBytes("ring.example") == nil)
        for text in ["", "a b", "1:2", ":::", "1::2::3", "12345::", "-a", "a..b", "*.a", "a/b", "http://a", "a:80"] {
            #expect(throws: SecurityError.self, "\(text)") { _ = try HostName(text) }
        }
    }

    @Test("the audit log is a chain: a line that is changed, taken out, put in or moved is found, a torn end heals")
    func audit() async throws {
        try await withStateFolder { folder in
            let log = AuditLog(in: folder)
            for place in 1...5 { try log.record(.keyCreate, by: "cli:\u{1B}[31m\n", target: "k\(place)", detail: "d") }
            #expect(try log.verified().map(\.seq) == [1, 2, 3, 4, 5])
            let file = URL(filePath: log.path)
            let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map(String.init)
            #expect(lines.count == 5)
            func attempt(_ change: (inout [String]) -> Void) throws {
                var changed = lines
                change(&changed)
                try Data((changed.joined(separator: "\n") + "\n").utf8).write(to: file)
                #expect(throws: SecurityError.self) { _ = try log.verified() }
            }
            try attempt { $0[2] = $0[2].replacing("k3", with: "k9") }
            try attempt { $0.remove(at: 1) }
            try attempt { $0.swapAt(1, 2) }
            try attempt { $0.insert($0[3], at: 3) }
            try attempt { $0[0] = "nonsense" }
            // The end of a line that a crash cut short.
            try Data((lines.joined(separator: "\n") + "\n" + lines[0].prefix(20)).utf8).write(to: file)
            try log.record(.keyRevoke, by: "a", target: "k6")
            #expect(try log.verified().map(\.target) == ["k1", "k2", "k3", "k4", "k5", "k6"])
        }
    }

    @Test("several that write to the audit log at once continue one chain")
    func auditConcurrency() async throws {
        try await withStateFolder { folder in
            await withTaskGroup(of: Void.self) { group in
                for place in 0..<20 { group.addTask { try? AuditLog(in: folder).record(.join, by: "w\(place)", target: "t") } }
            }
            let entries = try AuditLog(in: folder).verified()
            #expect(entries.count == 20)
        }
    }

    @Test("a bucket of attempts empties and fills again, each address its own")
    func limiter() {
        let limiter = AttemptLimiter(capacity: 3, secondsEach: 2)
        let start = ContinuousClock.now
        for _ in 0..<3 { #expect(limiter.take("a", at: start) == nil) }
        #expect(limiter.take("a", at: start) == 2)
        #expect(limiter.wait("a", at: start + .seconds(1)) == 1)
        #expect(limiter.take("b", at: start) == nil)
        #expect(limiter.take("a", at: start + .seconds(2)) == nil)
        #expect(limiter.take("a", at: start + .seconds(2)) != nil)
        // A flood of names forgets old ones but keeps working.
        for place in 0..<10_000 { #expect(limiter.take("n\(place)", at: start + .seconds(3)) == nil) }
    }
}
