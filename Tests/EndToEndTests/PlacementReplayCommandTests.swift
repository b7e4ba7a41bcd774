// `ringmaster simulate placement`: a drifting trace through the real program.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Replays of expert loads", .timeLimit(.minutes(5)))
    struct PlacementReplayCommandTests {
        @Test("a drifting model is followed, and people and programs are told")
        func drift() async throws {
            let shape = ["simulate", "placement", "--synthetic", "dsv3:drift", "--hosts", "16", "--slots", "18", "--expert-bytes", "42MiB"]
            let outcome = try await Binary.run(shape + ["--steps", "8", "--step", "5m", "--link-gbits", "100", "--json"])
            #expect(outcome.code == 0, "\(outcome.err)")
            let totals = try #require(outcome.json["totals"] as? [String: Any])
            func figure(_ name: String) -> Double { totals[name] as? Double ?? .nan }
            #expect(figure("seconds") == 2400 && figure("times_real_time") > 0, "\(totals)")
            #expect(
                figure("fixed") < figure("resplit") && figure("resplit") <= figure("live") && figure("live") <= figure("bound"), "\(totals)"
            )
            #expect(figure("moves") > 0 && figure("bytes") == figure("moves") * Double(42 << 20))
            let steps = outcome.json["steps"] as? [[String: Any]] ?? []
            #expect(steps.count == 8 && steps.allSatisfy { $0["decision"] is String })
            let told = try await Binary.run(shape + ["--steps", "3"])
            #expect(
                told.code == 0 && told.out.contains("balance after the first step") && told.out.contains("times real time"), "\(told.out)")
        }

        @Test("what cannot be replayed is refused in a sentence")
        func refused() async throws {
            let hosts = ["--hosts", "4", "--slots", "64"]
            for (arguments, sentence) in [
                (["--synthetic", "dsv3:drift"] + hosts, "give --expert-bytes"),
                (["--synthetic", "dsv3:rain", "--expert-bytes", "1MiB"] + hosts, "--synthetic is one of"),
                (["--expert-bytes", "1MiB"] + hosts, "give either --loads FILE or --synthetic"),
            ] {
                let outcome = try await Binary.run(["simulate", "placement"] + arguments)
                #expect(outcome.code == 2 && outcome.err.contains(sentence), "\(outcome.err)")
            }
            try await withFolder { folder in
                let path = folder + "/one.csv"
                try Data("1,2,3\n4,5,6\n".utf8).write(to: URL(filePath: path))
                let outcome = try await Binary.run(
                    ["simulate", "placement", "--loads", path, "--hosts", "2", "--slots", "2", "--expert-bytes", "1MiB"])
                #expect(outcome.code == 1 && outcome.err.contains("has one step"), "\(outcome.err)")
            }
        }
    }
}
