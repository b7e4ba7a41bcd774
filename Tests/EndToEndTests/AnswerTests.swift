// Answers: planted facts are found exactly by rings of every size, and what scripts read is there.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Answers", .timeLimit(.minutes(10)))
    struct AnswerTests {
        private func answer(_ task: String, tokens: Int, workers: Int, _ more: [String] = []) async throws -> Binary.Outcome {
            let prompt = try await Needle.shared.prompt(task: task, tokens: tokens)
            let arguments = [
                "run", "--model", try await Needle.shared.model(), "--prompt-file", prompt.path, "--workers", "\(workers)", "--threads",
                "1",
                "--expect", prompt.expected,
            ]
            return try await Binary.run(arguments + more)
        }

        @Test("each task is answered right by 1, 2, 3 and 5 workers", arguments: ["needle", "chain", "vote", "absent"], [1, 2, 3, 5])
        func tasks(task: String, workers: Int) async throws {
            let outcome = try await answer(task, tokens: 4096, workers: workers)
            #expect(outcome.code == 0, "\(task) over \(workers): \(outcome.out) \(outcome.err)")
            #expect(outcome.err.contains("the answer is right"), "\(outcome.err)")
            #expect(outcome.err.split(separator: "\n").count { $0.hasPrefix("rank ") } == workers, "\(outcome.err)")
        }

        @Test("keys and values as bf16 and as int8 answer the same", arguments: ["bf16", "int8"])
        func types(type: String) async throws {
            let outcome = try await answer("chain", tokens: 4096, workers: 3, ["--kv-dtype", type])
            #expect(outcome.code == 0, "\(outcome.err)")
        }

        @Test("a wrong answer is said and ends with 1")
        func wrong() async throws {
            let prompt = try await Needle.shared.prompt(task: "needle", tokens: 2048)
            let outcome = try await Binary.run([
                "run", "--model", try await Needle.shared.model(), "--prompt-file", prompt.path, "--workers", "2", "--expect", "<v001>",
            ])
            #expect(outcome.code == 1)
            #expect(outcome.errors.first?.contains("the answer is wrong") == true, "\(outcome.err)")
            #expect(outcome.out.trimmingCharacters(in: .whitespacesAndNewlines) == prompt.expected)
        }

        @Test("--json holds every field that scripts read, and stdout holds nothing else")
        func json() async throws {
            let outcome = try await answer("needle", tokens: 3000, workers: 3, ["--json"])
            let json = outcome.json
            #expect(outcome.code == 0, "\(outcome.err)")
            let prompt = try await Needle.shared.prompt(task: "needle", tokens: 3000)
            #expect(json["text"] as? String == prompt.expected)
            #expect((json["token_ids"] as? [Int])?.isEmpty == false)
            #expect(json["workers"] as? Int == 3)
            #expect(json["finish_reason"] as? String == "stop")
            let usage = json["usage"] as? [String: Int] ?? [:]
            #expect(usage["prompt_tokens"] == 3000)
            #expect(usage["completion_tokens"] == (json["token_ids"] as? [Int])?.count)
            let timings = json["timings"] as? [String: Double] ?? [:]
            for name in ["load_seconds", "prefill_seconds", "prefill_tokens_per_second", "decode_seconds", "decode_tokens_per_second"] {
                #expect((timings[name] ?? -1) > 0, "\(name)")
            }
            let ring = json["ring"] as? [String: Double] ?? [:]
            #expect((0...1).contains(ring["exposed_communication_fraction"] ?? -1))
            #expect((ring["bytes_sent"] ?? 0) > 0 && (ring["steps"] ?? 0) >= 3)
        }

        @Test("token ids given as a list, as JSON and as words answer alike")
        func tokenIDs() async throws {
            try await withFolder { folder in
                let ids = [5, 6, 7, 8, 9, 10, 11]
                let list = ids.map(String.init).joined(separator: ",")
                try Data("[\(list)]".utf8).write(to: URL(filePath: folder + "/ids.json"))
                try Data(ids.flatMap { [UInt8($0), 0, 0, 0] }).write(to: URL(filePath: folder + "/ids.bin"))
                var answers: [[Int]] = []
                for source in [
                    ["--prompt-tokens", list], ["--prompt-tokens-file", folder + "/ids.json"],
                    ["--prompt-tokens-file", folder + "/ids.bin"],
                ] {
                    let outcome = try await Binary.run(
                        [
                            "run", "--model", try await Needle.shared.model(), "--workers", "2", "--max-tokens", "3", "--ignore-eos",
                            "--json",
                        ] + source)
                    #expect(outcome.code == 0, "\(source): \(outcome.err)")
                    answers.append(outcome.json["token_ids"] as? [Int] ?? [])
                }
                #expect(answers[0].count == 3 && answers[0] == answers[1] && answers[1] == answers[2], "\(answers)")
            }
        }

        @Test("a prompt from stdin, and a prompt of fewer tokens than workers")
        func stdin() async throws {
            let model = try await Needle.shared.model()
            let outcome = try await Binary.run(
                ["run", "--model", model, "--prompt-file", "-", "--workers", "5", "--max-tokens", "1"], stdin: "<begin>")
            #expect(outcome.code == 0, "\(outcome.err)")
        }

        @Test("without a tokenizer, ids go in and ids come out")
        func noTokenizer() async throws {
            try await withFolder { folder in
                try FileManager.default.copyItem(atPath: try await Needle.shared.model(), toPath: folder + "/model")
                try FileManager.default.removeItem(atPath: folder + "/model/tokenizer.json")
                let common = ["run", "--model", folder + "/model", "--max-tokens", "2", "--ignore-eos", "--workers", "2"]
                let outcome = try await Binary.run(common + ["--prompt-tokens", "1,2,3"])
                #expect(outcome.code == 0 && outcome.out.wholeMatch(of: /\d+ \d+\n/) != nil, "\(outcome.out) \(outcome.err)")
                let refused = try await Binary.run(common + ["--prompt", "a"])
                #expect(refused.code == 1 && refused.errors.first?.contains("tokenizer.json") == true, "\(refused.err)")
            }
        }

        @Test("logits are written for the rows asked for, and all rows agree with them")
        func logits() async throws {
            try await withFolder { folder in
                let model = try await Needle.shared.model()
                let prompt = try await Needle.shared.prompt(task: "needle", tokens: 600)
                let common = ["run", "--model", model, "--prompt-file", prompt.path, "--workers", "3", "--max-tokens", "0"]
                let all = try await Binary.run(common + ["--logits", folder + "/all.safetensors"])
                let some = try await Binary.run(common + ["--logits", folder + "/some.safetensors", "--logits-rows", "0,7-9,599"])
                #expect(all.code == 0 && some.code == 0, "\(all.err) \(some.err)")
                let whole = try Tensors(path: folder + "/all.safetensors"), part = try Tensors(path: folder + "/some.safetensors")
                let vocabulary = whole.shape("logits")[1]
                #expect(whole.shape("logits") == [600, vocabulary] && part.shape("logits") == [5, vocabulary])
                for (row, position) in [0, 7, 8, 9, 599].enumerated() {
                    #expect(part.row("logits", row) == whole.row("logits", position), "position \(position)")
                    #expect(part.row("logits", row).contains { $0 != 0 }, "position \(position)")
                }
            }
        }
    }
}
