// The daemons' logs as a collector reads them: every line of stderr is an object, the story is in them, and no secret is.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Logs", .timeLimit(.minutes(5)))
    struct LogTests {
        private func objects(_ text: String) throws -> [[String: Any]] {
            try text.split(separator: "\n").map { line in
                let object = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
                return try #require(object, "no JSON object: \(line)")
            }
        }

        private func messages(_ lines: [[String: Any]]) -> [String] { lines.compactMap { $0["msg"] as? String } }

        @Test(
            "a job on daemons with certificates: every line is JSON, joined, placed and succeeded are among them, keys and tokens are not")
        func story() async throws {
            try await Daemons.run { daemons in
                let state = daemons.folder + "/state"
                #expect(try await Binary.run(["cluster", "init", "--state", state]).code == 0)
                let hidden = try await work(daemons, state)
                await daemons.signalWorker("a", SIGTERM)
                let worker = try #require(await daemons.workerOutcome("a"))
                #expect(await daemons.coordinatorSays("worker left"))
                await daemons.signalCoordinator(SIGTERM)
                let coordinator = try #require(await daemons.coordinatorOutcome())
                #expect(worker.code == 0 && coordinator.code == 0, "\(worker.err) \(coordinator.err)")

                try checkCoordinator(try objects(coordinator.err))
                try await checkExamples(coordinator.err, in: daemons.folder)
                let theirs = messages(try objects(worker.err))
                for message in ["starting", "joined the coordinator", "run prepared", "run started", "run finished", "draining", "leaving"]
                {
                    #expect(theirs.contains(message), "\(message) is not in \(theirs)")
                }
                for text in [coordinator.err, worker.err] {
                    for secret in hidden { #expect(!secret.isEmpty && !text.contains(secret), "\(secret) is in a log") }
                }
            }
        }

        /// Starts a coordinator and a worker, has a job done and a stranger refused; gives what must be in no log.
        private func work(_ daemons: Daemons, _ state: String) async throws -> [String] {
            let json = ["--log-format", "json", "--log-level", "trace"]
            try await daemons.startCoordinator(json)
            let token = try await Binary.run(["token", "create", "--state", state, "--json"]).json
            let (secret, fingerprint) = (token["token"] as? String ?? "", token["authority_fingerprint"] as? String ?? "")
            try Data(secret.utf8).write(to: URL(filePath: daemons.folder + "/token"))
            let joining = [
                "--state", daemons.folder + "/a", "--join-token-file", daemons.folder + "/token", "--authority-fingerprint",
                fingerprint,
            ]
            try await daemons.startWorker("a", joining + json)
            let key = try await Binary.run(["key", "create", "--state", state, "--name", "ann", "--role", "submit", "--json"]).json
            let keyText = try #require(key["key"] as? String)
            let file = daemons.folder + "/key"
            #expect(
                FileManager.default.createFile(
                    atPath: file, contents: Data(keyText.utf8), attributes: [.posixPermissions: 0o600]))
            let mine = ["RINGMASTER_KEY_FILE": file, "RINGMASTER_AUTHORITY": state + "/authority.pem"]
            let done = try await daemons.ask(["submit"] + smallAttention + ["--workers", "1", "--follow"], environment: mine)
            #expect(done.code == 0, "\(done)")
            let stranger = try await daemons.ask(["status"], environment: ["RINGMASTER_AUTHORITY": state + "/authority.pem"])
            #expect(stranger.code == 77, "\(stranger)")
            return [keyText, secret, secret.split(separator: ".").last.map(String.init) ?? "", "PRIVATE KEY"]
        }

        /// The examples for jq of the page on operations, as they are printed.
        private func checkExamples(_ log: String, in folder: String) async throws {
            guard Foreign.jq != nil, let shell = Foreign.shell else { return }
            let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
            let page = try String(contentsOf: root.appending(path: "Docs/OPERATIONS.md"), encoding: .utf8)
            let example = try #require(page.firstMatch(of: /\n```sh\n(jq [\s\S]*?)\n```/).map { String($0.output.1) })
            try Data(log.utf8).write(to: URL(filePath: folder + "/coordinator.log"))
            let answer = try await shell.run(["-c", "set -euo pipefail\n" + example], in: folder)
            #expect(answer.code == 0 && answer.err.isEmpty, "\(answer)")
            #expect(answer.out.contains(#""msg":"request refused""#) && answer.out.contains(/\n1\t[\d.]+\t3000\n/), "\(answer.out)")
        }

        private func checkCoordinator(_ lines: [[String: Any]]) throws {
            var wanted = [
                "starting", "ready", "worker admitted", "worker joined", "job submitted", "job placed", "job running", "job succeeded",
                "request refused", "worker draining", "worker left", "drain requested", "draining", "drained", "stopped",
            ][...]
            for message in messages(lines) where message == wanted.first { wanted.removeFirst() }
            #expect(wanted.isEmpty, "from \(wanted.first ?? "") on not in order in: \(messages(lines))")
            #expect(!lines.contains { $0["level"] as? String == "error" }, "\(lines)")
            let placed = try #require(lines.first { $0["msg"] as? String == "job placed" })
            #expect(placed["job"] as? Int == 1 && placed["workers"] as? [String] == ["a"] && placed["level"] as? String == "info")
            for line in lines {
                let time = try #require(line["ts"] as? String)
                #expect(time.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/) != nil && line["logger"] is String, "\(line)")
            }
        }

        @Test("option before variable before configuration; what cannot be meant is an error with its exit code")
        func choices() async throws {
            try await withFolder { folder in
                let config = folder + "/c.yaml"
                try Data("schema_version: 1\nlog:\n  format: json\n  level: warning\n".utf8).write(to: URL(filePath: config))
                // The folder of another coordinator's state is a file here: it says why it ends, and how tells the format.
                try Data().write(to: URL(filePath: folder + "/file"))
                let base = ["coordinator", "--listen", "127.0.0.1:0", "--state", folder + "/file/state", "--config", config]
                let configured = try await Binary.run(base)
                let lines = configured.err.split(separator: "\n").filter { !$0.hasPrefix("error:") }
                #expect(configured.code == 78 && configured.errors.count == 1, "\(configured)")
                #expect(messages(try objects(lines.joined(separator: "\n"))) == ["ending on an error"], "\(configured)")
                let chosen = try await Binary.run(base, environment: ["RINGMASTER_LOG_FORMAT": "text", "RINGMASTER_LOG_LEVEL": "info"])
                #expect(chosen.err.contains(" info ringmaster.coordinator starting "), "\(chosen)")
                let option = try await Binary.run(
                    base + ["--log-format", "json"], environment: ["RINGMASTER_LOG_FORMAT": "text", "RINGMASTER_LOG_LEVEL": "info"])
                #expect(option.err.hasPrefix("{\"ts\""), "\(option)")
                let wrong: [([String], [String: String], Int32)] = [
                    (["--log-format", "xml"], [:], 2), (["--log-level", "loud"], [:], 2), ([], ["RINGMASTER_LOG_LEVEL": "loud"], 78),
                ]
                for (arguments, environment, code) in wrong {
                    let outcome = try await Binary.run(base + arguments, environment: environment)
                    #expect(
                        outcome.code == code && outcome.errors.count == 1
                            && outcome.err.contains("debug") == (arguments.first != "--log-format"))
                }
            }
        }

        @Test("up: the coordinator's lines and, with --verbose, its workers', all JSON to the end")
        func up() async throws {
            try await withFolder { folder in
                let running = try Running([
                    "up", "--workers", "2", "--listen", "127.0.0.1:0", "--json", "--data", folder, "--models", folder, "--verbose",
                    "--log-format", "json",
                ])
                let address = await running.announcedAddress()
                let done = try await Binary.run(
                    ["submit"] + smallAttention + ["--follow"],
                    environment: ["RINGMASTER_COORDINATOR": address ?? "", "RINGMASTER_DATA": folder])
                running.signal(SIGINT)
                let outcome = await running.outcome()
                #expect(done.code == 0 && outcome.code == 130, "\(done) \(outcome)")
                let lines = try objects(outcome.err)
                #expect(lines.contains { $0["msg"] as? String == "ready" && $0["workers"] as? Int == 2 }, "\(outcome.err)")
                let finished = lines.filter { $0["msg"] as? String == "run finished" }.compactMap { $0["worker"] as? String }
                #expect(finished.sorted() == ["worker-0", "worker-1"], "\(outcome.err)")
                #expect(lines.last?["msg"] as? String == "stopped", "\(outcome.err)")
            }
        }
    }
}
