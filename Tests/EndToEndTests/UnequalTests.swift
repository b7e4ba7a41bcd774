// Workers of unequal speed: shards as wide as they are fast, told or measured, and the result as right as ever.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Unequal workers", .timeLimit(.minutes(5)))
    struct UnequalTests {
        private let job = [
            "submit", "attend", "--tokens", "14k", "--heads", "2", "--head-dim", "64", "--threads", "1", "--follow", "--json",
        ]

        private func tokensOwned(_ outcome: Binary.Outcome) -> [Int] {
            (outcome.json["worker_figures"] as? [[String: Any]] ?? []).compactMap { $0["tokens"] as? Int }
        }

        @Test(
            "told speeds of 4, 2 and 1 give shards of that width under any mask",
            arguments: [[], ["--no-causal"], ["--documents", "6000,336,8000"]])
        func told(mask: [String]) async throws {
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                for (name, speed) in [("a", "4"), ("b", "2"), ("c", "1")] { try await daemons.startWorker(name, ["--speed", speed]) }
                let outcome = try await daemons.ask(job + ["--verify-rows", "20"] + mask)
                #expect(outcome.code == 0 && (outcome.json["max_abs_error"] as? Double ?? 1) < 1e-5, "\(outcome)")
                let tokens = tokensOwned(outcome)
                try #require(tokens.count == 3 && tokens.reduce(0, +) == 14336, "\(outcome.out)")
                for (place, share) in [4.0, 2, 1].enumerated() {
                    #expect(abs(Double(tokens[place]) - 14336 * share / 7) < 0.06 * 14336, "\(tokens)")
                }
            }
        }

        @Test("int8 keys and values keep their bound on shards of any width")
        func int8() async throws {
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                for (name, speed) in [("a", "4"), ("b", "1")] { try await daemons.startWorker(name, ["--speed", speed]) }
                let outcome = try await daemons.ask(job + ["--verify-rows", "20", "--kv-dtype", "int8"])
                let tokens = tokensOwned(outcome)
                #expect(outcome.code == 0 && tokens.count == 2 && tokens[0] > 2 * tokens[1], "\(outcome)")
                let bound = try #require(outcome.json["error_bound"] as? Double)
                #expect((outcome.json["max_abs_error"] as? Double ?? .infinity) <= bound, "\(outcome.out)")
                #expect((outcome.json["max_abs_error_stored"] as? Double ?? .infinity) < 1e-4, "\(outcome.out)")
            }
        }

        @Test("a worker measures itself when it starts, and says what it found")
        func measured() async throws {
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                let worker = try Running(
                    ["worker", "--coordinator", await daemons.address, "--name", "a", "--data", daemons.folder, "--models", daemons.folder])
                try #require(await worker.says("joined the coordinator"), "\(worker.errorText)")
                let views = try await daemons.ask(["status", "--json"]).json["workers"] as? [[String: Any]]
                let speed = (views?.first?["registration"] as? [String: Any])?["speed"] as? Double ?? 0
                worker.signal(SIGTERM)
                _ = await worker.outcome()
                #expect(speed > 0.01 && speed < 1e5, "\(speed) GFLOP/s a thread")
            }
        }
    }
}
