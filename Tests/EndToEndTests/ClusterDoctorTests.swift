// `doctor --cluster` on a cluster of real processes: silent in good health, exit code 1 and the right name when a machine is made ill.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Doctor of a cluster", .serialized, .timeLimit(.minutes(3)))
    struct ClusterDoctorTests {
        /// Asks until every worker has compared clocks and looked at the others' ports.
        private func examination(_ daemons: Daemons, workers: Int) async throws -> (outcome: Binary.Outcome, facts: [[String: Any]]) {
            for _ in 0..<300 {
                let outcome = try await daemons.ask(["doctor", "--cluster", "--json"])
                let facts = (outcome.json["workers"] as? [[String: Any]] ?? []).compactMap { $0["facts"] as? [String: Any] }
                let isReady = facts.allSatisfy { $0["clock_ahead_seconds"] != nil && ($0["peers_tried"] as? Int ?? 0) == workers - 1 }
                if facts.count == workers, isReady { return (outcome, facts) }
                try await Task.sleep(for: .milliseconds(100))
            }
            Issue.record("the workers never told what they know")
            throw CancellationError()
        }

        private func kinds(_ outcome: Binary.Outcome, faults: Bool) -> [String] {
            (outcome.json["findings"] as? [[String: Any]] ?? []).filter { $0["is_fault"] as? Bool == faults }
                .compactMap { finding in (finding["worker"] as? String ?? "") + " " + (finding["kind"] as? String ?? "") }
        }

        @Test("workers in good health: their facts are told, clocks agree, ports are open, and the exit code is 0")
        func healthy() async throws {
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                for name in ["a", "b", "c"] { try await daemons.startWorker(name) }
                let (outcome, facts) = try await examination(daemons, workers: 3)
                // A disk that is nearly full is this machine's own fault, and rightly told.
                let faults = kinds(outcome, faults: true).filter { !$0.hasSuffix(" disk") && !$0.hasSuffix(" numa") }
                #expect(faults == [], "\(outcome.out)")
                if kinds(outcome, faults: true).isEmpty { #expect(outcome.code == 0 && outcome.json["ok"] as? Bool == true) }
                for fact in facts {
                    #expect(abs(fact["clock_ahead_seconds"] as? Double ?? 99) < 1 && fact["interface"] as? String == "lo")
                    #expect((fact["unreachable"] as? [Any])?.isEmpty == true)
                    #expect(((fact["disks"] as? [[String: Any]])?.first?["total_bytes"] as? Int ?? 0) > 0)
                }
                let text = try await daemons.ask(["doctor", "--cluster"])
                #expect(text.out.contains("3 workers on 1 machine") && text.out.contains("2 of 2"), "\(text.out)")
            }
        }

        @Test("other kernels, and a worker that is gone, are faults by name")
        func ill() async throws {
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                for name in ["a", "b"] { try await daemons.startWorker(name) }
                let address = await daemons.address
                let odd = try Running(
                    ["worker", "--coordinator", address, "--name", "odd", "--speed", "1"],
                    environment: ["RINGMASTER_ISA": "scalar"])
                defer { odd.signal(SIGKILL) }
                #expect(await odd.says("joined the coordinator"))
                let (outcome, _) = try await examination(daemons, workers: 3)
                #expect(outcome.code == 1 && outcome.json["ok"] as? Bool == false)
                #expect(kinds(outcome, faults: true).contains("odd isa"), "\(outcome.out)")
                let text = try await daemons.ask(["doctor", "--cluster"])
                #expect(text.code == 1 && text.out.contains("computes with scalar") && text.err.isEmpty, "\(text.out) \(text.err)")
                // A worker that stands still is noticed before it counts as lost.
                await daemons.signalWorker("b", SIGSTOP)
                var seen: [String] = []
                for _ in 0..<80 where !seen.contains("b silent") {
                    seen = kinds(try await daemons.ask(["doctor", "--cluster", "--json"]), faults: true)
                    try await Task.sleep(for: .milliseconds(50))
                }
                await daemons.signalWorker("b", SIGCONT)
                #expect(seen.contains("b silent"), "\(seen)")
            }
        }

        @Test("no coordinator is exit code 75, and its address without --cluster is a usage error")
        func absent() async throws {
            let gone = try await Binary.run(["doctor", "--cluster", "--coordinator", "http://127.0.0.1:1"])
            #expect(gone.code == 75 && gone.out.isEmpty && gone.errors.count == 1, "\(gone.err)")
            #expect(try await Binary.run(["doctor", "--coordinator", "http://127.0.0.1:1"]).code == 2)
        }
    }
}
