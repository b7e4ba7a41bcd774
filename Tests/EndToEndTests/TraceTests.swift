// Traces as the program writes them: read by a strict checker, and compared with what the same run reports.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Traces", .timeLimit(.minutes(10)))
    struct TraceTests {
        private func seconds(_ slices: [TraceChecker.Slice]) -> Double { slices.reduce(0) { $0 + Double($1.end - $1.start) / 1e9 } }

        /// What holds for every trace of `json`'s run.
        private func check(_ trace: TraceChecker, _ json: [String: Any], workers: Int) {
            #expect(trace.breaches == [], "\(trace.breaches.prefix(5))")
            #expect(trace.dropped == 0 && trace.processNames.count == workers)
            for rank in 0..<workers {
                #expect(trace.processNames[rank]?.contains("worker-\(rank)") == true)
                #expect(trace.trackNames["\(rank)/1"] == "thread 0 (engine)")
            }
            let sends = trace.slices.filter { $0.name.hasPrefix("send to") },
                receives = trace.slices.filter { $0.name.hasPrefix("receive") }
            #expect(sends.count > 0 && sends.count == receives.count && trace.flows.count == sends.count)
            // An arrow leads from the sender's process to the receiver's.
            #expect(
                trace.flows.allSatisfy {
                    $0.to.process == ($0.from.process + 1) % workers || workers > 2 && $0.to.process != $0.from.process
                })
            for figures in json["worker_figures"] as? [[String: Any]] ?? [] {
                let rank = figures["rank"] as? Int ?? -1
                let steps = figures["ring_steps"] as? [[String: Any]] ?? []
                let computing = trace.slices.filter { $0.process == rank && $0.name.hasPrefix("compute step") }
                let told = steps.reduce(0) { $0 + ($1["compute_seconds"] as? Double ?? -1) }
                #expect(!steps.isEmpty && abs(seconds(computing) - told) < 1e-6, "rank \(rank): \(seconds(computing)) and \(told)")
                let bytes = sends.filter { $0.process == rank }.reduce(0) { $0 + ($1.arguments["bytes"] ?? 0) }
                #expect(bytes == steps.reduce(0) { $0 + ($1["bytes_sent"] as? Int ?? -1) })
                // Waits are part of what is exposed; the rest of it is the time between two doings.
                let waits = seconds(trace.slices.filter { $0.process == rank && $0.name == "wait" })
                #expect(waits <= steps.reduce(0) { $0 + ($1["exposed_seconds"] as? Double ?? -1) } + 1e-6)
            }
        }

        @Test("a trace of attention is one, and says what the report says", arguments: [(2, 2), (3, 1)])
        func attend(workers: Int, threads: Int) async throws {
            try await withFolder { folder in
                let outcome = try await Binary.run([
                    "attend", "--tokens", "6000", "--heads", "12", "--head-dim", "128", "--workers", "\(workers)", "--threads",
                    "\(threads)",
                    "--json", "--trace", folder + "/trace.json",
                ])
                #expect(outcome.code == 0 && outcome.err.contains("trace of"), "\(outcome.err)")
                let trace = try TraceChecker(path: folder + "/trace.json")
                check(trace, outcome.json, workers: workers)
                let tasks = trace.slices.filter { $0.name == "task" }
                #expect(Set(tasks.map(\.track)) == Set(1...threads), "a track a thread")
                // A shard has several pieces, and a causal pass has as many compute slices as steps.
                #expect(trace.slices.contains { $0.name.hasPrefix("send") && ($0.arguments["piece"] ?? 0) > 0 })
                #expect(trace.slices.count { $0.name.hasPrefix("compute step") } == workers * workers)
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["trace.json"])
            }
        }

        @Test("a trace of a model has its layers, and the linear work between them")
        func run() async throws {
            try await withFolder { folder in
                let model = try await Needle.shared.model()
                let prompt = try await Needle.shared.prompt(task: "needle", tokens: 2000)
                let outcome = try await Binary.run([
                    "run", "--model", model, "--prompt-file", prompt.path, "--workers", "2", "--json", "--trace", folder + "/trace.json",
                ])
                #expect(outcome.code == 0, "\(outcome.err)")
                let trace = try TraceChecker(path: folder + "/trace.json")
                check(trace, outcome.json, workers: 2)
                let passes = trace.slices.filter { $0.name == "pass" && $0.process == 0 }
                #expect(passes.count > 1 && Set(passes.compactMap { $0.arguments["layer"] }) == Set(0..<passes.count))
                #expect(trace.slices.count { $0.name == "linear" && $0.process == 0 } == 2 * passes.count)
            }
        }

        @Test("bench ring traces its last ring")
        func bench() async throws {
            try await withFolder { folder in
                let outcome = try await Binary.run([
                    "bench", "ring", "--tokens", "4096", "--heads", "2", "--head-dim", "64", "--repeats", "2", "--trace",
                    folder + "/t.json",
                ])
                #expect(outcome.code == 0 && outcome.out.hasPrefix("efficiency"), "\(outcome.err)")
                let trace = try TraceChecker(path: folder + "/t.json")
                #expect(trace.breaches == [] && trace.processNames.count == 2 && trace.flows.count > 0)
            }
        }

        @Test("a file that cannot be written is told before the job starts, and nothing is left of one whose job fails")
        func refusals() async throws {
            let nowhere = try await Binary.run(["attend", "--tokens", "100", "--trace", "/nowhere/at/all.json"])
            #expect(nowhere.code == 1 && nowhere.errors.count == 1 && nowhere.errors[0].contains("/nowhere/at/all.json"), "\(nowhere.err)")
            try await withFolder { folder in
                try Tensors.write(
                    [
                        ("q", [4, 1, 32], [Float](repeating: .nan, count: 128)), ("k", [4, 1, 32], [Float](repeating: 1, count: 128)),
                        ("v", [4, 1, 32], [Float](repeating: 1, count: 128)),
                    ], to: folder + "/in.safetensors")
                let broken = try await Binary.run([
                    "attend", "--input", folder + "/in.safetensors", "--verify-rows", "1", "--trace", folder + "/trace.json",
                ])
                #expect(broken.code == 1)
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["in.safetensors"])
            }
        }
    }
}
