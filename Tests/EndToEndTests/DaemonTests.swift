// A cluster of daemons: what is acknowledged is kept through kill -9, a worker's death costs a run and not the job, leaving is
// orderly, and with certificates nobody comes in without one.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Daemons", .timeLimit(.minutes(10)))
    struct DaemonTests {
        /// An attention job of a few seconds.
        private let job = ["submit", "attend", "--tokens", "20k", "--heads", "8", "--head-dim", "128", "--threads", "1", "--parsable"]

        @Test("a coordinator that is killed goes on with what it had acknowledged: queued, running and settled jobs")
        func coordinatorKilled() async throws {
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                for name in ["a", "b"] { try await daemons.startWorker(name, ["--grace", "1"]) }
                #expect(try await daemons.ask(["submit"] + smallAttention + ["--follow"]).code == 0)
                #expect(try await daemons.ask(job + ["--workers", "2"]).out == "2\n")
                #expect(try await daemons.ask(job + ["--workers", "2"]).out == "3\n")
                #expect(try await daemons.waits(for: "2", "running"))
                let waiting = try Running(
                    ["jobs", "wait", "2", "3"], environment: ["RINGMASTER_COORDINATOR": await daemons.address])
                try await Task.sleep(for: .milliseconds(300))
                await daemons.signalCoordinator(SIGKILL)
                _ = await daemons.coordinatorOutcome()
                try await daemons.startCoordinator()
                let outcome = await waiting.outcome()
                #expect(outcome.code == 0 && outcome.out.contains("2 succeeded") && outcome.out.contains("3 succeeded"), "\(outcome)")
                let logs = try await daemons.ask(["jobs", "logs", "2"]).out
                #expect(logs.contains("retrying") && logs.contains("started again"), "\(logs)")
                let first = try await daemons.ask(["jobs", "show", "1", "--json"])
                #expect(first.json["state"] as? String == "succeeded", "\(first)")
                #expect(try await daemons.ask(job).out == "4\n", "numbers go on")
            }
        }

        @Test("a job whose worker is killed runs again on the others and says so, within seconds")
        func workerKilled() async throws {
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                for name in ["a", "b", "c"] { try await daemons.startWorker(name) }
                let result = daemons.folder + "/out.safetensors"
                let following = try Running(
                    job.dropLast() + [
                        "--follow", "--workers", "3", "--verify-rows", "3", "--output", "out.safetensors", "--json",
                    ],
                    environment: ["RINGMASTER_COORDINATOR": await daemons.address, "RINGMASTER_DATA": daemons.folder])
                #expect(try await daemons.waits(for: "1", "running"))
                let killed = ContinuousClock.now
                await daemons.signalWorker("b", SIGKILL)
                var isKnown = false
                while !isKnown, ContinuousClock.now - killed < .seconds(10) {
                    isKnown = try await daemons.ask(["jobs", "logs", "1"]).out.contains("retrying")
                }
                #expect(isKnown && ContinuousClock.now - killed < .seconds(4), "known after \(ContinuousClock.now - killed)")
                let outcome = await following.outcome()
                #expect(outcome.code == 0 && (outcome.json["max_abs_error"] as? Double ?? 1) < 1e-5, "\(outcome)")
                #expect(outcome.json["workers"] as? Int == 2)
                #expect(FileManager.default.fileExists(atPath: result))
                let shown = try await daemons.ask(["jobs", "show", "1", "--json"]).json
                #expect(shown["attempt"] as? Int == 2 && shown["workers"] as? [String] == ["a", "c"], "\(shown)")
            }
        }

        @Test("a prefill whose worker is killed in its second layer is gone on from what the others kept, to the right answer")
        func prefillGoesOn() async throws {
            let (model, prompt) = (try await Needle.shared.model(), try await Needle.shared.prompt(task: "chain", tokens: 49_152))
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                let models = URL(filePath: model).deletingLastPathComponent().path(percentEncoded: false)
                for name in ["a", "b", "c"] { try await daemons.startWorker(name, ["--models", models]) }
                let following = try Running(
                    [
                        "submit", "generate", "--model", "model", "--prompt-file", prompt.path, "--workers", "3", "--follow", "--json",
                    ],
                    environment: ["RINGMASTER_COORDINATOR": await daemons.address, "RINGMASTER_MODELS": models])
                var isDeep = false
                for _ in 0..<1200 where !isDeep {
                    let progress = try await daemons.ask(["jobs", "show", "1", "--json"]).json["progress"] as? [String: Any]
                    isDeep = progress?["phase"] as? String == "prefill" && progress?["layer"] as? Int == 1
                    if !isDeep { try await Task.sleep(for: .milliseconds(50)) }
                }
                try #require(isDeep, "the job never came to its second layer")
                await daemons.signalWorker("b", SIGKILL)
                let outcome = await following.outcome()
                #expect(outcome.code == 0 && outcome.json["text"] as? String == prompt.expected, "\(outcome)")
                let logs = try await daemons.ask(["jobs", "logs", "1"]).out
                #expect(logs.contains("retrying") && logs.contains("resumed"), "\(logs)")
                let shown = try await daemons.ask(["jobs", "show", "1", "--json"]).json
                #expect(shown["attempt"] as? Int == 2 && Set(shown["workers"] as? [String] ?? []) == ["a", "c"], "\(shown)")
            }
        }

        @Test("SIGTERM drains a worker: the job it holds may end, and then it leaves with 0")
        func workerDrained() async throws {
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                for name in ["a", "b"] { try await daemons.startWorker(name) }
                #expect(try await daemons.ask(job + ["--workers", "2"]).out == "1\n")
                #expect(try await daemons.waits(for: "1", "running"))
                await daemons.signalWorker("a", SIGTERM)
                #expect(await daemons.workerOutcome("a")?.code == 0)
                let shown = try await daemons.ask(["jobs", "show", "1", "--json"]).json
                #expect(shown["state"] as? String == "succeeded" && shown["attempt"] as? Int == 1, "\(shown)")
            }
        }

        @Test("SIGTERM drains a coordinator: what does not end in its grace is run by the next one, and a second on its state is refused")
        func coordinatorDrained() async throws {
            try await Daemons.run { daemons in
                try await daemons.startCoordinator(["--grace", "1"])
                let second = try await Binary.run(["coordinator", "--listen", "127.0.0.1:0", "--state", daemons.folder + "/state"])
                #expect(second.code == 78 && second.errors.first?.contains("another coordinator") == true, "\(second)")
                try await daemons.startWorker("a")
                #expect(try await daemons.ask(["submit"] + longAttention + ["--parsable"]).out == "1\n")
                #expect(try await daemons.waits(for: "1", "running"))
                await daemons.signalCoordinator(SIGTERM)
                try await Task.sleep(for: .milliseconds(300))
                let refused = try await daemons.ask(job)
                #expect(refused.code == 75, "\(refused)")
                let outcome = await daemons.coordinatorOutcome()
                #expect(outcome?.code == 0, "\(String(describing: outcome))")
                try await daemons.startCoordinator()
                #expect(try await daemons.waits(for: "1", "running"))
                #expect(try await daemons.ask(["jobs", "cancel", "1"]).code == 0)
            }
        }

        @Test("with certificates: workers join by token over https, clients show keys, and nobody else gets anything")
        func certificates() async throws {
            try await Daemons.run { daemons in
                let state = daemons.folder + "/state"
                let made = try await Binary.run(["cluster", "init", "--state", state, "--name", "127.0.0.1"])
                try #require(made.code == 0, "\(made)")
                try await daemons.startCoordinator()
                #expect(await daemons.address.hasPrefix("https://"))
                for name in ["a", "b"] {
                    let token = try await Binary.run(["token", "create", "--state", state, "--json"]).json
                    let (secret, fingerprint) = (token["token"] as? String ?? "", token["authority_fingerprint"] as? String ?? "")
                    try Data(secret.utf8).write(to: URL(filePath: daemons.folder + "/\(name).token"))
                    try await daemons.startWorker(
                        name,
                        [
                            "--state", daemons.folder + "/\(name)", "--join-token-file", daemons.folder + "/\(name).token",
                            "--authority-fingerprint", fingerprint,
                        ])
                }
                let key = try await Binary.run(["key", "create", "--state", state, "--name", "ann", "--role", "submit", "--json"]).json
                let file = daemons.folder + "/key"
                #expect(
                    FileManager.default.createFile(
                        atPath: file, contents: Data((key["key"] as? String ?? "").utf8), attributes: [.posixPermissions: 0o600]))
                let mine = ["RINGMASTER_KEY_FILE": file, "RINGMASTER_AUTHORITY": state + "/authority.pem"]
                let done = try await daemons.ask(["submit"] + smallAttention + ["--workers", "2", "--follow", "--json"], environment: mine)
                #expect(done.code == 0 && done.json["workers"] as? Int == 2, "\(done)")
                let without = try await daemons.ask(["status"], environment: ["RINGMASTER_AUTHORITY": state + "/authority.pem"])
                #expect(without.code == 77, "\(without)")
                let stranger = try await daemons.ask(["status"], environment: ["RINGMASTER_KEY_FILE": file])
                #expect(stranger.code != 0 && !stranger.out.contains("worker"), "\(stranger)")
                let notAdmin = try await daemons.ask(["drain", "--cluster"], environment: mine)
                #expect(notAdmin.code == 77, "\(notAdmin)")
            }
        }
    }
}
