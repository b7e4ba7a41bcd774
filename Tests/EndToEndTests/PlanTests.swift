// `ringmaster plan` as people and scripts call it.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Plans", .timeLimit(.minutes(5)))
    struct PlanTests {
        private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        private static let servers = root.appending(path: "cluster-configs/plan-servers.yaml").path(percentEncoded: false)

        private func plan(_ arguments: [String]) async throws -> Binary.Outcome {
            try await Binary.run(["plan", "--cluster", Self.servers] + arguments)
        }

        @Test("a model that fits: the page in 100 columns, and the same figures as JSON")
        func fits() async throws {
            let page = try await plan(["--model", "deepseek-v3", "--context", "1M"])
            #expect(page.code == 0 && page.err.isEmpty, "\(page.err)")
            for words in [
                "It fits in memory", "Prefill:", "Decode:", "bottleneck:", "Smallest cluster", "links twice as fast",
                "keys and values in fp8",
                "assumed", "Cost of a million tokens",
            ] { #expect(page.out.contains(words), "no '\(words)' in\n\(page.out)") }
            #expect(page.out.split(separator: "\n").allSatisfy { $0.count <= 100 }, "\(page.out)")
            let json = try await plan(["--model", "deepseek-v3", "--context", "1M", "--json"]).json
            let first = try #require((json["plans"] as? [[String: Any]])?.first)
            #expect(first["fits"] as? String == "memory" && first["machines"] as? Int == 16 && json["tokens"] as? Int == 1 << 20)
            #expect((first["prefill_seconds"] as? Double ?? 0) > 1 && (first["tokens_per_second"] as? Double ?? 0) > 0.1)
            #expect((json["changes"] as? [Any])?.count ?? 0 >= 4 && json["smallest"] is [String: Any])
        }

        @Test("several numbers of machines are lines of one table, and a price and an assumption count")
        func counts() async throws {
            let arguments = [
                "--model", "kimi-k3", "--nodes", "1", "8", "64", "--price-per-node-hour", "2", "--assume", "link=0.5", "--json",
            ]
            let json = try await plan(arguments).json
            let plans = try #require(json["plans"] as? [[String: Any]])
            #expect(plans.compactMap { $0["machines"] as? Int } == [1, 8, 64] && plans.first?["fits"] as? String == "nvme")
            let (eight, many) = (plans[1]["prefill_seconds"] as? Double ?? 0, plans[2]["prefill_seconds"] as? Double ?? 0)
            #expect(many > 0 && many < eight && (json["assumptions"] as? [String: Any])?["link"] as? Double == 0.5)
            let price = (plans[2]["prefill_cost"] as? Double ?? 0) / (many * 1e6 / Double(1 << 20) / 3600 * 128)
            #expect(abs(price - 1) < 1e-6)
        }

        @Test("what does not fit ends with 1 and says what is missing and what would do")
        func misfit() async throws {
            let page = try await plan(["--model", "kimi-k3", "--nodes", "1", "--expert-dtype", "bf16"])
            #expect(page.code == 1 && page.errors.count == 1 && page.errors[0].contains("does not fit 1 machine"), "\(page.err)")
            for words in ["It does not fit", "Any one of these would do", "machines", "of memory in every machine"] {
                #expect(page.out.contains(words), "no '\(words)' in\n\(page.out)")
            }
        }

        @Test("a folder's config.json is enough, and the models that are known are listed")
        func sources() async throws {
            let model = try await Needle.shared.model()
            let json = try await plan(["--model", model, "--context", "4k", "--json"]).json
            #expect(((json["model"] as? [String: Any])?["parameters"] as? Int ?? 0) > 10_000, "\(json)")
            let list = try await Binary.run(["plan", "--list-models"])
            #expect(list.code == 0 && list.out.contains("kimi-k3") && list.out.contains("gpt-oss-120b"))
        }

        @Test("bad input is one sentence that says what to do")
        func bad() async throws {
            for (arguments, words) in [
                (["--model", "kimi-k4"], "did you mean 'kimi-k2'"), (["--model", "./nowhere"], "does not exist"),
                ([], "--model is missing"),
                (["--model", "glm-5", "--nodes", "0"], "--nodes is 1 to"), (["--model", "glm-5", "--context", "0"], "1 to"),
                (["--model", "glm-5", "--kv-dtype", "fp7"], "--kv-dtype is one of"),
                (["--model", "glm-5", "--assume", "link"], "link=0.8"),
                (["--model", "glm-5", "--assume", "lnk=1"], "did you mean 'link'"),
                (["--model", "glm-5", "--assume", "link=2"], "at most 1"),
                (["--model", "glm-5", "--price-per-node-hour", "-1"], "--price-per-node-hour"),
                (["--model", "glm-5", "--sequences", "0"], "sequences"),
                (["--model", "glm-5", "--cluster", Self.root.path + "/cluster-configs/loopback.yaml"], "names no machines"),
            ] {
                let outcome = try await plan(arguments)
                #expect(outcome.code == (words == "does not exist" ? 1 : 2), "\(arguments): \(outcome.err)")
                #expect(outcome.errors.count == 1 && outcome.errors[0].contains(words), "\(arguments): \(outcome.err)")
            }
        }
    }
}
