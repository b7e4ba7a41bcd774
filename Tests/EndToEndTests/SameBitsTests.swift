// `attend --deterministic` over worker processes and TCP: the same bytes in the result's file whatever the number of workers and threads.

import Foundation
import Testing

extension EndToEnd {
    @Suite("The same bits", .timeLimit(.minutes(10)))
    struct SameBitsTests {
        private static let shape = ["--heads", "2", "--kv-heads", "1", "--head-dim", "64", "--seed", "6", "--deterministic", "--json"]

        /// The bytes of the result file of one run, and what it told.
        private func result(_ arguments: [String], folder: String, environment: [String: String] = [:]) async throws -> (
            Data, [String: Any]
        ) {
            let path = folder + "/out.safetensors"
            let outcome = try await Binary.run(
                ["attend", "--output", path, "--verify-rows", "12"] + arguments + Self.shape, environment: environment)
            #expect(outcome.code == 0, "\(arguments): \(outcome.err)")
            let json = outcome.json
            #expect(json["deterministic"] as? Bool == true)
            #expect((json["max_abs_error"] as? Double ?? 1) <= (json["error_bar"] as? Double ?? 0), "\(outcome.out)")
            return (try Data(contentsOf: URL(filePath: path)), json)
        }

        @Test(
            "one, two, three and five workers write the same file, with one thread or two",
            arguments: [
                ["--tokens", "2111"], ["--tokens", "1500", "--no-causal", "--dtype", "bf16"],
                ["--tokens", "2000", "--window", "300", "--sinks", "4"],
                ["--tokens", "2000", "--documents", "1,1299,700", "--kv-dtype", "bf16"],
            ])
        func workers(problem: [String]) async throws {
            try await withFolder { folder in
                let (one, _) = try await result(problem + ["--workers", "1", "--threads", "1"], folder: folder)
                #expect(Set(one).count > 100)
                for (workers, threads) in [(1, 2), (2, 1), (3, 2), (5, 1)] {
                    let (other, json) = try await result(
                        problem + ["--workers", "\(workers)", "--threads", "\(threads)"], folder: folder)
                    #expect(other == one, "\(problem): \(workers) workers of \(threads) threads")
                    #expect(json["workers"] as? Int == workers)
                }
            }
        }

        @Test("a running cluster gives the bytes of the embedded one, and what it cannot promise it refuses")
        func cluster() async throws {
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                for name in ["a", "b"] { try await daemons.startWorker(name) }
                let problem = ["--tokens", "1300"]
                let (embedded, _) = try await result(problem, folder: daemons.folder)
                let submit = ["submit", "attend", "--output", "there", "--follow"] + problem + Self.shape
                let outcome = try await daemons.ask(submit + ["--workers", "2"])
                #expect(outcome.code == 0 && outcome.json["workers"] as? Int == 2, "\(outcome.err)")
                #expect(try Data(contentsOf: URL(filePath: daemons.folder + "/there")) == embedded)
                try await daemons.startWorker("c", environment: ["RINGMASTER_ISA": "scalar"])
                let mixed = try await daemons.ask(submit + ["--workers", "3"])
                #expect(mixed.code == 1 && mixed.err.contains("c (scalar)"), "\(mixed.code) \(mixed.err)")
            }
        }

        @Test("queries that go round and the promise do not go together, and --explain says so")
        func refusals() async throws {
            let turn = ["attend", "--tokens", "3000", "--new", "20", "--workers", "2", "--verify-rows", "20"] + Self.shape
            let refused = try await Binary.run(turn + ["--schedule", "pass-q"])
            #expect(refused.code == 2 && refused.err.contains("--deterministic"), "\(refused.err)")
            let told = try await Binary.run(turn + ["--explain"])
            #expect(told.code == 0 && told.json["schedule"] as? String == "pass-kv", "\(told.err)")
            let candidates = (told.json["explanation"] as? [String: Any])?["candidates"] as? [[String: Any]] ?? []
            #expect(candidates.count == 2 && candidates.allSatisfy { ($0["reason"] as? String ?? "").contains("bits") })
        }

        @Test("each instruction set keeps the promise over TCP too", arguments: ["scalar", "avx2"])
        func sets(set: String) async throws {
            try await withFolder { folder in
                let (one, _) = try await result(
                    ["--tokens", "600", "--workers", "1"], folder: folder, environment: ["RINGMASTER_ISA": set])
                let (three, json) = try await result(
                    ["--tokens", "600", "--workers", "3"], folder: folder, environment: ["RINGMASTER_ISA": set])
                #expect(one == three)
                let ranks = json["worker_figures"] as? [[String: Any]] ?? []
                #expect(ranks.count == 3 && ranks.allSatisfy { $0["isa"] as? String == set })
            }
        }
    }
}
