// Loads that other servers dumped go into `place`, and a picture of what it did comes out.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Loads of others and pictures", .timeLimit(.minutes(5)))
    struct PictureTests {
        /// 3 layers of 16 experts, the first of them asked for most.
        private static let rows = (0..<3).map { layer in (0..<16).map { expert in 1000 / (1 + (expert + layer) % 16) } }

        @Test("the same loads as SGLang's JSON, as vLLM's and as lines give the same plan, byte for byte")
        func imports() async throws {
            try await withFolder { folder in
                let table = Self.rows.map { "[" + $0.map(String.init).joined(separator: ", ") + "]" }.joined(separator: ", ")
                let map = Self.rows.map { _ in "[" + (0..<16).map(String.init).joined(separator: ", ") + "]" }.joined(separator: ", ")
                let texts = [
                    "lines.csv": Self.rows.map { $0.map(String.init).joined(separator: ",") }.joined(separator: "\n"),
                    "sglang.json": #"{"logical_count": [\#(table)]}"#,
                    "vllm.json": #"{"snapshots": [{"window_expert_load": [\#(table)], "physical_to_logical_map": [\#(map)]}]}"#,
                ]
                var plans: [Data] = []
                for (name, text) in texts.sorted(by: { $0.key < $1.key }) {
                    try Data(text.utf8).write(to: URL(filePath: folder + "/" + name))
                    let output = folder + "/" + name + ".plan"
                    let outcome = try await Binary.run(
                        ["place", "--loads", folder + "/" + name, "--hosts", "4", "--slots", "5", "--output", output])
                    #expect(outcome.code == 0, "\(name): \(outcome.err)")
                    plans.append(try Data(contentsOf: URL(filePath: output)))
                }
                #expect(plans.count == 3 && plans[0] == plans[1] && plans[1] == plans[2])
            }
        }

        @Test("the heat map shows hosts dealt in order beside the plan, and the plan in force beside the next")
        func heatmap() async throws {
            try await withFolder { folder in
                let (loads, plan, picture) = (folder + "/l.csv", folder + "/plan.json", folder + "/p.svg")
                let text = Self.rows.map { $0.map(String.init).joined(separator: ",") }.joined(separator: "\n")
                try Data(text.utf8).write(to: URL(filePath: loads))
                let base = ["place", "--loads", loads, "--hosts", "4", "--slots", "5", "--heatmap", picture]
                #expect(try await Binary.run(base + ["--output", plan]).code == 0)
                let first = try String(contentsOfFile: picture, encoding: .utf8)
                #expect(first.hasPrefix("<svg") && first.contains("experts in order, one copy each") && first.contains("balance 1.000"))
                let next = try await Binary.run(base + ["--previous", plan])
                #expect(next.code == 0, "\(next.err)")
                #expect(try String(contentsOfFile: picture, encoding: .utf8).contains("the plan in force"))
                let nowhere = try await Binary.run(Array(base.dropLast()) + [folder + "/no/p.svg"])
                #expect(nowhere.code == 1 && nowhere.errors.count == 1 && nowhere.errors[0].contains("p.svg"), "\(nowhere.err)")
            }
        }
    }
}
