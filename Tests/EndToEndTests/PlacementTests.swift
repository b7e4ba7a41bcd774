// `place` as a person uses it: a plan from loads, another from the plan before, and what is refused.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Placement", .timeLimit(.minutes(5)))
    struct PlacementTests {
        private func withFolder(_ body: (URL) async throws -> Void) async throws {
            try await EndToEndTests.withFolder { folder in try await body(URL(filePath: folder, directoryHint: .isDirectory)) }
        }

        /// Loads of 4 layers of 32 experts: expert e of layer l has a load that falls with its turn.
        private func loads(_ folder: URL, _ name: String, turn: Int) throws -> String {
            let lines = (0..<4).map { layer in
                (0..<32).map { expert in "\(10_000 / (1 + (expert * 7 + layer * 5 + turn) % 32))" }.joined(separator: ",")
            }
            let path = folder.appending(path: name)
            try lines.joined(separator: "\n").write(to: path, atomically: true, encoding: .utf8)
            return path.path()
        }

        @Test("a plan is exact, the next one moves few slots, and the same input gives the same bytes")
        func plans() async throws {
            try await withFolder { folder in
                let plan = folder.appending(path: "plan.json").path()
                let first = ["place", "--loads", try loads(folder, "a.csv", turn: 0), "--hosts", "8", "--slots", "6", "--nodes", "4"]
                let outcome = try await Binary.run(first + ["--output", plan, "--json"])
                #expect(outcome.code == 0, "\(outcome.err)")
                let totals = try #require(outcome.json["totals"] as? [String: Any])
                #expect(try #require(totals["gap"] as? Double) < 1e-6 && totals["moves"] is NSNull)
                let text = try Data(contentsOf: URL(filePath: plan))
                #expect(try await Binary.run(first + ["--output", plan]).code == 0)
                #expect(try Data(contentsOf: URL(filePath: plan)) == text)
                let document = try #require(try JSONSerialization.jsonObject(with: text) as? [String: Any])
                let layers = try #require(document["layers"] as? [[String: Any]])
                let hosts = try #require(layers.first?["hosts"] as? [[Any]])
                #expect(document["schema_version"] as? Int == 1 && layers.count == 4 && hosts.count == 8 && hosts[0].count == 6)

                let next = try await Binary.run(
                    [
                        "place", "--loads", loads(folder, "b.csv", turn: 1), "--hosts", "8", "--slots", "6", "--nodes", "4", "--previous",
                        plan,
                    ]
                        + ["--move-budget", "0.1", "--expert-bytes", "16MiB", "--json", "--output", plan])
                #expect(next.code == 0, "\(next.err)")
                #expect(try #require(next.json["moves_fraction"] as? Double) <= 0.1)
                let after = try #require((next.json["totals"] as? [String: Any])?["balance"] as? Double)
                #expect(try after >= #require(next.json["stale_balance"] as? Double))
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path()).sorted() == ["a.csv", "b.csv", "plan.json"])
            }
        }

        @Test("people get sentences, and a line for each layer on request")
        func text() async throws {
            try await withFolder { folder in
                let outcome = try await Binary.run(
                    ["place", "--loads", loads(folder, "a.csv", turn: 3), "--hosts", "4", "--slots", "18", "--nodes", "2"]
                        + ["--replicas-in-two-domains", "--explain"])
                #expect(outcome.code == 0 && outcome.out.contains("balance 1.0000") && outcome.out.contains("the mean"), "\(outcome.out)")
                #expect(outcome.out.split(separator: "\n").count >= 8)
            }
        }

        @Test("the planner is measured beside EPLB")
        func bench() async throws {
            let outcome = try await Binary.run([
                "bench", "placement", "--model", "dsv3", "--hosts", "32", "--parts", "cold", "--runs", "1", "--json",
            ])
            #expect(outcome.code == 0, "\(outcome.err)")
            let rows = try #require(outcome.json["rows"] as? [[String: Any]])
            #expect(rows.count == 6)
            for row in rows {
                let (balance, baseline) = (try #require(row["balance"] as? Double), try #require(row["eplb_balance"] as? Double))
                #expect(try #require(row["gap"] as? Double) <= 0.001 && balance >= baseline - 1e-9, "\(row)")
            }
        }

        @Test("what cannot be planned is refused in one sentence")
        func refusals() async throws {
            try await withFolder { folder in
                let good = try loads(folder, "a.csv", turn: 0)
                let write = { (name: String, text: String) throws -> String in
                    let path = folder.appending(path: name)
                    try text.write(to: path, atomically: true, encoding: .utf8)
                    return path.path()
                }
                let plan = folder.appending(path: "plan.json").path()
                #expect(try await Binary.run(["place", "--loads", good, "--hosts", "8", "--slots", "6", "--output", plan]).code == 0)
                let cluster = try write(
                    "cluster.yaml",
                    """
                    schema_version: 1
                    machines:
                      - name: small
                        count: 2
                        memory: 1GiB
                        tflops: 1
                        memory_gbytes: 100
                        link_gbits: 100
                    """)
                let fits = try await Binary.run(["place", "--loads", good, "--cluster", cluster, "--expert-bytes", "8MiB", "--json"])
                #expect(fits.code == 0 && fits.json["slots"] as? Int == 64, "\(fits.err)")
                let small = try write("small.csv", "1,2\n3,4\n")
                let cases: [([String], Int32, String)] = [
                    (["--loads", good], 2, "--hosts"), (["--loads", good, "--hosts", "4"], 2, "--slots"),
                    (["--loads", good, "--hosts", "4", "--slots", "7"], 1, "4 are missing"),
                    (["--loads", good, "--hosts", "4", "--slots", "9", "--nodes", "3"], 2, "--nodes"),
                    (["--loads", good, "--hosts", "4", "--slots", "9", "--move-budget", "0.1"], 2, "--previous"),
                    (["--loads", good, "--hosts", "4", "--slots", "9", "--nodes", "2", "--replicas-in-two-domains"], 1, "64 slots"),
                    (["--loads", good, "--hosts", "4", "--slots", "18", "--replicas-in-two-domains"], 1, "two nodes"),
                    (["--loads", good, "--cluster", cluster, "--expert-bytes", "64MiB"], 1, "6.00 GiB are missing"),
                    (["--loads", good, "--cluster", cluster], 2, "--expert-bytes"),
                    (["--loads", good, "--hosts", "4", "--slots", "9", "--policy", "best"], 2, "policy"),
                    (["--loads", good, "--hosts", "6", "--slots", "6", "--previous", plan], 1, "8 hosts"),
                    (["--loads", small, "--hosts", "8", "--slots", "6", "--previous", plan], 1, "4 layers of 32 experts"),
                    (["--loads", try write("nan.csv", "1,nan\n"), "--hosts", "2", "--slots", "2"], 1, "expert 1 is nan"),
                    (["--loads", try write("minus.csv", "1,-4\n"), "--hosts", "2", "--slots", "2"], 1, "is -4"),
                    (["--loads", try write("zero.csv", "0,0\n"), "--hosts", "2", "--slots", "2"], 1, "all loads are zero"),
                    (["--loads", try write("none.csv", "\n"), "--hosts", "2", "--slots", "2"], 2, "holds no load"),
                    (["--loads", try write("uneven.csv", "1,2\n3\n"), "--hosts", "2", "--slots", "2"], 2, "line 2"),
                    (["--loads", folder.path() + "absent.npy", "--hosts", "2", "--slots", "2"], 1, "absent.npy"),
                ]
                for (arguments, code, words) in cases {
                    let outcome = try await Binary.run(["place"] + arguments)
                    #expect(outcome.code == code && outcome.errors.count == 1 && outcome.out.isEmpty, "\(arguments): \(outcome.err)")
                    #expect(outcome.errors.first?.contains(words) == true, "\(arguments) does not say \(words): \(outcome.err)")
                }
            }
        }
    }
}
