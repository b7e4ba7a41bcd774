// A cluster with certificates, made and used by the commands alone, as Docs/SECURITY.md prints them.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Cluster with certificates", .timeLimit(.minutes(5)))
    struct SecuredClusterTests {
        @Test("init, token, key: what they print works once or until it is revoked, and stands nowhere else")
        func folder() async throws {
            try await withFolder { folder in
                let state = ["--state", folder + "/state"]
                let before = try await Binary.run(["token", "create"] + state)
                #expect(before.code == 78 && before.out.isEmpty, "\(before)")
                let made = try await Binary.run(["cluster", "init"] + state + ["--json", "--name", "ring.example", "10.0.0.1"])
                #expect(made.code == 0 && (made.json["hosts"] as? [String]) == ["ring.example", "10.0.0.1"], "\(made)")
                let fingerprint = try #require(made.json["fingerprint"] as? String)
                #expect(try await Binary.run(["cluster", "init"] + state).code == 1)
                #expect(try await Binary.run(["cluster", "init", "--state", folder + "/other", "--name", "a b"]).code == 2)

                let token = try await Binary.run(["token", "create"] + state)
                let line = try #require(token.out.wholeMatch(of: /(\w{6})\.(\w{16}) --authority-fingerprint (sha256:\w{64})\n/), "\(token)")
                #expect(line.3 == fingerprint)
                let key = try await Binary.run(["key", "create", "--name", "anna", "--role", "read"] + state)
                let secret = try #require(key.out.wholeMatch(of: /rmk_(\w{64})\n/)).1
                #expect(try await Binary.run(["key", "create", "--name", "anna", "--role", "god"] + state).code == 2)

                let listed = try await Binary.run(["token", "list", "--json"] + state)
                #expect(((listed.json["tokens"] as? [[String: Any]])?.first?["id"] as? String) == String(line.1))
                let id = try #require(
                    (try await Binary.run(["key", "list", "--json"] + state).json["keys"] as? [[String: Any]])?.first?["id"])
                // The whole token may be pasted; only its public part is used.
                #expect(try await Binary.run(["token", "revoke", "\(line.1).\(line.2)"] + state).code == 0)
                #expect(try await Binary.run(["key", "revoke", "\(id)"] + state).code == 0)
                #expect(try await Binary.run(["key", "revoke", "\(id)"] + state).code == 1)

                let audit = try await Binary.run(["cluster", "audit", "--json"] + state)
                let actions = (audit.json["entries"] as? [[String: Any]])?.compactMap { $0["action"] as? String }
                #expect(actions == ["cluster_init", "token_create", "key_create", "token_revoke", "key_revoke"], "\(audit)")
                for file in try FileManager.default.contentsOfDirectory(atPath: folder + "/state") {
                    let text = String(decoding: try Data(contentsOf: URL(filePath: folder + "/state/" + file)), as: UTF8.self)
                    #expect(!text.contains(line.2) && !text.contains(secret), "\(file)")
                }
                let log = URL(filePath: folder + "/state/audit.jsonl")
                try Data(try String(contentsOf: log, encoding: .utf8).replacing("anna", with: "otto").utf8).write(to: log)
                #expect(try await Binary.run(["cluster", "audit"] + state).code == 78)
            }
        }

        @Test("a worker joins with a token over TLS and works; a key reads until it is revoked; a worker that is shut out stays out")
        func daemons() async throws {
            try await withFolder { folder in
                let state = ["--state", folder + "/state"]
                #expect(try await Binary.run(["cluster", "init"] + state).code == 0)
                let coordinator = try Running(["coordinator", "--listen", "127.0.0.1:0"] + state)
                var left = [coordinator]
                do {
                    try await use(coordinator, folder, state) { left.append($0) }
                } catch {
                    for process in left { process.signal(SIGKILL) }
                    throw error
                }
                for process in left.reversed() {
                    process.signal(SIGTERM)
                    _ = await process.outcome()
                }
            }
        }

        private func use(
            _ coordinator: Running, _ folder: String, _ state: [String], _ started: (Running) -> Void
        ) async throws {
            let address = try #require(await coordinator.readyAddress(), "\(coordinator.errorText)")
            #expect(address.hasPrefix("https://"))
            let token = try await Binary.run(["token", "create", "--json"] + state).json
            try Data("\(token["token"] ?? "")\n".utf8).write(to: URL(filePath: folder + "/token"))
            let join = [
                "worker", "--coordinator", address, "--name", "node-1", "--state", folder + "/node-1", "--models", folder, "--data",
                folder,
            ]
            let once = ["--join-token-file", folder + "/token", "--authority-fingerprint", "\(token["authority_fingerprint"] ?? "")"]
            let worker = try Running(join + once)
            started(worker)
            try await write(key: "submit", to: folder + "/key", state)
            let connection = [
                "RINGMASTER_COORDINATOR": address, "RINGMASTER_KEY_FILE": folder + "/key",
                "RINGMASTER_AUTHORITY": folder + "/state/authority.pem", "RINGMASTER_DATA": folder,
            ]
            func ask(_ arguments: [String]) async throws -> Binary.Outcome { try await Binary.run(arguments, environment: connection) }
            let job = try await ask(["submit"] + smallAttention + ["--output", "out.safetensors", "--follow", "--json"])
            #expect(job.code == 0 && job.json["workers"] as? Int == 1, "\(job.err) \(worker.errorText)")
            // Not an administrator.
            #expect(try await ask(["drain", "--cluster"]).code == 77)
            // The token is used up.
            let second = try await Binary.run(
                ["worker", "--coordinator", address, "--name", "node-2", "--state", folder + "/node-2", "--models", folder] + once)
            #expect(second.code == 77 || second.code == 78, "\(second)")

            let id = try #require((try await Binary.run(["key", "list", "--json"] + state).json["keys"] as? [[String: Any]])?.first?["id"])
            #expect(try await Binary.run(["key", "revoke", "\(id)"] + state).code == 0)
            try await Task.sleep(for: .milliseconds(500))
            #expect(try await ask(["jobs", "list"]).code == 77)
            #expect(try await Binary.run(["cluster", "revoke", "node-1"] + state).code == 0)
            try await write(key: "read", to: folder + "/key", state)
            let deadline = ContinuousClock.now + .seconds(20)
            while ContinuousClock.now < deadline {
                let workers = try await ask(["status", "--json"]).json["workers"] as? [Any]
                if workers?.isEmpty == true { return }
                try await Task.sleep(for: .milliseconds(200))
            }
            Issue.record("a worker that is shut out is still listed: \(worker.errorText)")
        }

        private func write(key role: String, to path: String, _ state: [String]) async throws {
            let key = try await Binary.run(["key", "create", "--name", "anna", "--role", role] + state)
            try #require(key.code == 0, "\(key.err)")
            try? FileManager.default.removeItem(atPath: path)
            #expect(FileManager.default.createFile(atPath: path, contents: Data(key.out.utf8), attributes: [.posixPermissions: 0o600]))
        }
    }
}
