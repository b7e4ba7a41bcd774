// The verbs that only look: version, doctor, inspect, bench, verify. Scripts read their JSON.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Looking", .timeLimit(.minutes(10)))
    struct InspectionTests {
        @Test("version")
        func version() async throws {
            let text = try await Binary.run(["version"])
            #expect(text.code == 0 && text.out.hasPrefix("ringmaster "))
            #expect((try await Binary.run(["version", "--json"])).json["version"] is String)
        }

        @Test("doctor says ok or warn for every part of the machine")
        func doctor() async throws {
            let text = try await Binary.run(["doctor"])
            #expect(text.code == 0, "\(text.err)")
            let marks = text.out.split(separator: "\n").filter { !$0.hasPrefix("    ") }
            #expect(marks.count >= 8 && marks.allSatisfy { $0.hasPrefix("ok ") || $0.hasPrefix("warn ") }, "\(text.out)")
            let json = (try await Binary.run(["doctor", "--json"])).json
            #expect(json["isa"] is String && (json["cpus"] as? Int ?? 0) >= 1 && (json["memory_bytes"] as? Int ?? 0) > 0)
            #expect((json["findings"] as? [[String: String]])?.count == marks.count)
            let slow = try await Binary.run(["doctor"], environment: ["RINGMASTER_ISA": "scalar"])
            #expect(slow.out.contains("warn  kernels"), "\(slow.out)")
        }

        @Test("model inspect knows the demo model")
        func inspect() async throws {
            let model = try await Needle.shared.model()
            let outcome = try await Binary.run(["model", "inspect", model, "--tokens", "1M", "--json"])
            let json = outcome.json
            #expect(outcome.code == 0 && json["family"] as? String == "LlamaForCausalLM", "\(outcome.err)")
            #expect((json["parameters"] as? Int ?? 0) > 10_000 && json["tokens"] as? Int == 1 << 20)
            let token = (json["kv_bytes_per_token"] as? [String: Int])?["f32"] ?? 0
            let perToken = (json["layers"] as? Int ?? 0) * (json["kv_heads"] as? Int ?? 0) * (json["head_dim"] as? Int ?? 0) * 8
            #expect(token == perToken && (json["kv_bytes"] as? [String: Int])?["f32"] == token << 20, "\(outcome.out)")
            #expect((try await Binary.run(["model", "inspect", model])).out.contains("parameters"))
        }

        @Test("bench transport prints every message size against a bare socket, and with --encrypt what that costs")
        func benchTransport() async throws {
            let plain = try await Binary.run(["bench", "transport", "--mebibytes", "4"])
            #expect(plain.code == 0 && plain.out.contains("bare socket") && !plain.out.contains("s/GB"), "\(plain)")
            let sealed = try await Binary.run(["bench", "transport", "--mebibytes", "4", "--encrypt"])
            #expect(sealed.code == 0 && sealed.out.contains("s/GB") && sealed.out.contains("AES-256-GCM"), "\(sealed)")
            let json = try await Binary.run(["bench", "transport", "--mebibytes", "4", "--encrypt", "--json"]).json
            for name in ["link", "encrypted_link"] {
                let rows = (json[name] as? [String: Any])?["messages"] as? [[String: Any]] ?? []
                #expect(rows.count == 6 && rows.allSatisfy { ($0["bytes_per_second"] as? Double ?? 0) > 0 }, "\(name): \(json)")
            }
            #expect((json["cipher_bytes_per_second"] as? Double ?? 0) > 1e6 && (json["socket_bytes_per_second"] as? Double ?? 0) > 1e6)
        }

        @Test("bench trace counts the events of a ring and what one of them takes")
        func benchTrace() async throws {
            let outcome = try await Binary.run(
                ["bench", "trace", "--tokens", "3000", "--heads", "1", "--head-dim", "64", "--pairs", "3", "--json"])
            #expect(outcome.code == 0, "\(outcome.err)")
            let (json, pairs) = (outcome.json, outcome.json["pairs"] as? [[String: Double]] ?? [])
            #expect(pairs.count == 3 && pairs.allSatisfy { ($0["seconds_with"] ?? 0) > 0 && ($0["seconds_without"] ?? 0) > 0 })
            let (events, busiest) = (json["events"] as? Int ?? 0, json["events_of_busiest_thread"] as? Int ?? 0)
            // A pass, a step and its tasks for each of two ranks' two hops, and at least one message.
            #expect(json["hops"] as? Int == 2 && busiest >= 6 && events >= busiest, "\(outcome.out)")
            let each = json["seconds_per_event"] as? Double ?? 0
            // Two looks at the clock and a store: no machine does it in a nanosecond, none needs a tenth of a millisecond.
            #expect(each > 1e-9 && each < 1e-4)
            #expect(
                abs((json["expected_overhead"] as? Double ?? 0) - Double(busiest) * each / (json["seconds_without"] as? Double ?? 1)) < 1e-9
            )
            let people = try await Binary.run(["bench", "trace", "--tokens", "600", "--heads", "1", "--pairs", "1"])
            #expect(people.code == 0 && people.out.contains("overhead") && people.out.contains("a hop"), "\(people)")
        }

        @Test("bench transport between two processes: they need the same secret, and one measures what the other answers")
        func benchEnds() async throws {
            try await withFolder { folder in
                for (name, secret) in [("one", "abc"), ("other", "abd")] {
                    let made = FileManager.default.createFile(
                        atPath: "\(folder)/\(name)", contents: Data(secret.utf8), attributes: [.posixPermissions: 0o600])
                    #expect(made)
                }
                let words = ["bench", "transport", "--mebibytes", "4", "--secret-file", folder + "/one"]
                let answering = try Running(words + ["--answer", "127.0.0.1:0"])
                let measured = try await Binary.run(words + ["--to", await address(of: answering), "--json"])
                let rows = measured.json["messages"] as? [[String: Any]] ?? []
                #expect(measured.code == 0 && rows.count == 6, "\(measured)")
                #expect(rows.allSatisfy { ($0["bytes_per_second"] as? Double ?? 0) > 0 })
                if measured.code != 0 { answering.signal(SIGKILL) }
                let answered = await answering.outcome()
                #expect(answered.code == 0 && answered.out.isEmpty, "\(answered)")

                let stranger = try Running(words + ["--answer", "127.0.0.1:0"])
                let other = ["bench", "transport", "--mebibytes", "4", "--secret-file", folder + "/other"]
                let refused = try await Binary.run(other + ["--to", await address(of: stranger)])
                #expect(refused.code == 75 && refused.out.isEmpty, "\(refused)")
                stranger.signal(SIGKILL)
                _ = await stranger.outcome()
            }
            for wrong in [["--answer", "127.0.0.1:0"], ["--to", "nowhere", "--secret-file", "x"], ["--secret-file", "x"]] {
                #expect(try await Binary.run(["bench", "transport"] + wrong).code == 2)
            }
        }

        /// Where it answers, or an address that nobody has.
        private func address(of answering: Running) async -> String {
            for _ in 0..<1000 {
                if let found = answering.errorText.firstMatch(of: /answering at (\S+)/) { return String(found.1) }
                try? await Task.sleep(for: .milliseconds(10))
            }
            return "127.0.0.1:1"
        }

        @Test("bench attention measures against a peak of the same run", arguments: ["f32", "bf16"])
        func bench(dtype: String) async throws {
            let outcome = try await Binary.run(["bench", "attention", "--tokens", "1024", "--head-dim", "64", "--dtype", dtype, "--json"])
            #expect(outcome.code == 0, "\(outcome.err)")
            for name in ["gflops", "peak_gflops", "peak_fraction", "seconds"] {
                #expect((outcome.json[name] as? Double ?? 0) > 0, "\(name): \(outcome.out)")
            }
            let tiles = outcome.json["isa"] as? String == "amx" && dtype == "bf16"
            #expect((outcome.json["vector_peak_fraction"] as? Double ?? 0 > 0) == tiles, "\(outcome.out)")
        }

        @Test("bench prefill measures a whole prefill and says where the time went", arguments: ["f32", "bf16"])
        func prefill(dtype: String) async throws {
            let outcome = try await withFolder { folder in
                let outcome = try await Binary.run(
                    [
                        "bench", "prefill", "--tokens", "700", "--hidden", "128", "--layers", "2", "--heads", "4", "--kv-heads", "2",
                        "--head-dim", "32", "--intermediate", "300", "--dtype", dtype, "--workers", "2", "--threads", "1", "--repeats", "2",
                        "--json",
                    ], environment: ["TMPDIR": folder])
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty, "the checkpoint is gone")
                return outcome
            }
            #expect(outcome.code == 0, "\(outcome.err)")
            let json = outcome.json
            func number(_ key: String) -> Double { (json[key] as? NSNumber)?.doubleValue ?? -1 }
            #expect(number("vector_peak_fraction") > 0 && number("bf16_peak_fraction") > 0 && number("seconds") > 0)
            // 2 operations a weight and token, and 4 x 32 for each causal pair of 4 heads.
            let (weights, pairs) = (128 * (128 + 64 + 64 + 128) + 3 * 128 * 300, 4 * 700 * 701 / 2)
            let flops = Double(2 * (2 * 700 * weights + 4 * 32 * pairs))
            #expect(abs(number("gflops") * number("seconds") * 1e9 / flops - 1) < 1e-6)
            #expect(abs(number("tokens_per_second") * number("seconds") - 700) < 1e-6)
            let parts = json["parts"] as? [[String: Any]] ?? []
            #expect(parts.count == 9 && parts.allSatisfy { $0["share"] as? Double ?? -1 >= 0 })
            #expect(abs(parts.reduce(0) { $0 + ($1["share"] as? Double ?? -1) } - 1) < 0.05, "\(parts)")
            #expect((json["runs"] as? [[String: Any]])?.count == 2 && json["linear"] is String)
        }

        @Test("verify holds every shape against its bar")
        func verify() async throws {
            let outcome = try await Binary.run(["verify", "--worlds", "1,3", "--json"])
            #expect(outcome.code == 0, "\(outcome.err)")
            let cases = outcome.json["cases"] as? [[String: Any]] ?? []
            #expect(cases.count == 6 && cases.allSatisfy { $0["ok"] as? Bool == true }, "\(outcome.out)")
        }

        @Test("make-needle and make-haystack give the same bytes for the same seed")
        func deterministic() async throws {
            try await withFolder { folder in
                for name in ["a", "b"] {
                    #expect((try await Binary.run(["model", "make-needle", "--output", "\(folder)/\(name)", "--seed", "5"])).code == 0)
                    let made = try await Binary.run([
                        "model", "make-haystack", "--model", "\(folder)/\(name)", "--tokens", "1k", "--task", "chain", "--seed", "3",
                        "--output",
                        "\(folder)/\(name).txt", "--json",
                    ])
                    #expect(made.code == 0 && made.json["tokens"] as? Int == 1024, "\(made.err)")
                }
                for file in ["/model.safetensors", "/tokenizer.json", ".txt"] {
                    #expect(FileManager.default.contentsEqual(atPath: folder + "/a" + file, andPath: folder + "/b" + file), "\(file)")
                }
            }
        }
    }
}
