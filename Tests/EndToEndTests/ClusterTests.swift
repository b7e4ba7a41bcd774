// A running cluster and the commands that speak to it: the same answers as without one, and jobs that are waited for, left and
// rejoined, cancelled, drained.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Cluster", .timeLimit(.minutes(10)))
    struct ClusterTests {
        @Test(
            "attention submitted to a cluster is the embedded one's, byte for byte, whether or not its workers encrypt",
            arguments: [false, true])
        func attend(encrypts: Bool) async throws {
            try await withFolder { folder in
                let alone = try await Binary.run(smallAttention + ["--workers", "2", "--output", folder + "/alone.safetensors"])
                try #require(alone.code == 0, "\(alone.err)")
                try await Cluster.run(in: folder, options: encrypts ? ["--encrypt"] : []) { cluster in
                    let status = try await cluster.ask("status").out
                    #expect(status.contains("data plane encrypted") == encrypts, "\(status)")
                    let followed = try await cluster.ask(
                        ["submit"] + smallAttention + ["--output", "followed.safetensors", "--follow", "--json", "--verify-rows", "5"])
                    #expect(followed.code == 0, "\(followed.err)")
                    #expect(followed.json["workers"] as? Int == 2 && (followed.json["max_abs_error"] as? Double ?? 1) < 1e-5)
                    let job = try await cluster.submit(smallAttention + ["--output", "left.safetensors"])
                    #expect(try await cluster.ask("jobs", "wait", job).code == 0)
                }
                let expected = try Data(contentsOf: URL(filePath: folder + "/alone.safetensors"))
                for name in ["followed", "left"] {
                    #expect(try Data(contentsOf: URL(filePath: folder + "/\(name).safetensors")) == expected, "\(name)")
                }
                let left = try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
                #expect(left == ["alone.safetensors", "followed.safetensors", "left.safetensors"])
            }
        }

        @Test("a cluster keeps int8 where that is within the job's tolerance, and its jobs say what it can have changed")
        func int8() async throws {
            try await withFolder { folder in
                let problem = smallAttention + ["--kv-dtype", "int8"]
                let alone = try await Binary.run(problem + ["--workers", "1", "--json"])
                let bound = try #require(alone.json["error_bound"] as? Double, "\(alone)")
                try await Cluster.run(in: folder) { cluster in
                    for (tolerance, type) in [(bound * 1.001, "int8"), (bound * 0.999, "bf16")] {
                        let asked = problem + ["--tolerance", "\(tolerance)"]
                        let outcome = try await cluster.ask(["submit"] + asked + ["--follow", "--json", "--verify-rows", "5"])
                        #expect(outcome.code == 0, "\(outcome)")
                        let json = outcome.json
                        #expect(json["kv_dtype"] as? String == type && json["error_bound"] as? Double == bound, "\(json)")
                        #expect((json["max_abs_error"] as? Double ?? .infinity) <= bound)
                        let job = try await cluster.submit(asked)
                        #expect(try await cluster.ask("jobs", "wait", job).code == 0)
                        let summaries = try await cluster.ask("jobs", "show", job, "--json").json["summaries"] as? [[String: Any]] ?? []
                        #expect(summaries.count == 2 && summaries.allSatisfy { $0["error_bound"] as? Double == bound })
                        #expect(summaries.allSatisfy { $0["kv_element"] as? String == type })
                    }
                }
            }
        }

        @Test("a file of q, k and v is read by its name in the shared folder, and no other name is taken")
        func attendFile() async throws {
            try await withFolder { folder in
                let inputs = folder + "/inputs"
                try FileManager.default.createDirectory(atPath: inputs, withIntermediateDirectories: true)
                // Any numbers do: what counts is that both ways give the same.
                let values = (0..<200 * 2 * 64).map { Float(sin(Double($0 * $0 % 8191))) }
                try Tensors.write(["q", "k", "v"].map { ($0, [200, 2, 64], values) }, to: inputs + "/qkv.safetensors")
                let alone = try await Binary.run([
                    "attend", "--input", inputs + "/qkv.safetensors", "--output", folder + "/alone.safetensors", "--workers", "2",
                ])
                try #require(alone.code == 0, "\(alone.err)")
                try await Cluster.run(in: folder) { cluster in
                    let done = try await cluster.ask(
                        "submit", "attend", "--input", "inputs/qkv.safetensors", "--output", "done.safetensors", "--follow")
                    #expect(done.code == 0, "\(done.err)")
                    for name in ["../x.safetensors", "/etc/passwd", "a/../../x", ""] {
                        let refused = try await cluster.ask("submit", "attend", "--tokens", "10", "--output", name)
                        #expect(refused.code == 2 && refused.errors.first?.contains("--output") == true, "\(refused.err)")
                    }
                }
                let (alone1, done) = (folder + "/alone.safetensors", folder + "/done.safetensors")
                #expect(FileManager.default.contentsEqual(atPath: alone1, andPath: done))
            }
        }

        @Test("a prompt submitted to a cluster is answered as `run` answers it, in text and in JSON")
        func generate() async throws {
            let prompt = try await Needle.shared.prompt(task: "chain", tokens: 4096)
            let model = URL(filePath: try await Needle.shared.model())
            let models = model.deletingLastPathComponent().path(percentEncoded: false)
            try await withFolder { folder in
                try await Cluster.run(in: folder, models: models) { cluster in
                    let submit = [
                        "submit", "generate", "--model", model.lastPathComponent, "--models", models, "--prompt-file", prompt.path,
                        "--follow",
                    ]
                    let text = try await cluster.ask(submit)
                    #expect(text.code == 0, "\(text.err)")
                    #expect(text.out == prompt.expected + "\n" && text.err.contains("rank 1"), "\(text)")
                    let json = try await cluster.ask(submit + ["--json", "--workers", "1"])
                    #expect(json.json["text"] as? String == prompt.expected && json.json["workers"] as? Int == 1, "\(json)")
                    let id = try await cluster.submit(Array(submit[1..<submit.count - 1]))
                    #expect(try await cluster.ask("jobs", "wait", id).code == 0)
                    let shown = try await cluster.ask("jobs", "show", id, "--json")
                    #expect((shown.json["tokens_generated"] as? Int ?? 0) > 0, "\(shown)")
                }
            }
        }

        @Test("a job is waited for, shown, listed, and its events are left and rejoined without loss")
        func look() async throws {
            try await withFolder { folder in
                try await Cluster.run(in: folder) { cluster in
                    let said = try await cluster.ask(["submit"] + smallAttention)
                    #expect(said.out == "job 1 submitted\n", "\(said)")
                    let second = try await cluster.submit(smallAttention + ["--workers", "2", "--priority", "5", "--timeout", "1m"])
                    let wait = try await cluster.ask("jobs", "wait", "1", second)
                    #expect(wait.code == 0 && Set(wait.out.split(separator: "\n")) == ["1 succeeded", "\(second) succeeded"], "\(wait)")
                    let shown = try await cluster.ask("jobs", "show", second)
                    for word in ["succeeded", "3,000", "worker-0, worker-1", "rank 1", "60 s"] {
                        #expect(shown.out.contains(word), "\(word): \(shown)")
                    }
                    let list = try await cluster.ask("jobs", "list", "--state", "succeeded", "--limit", "1")
                    #expect(list.out.split(separator: "\n").count == 2 && list.out.contains("attend"), "\(list)")
                    let none = try await cluster.ask("jobs", "list", "--state", "failed", "--json")
                    #expect((none.json["jobs"] as? [Any])?.isEmpty == true, "\(none)")
                    try await checkLogs(cluster, second)
                }
            }
        }

        /// Reads a job's events whole and in two parts.
        private func checkLogs(_ cluster: Cluster, _ job: String) async throws {
            func durable(_ arguments: String...) async throws -> [String] {
                let outcome = try await cluster.ask(["jobs", "logs", job] + arguments)
                #expect(outcome.code == 0, "\(outcome.err)")
                return outcome.out.split(separator: "\n").map(String.init).filter { $0.contains("\"seq\"") }
            }
            let whole = try await durable("--follow")
            #expect(whole.count >= 4 && whole.last?.contains("\"succeeded\"") == true, "\(whole)")
            for (place, line) in whole.enumerated() {
                #expect(line.contains("\"seq\":\(place + 1),") || line.contains("\"seq\":\(place + 1)}"))
            }
            #expect(try await durable().count == whole.count)
            #expect(try await durable("--after", "2").count == whole.count - 2)
            #expect(try await durable("--after", "\(whole.count)", "--follow").isEmpty)
        }

        @Test("a running job is cancelled, its waiter ends with 130, and its workers take the next")
        func cancel() async throws {
            try await withFolder { folder in
                try await Cluster.run(in: folder) { cluster in
                    let long = try await cluster.submit(longAttention)
                    #expect(try await cluster.waits(for: long, "running"))
                    let early = try await cluster.ask("jobs", "wait", long, "--timeout", "300ms")
                    #expect(early.code == 75, "\(early)")
                    let partial = try await cluster.ask("jobs", "logs", long)
                    #expect(partial.code == 0 && partial.out.contains("\"placed\"") && !partial.out.contains("\"cancelled\""), "\(partial)")
                    let cancelled = try await cluster.ask("jobs", "cancel", long)
                    #expect(cancelled.code == 0 && cancelled.out == "\(long) cancelled\n", "\(cancelled)")
                    #expect(try await cluster.ask("jobs", "wait", long).code == 130)
                    let next = try await cluster.submit(smallAttention)
                    #expect(try await cluster.ask("jobs", "wait", next, "--timeout", "30s").code == 0)
                }
            }
        }

        @Test("Ctrl-C cancels a followed job, and leaves one that is only waited for")
        func interrupted() async throws {
            try await withFolder { folder in
                try await Cluster.run(in: folder) { cluster in
                    let followed = try Running(
                        ["submit"] + longAttention + ["--follow", "--output", "x.safetensors"], environment: cluster.environment)
                    #expect(await followed.says("job 1"))
                    #expect(try await cluster.waits(for: "1", "running"))
                    let waiting = try Running(["jobs", "wait", "1"], environment: cluster.environment)
                    try await Task.sleep(for: .milliseconds(500))
                    waiting.signal(SIGINT)
                    #expect(await waiting.outcome().code == 130)
                    #expect(try await cluster.state("1") == "running")
                    followed.signal(SIGINT)
                    let outcome = await followed.outcome()
                    #expect(outcome.code == 130 && outcome.errors == ["error: interrupted: job 1 is cancelled"], "\(outcome)")
                    #expect(try await cluster.state("1") == "cancelled")
                    #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty, "a half-written result is left")
                }
            }
        }

        @Test("the same key is the same job")
        func idempotency() async throws {
            try await withFolder { folder in
                try await Cluster.run(in: folder) { cluster in
                    let first = try await cluster.submit(smallAttention + ["--idempotency-key", "nightly-1"])
                    let again = try await cluster.submit(smallAttention + ["--idempotency-key", "nightly-1"])
                    let other = try await cluster.submit(smallAttention + ["--idempotency-key", "nightly-2"])
                    let random = try await cluster.submit(smallAttention)
                    #expect(first == again && Set([first, other, random]).count == 3)
                }
            }
        }
    }
}
