// Turns over a long past by either schedule, and what `--explain` says of them.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Schedules", .timeLimit(.minutes(10)))
    struct ScheduleTests {
        private static let shape = ["--heads", "4", "--kv-heads", "2", "--head-dim", "64", "--seed", "3", "--json"]

        @Test(
            "a turn is right by either schedule, under every mask, f32 and bf16", arguments: ["pass-kv", "pass-q", "auto"],
            [["--causal"], ["--no-causal", "--dtype", "bf16"], ["--window", "700"], ["--documents", "1000,1500,501", "--dtype", "bf16"]])
        func turn(schedule: String, mask: [String]) async throws {
            let outcome = try await Binary.run(
                ["attend", "--tokens", "3001", "--new", "333", "--workers", "3", "--verify-rows", "25", "--schedule", schedule] + Self.shape
                    + mask)
            #expect(outcome.code == 0, "\(outcome.err)")
            let json = outcome.json
            #expect(json["sampled_queries"] as? Int == 333)
            #expect((json["max_abs_error"] as? Double ?? 1) <= (json["error_bar"] as? Double ?? 0), "\(outcome.out)")
            let done = try #require(json["schedule"] as? String)
            #expect(schedule == "auto" ? ["pass-kv", "pass-q"].contains(done) : done == schedule)
            if mask == ["--no-causal", "--dtype", "bf16"] {
                let ranks = json["worker_figures"] as? [[String: Any]] ?? []
                let flops: [Double] = ranks.compactMap { $0["flops"] as? Double }
                let all: Double = 333 * 3001 * 4 * 256
                #expect(flops.reduce(0, +) == all)
            }
        }

        @Test("a whole context by queries has the same result as by keys and values")
        func whole() async throws {
            let outcome = try await Binary.run(
                ["attend", "--tokens", "2500", "--workers", "3", "--verify-rows", "40", "--schedule", "pass-q"] + Self.shape)
            #expect(outcome.code == 0 && outcome.json["schedule"] as? String == "pass-q", "\(outcome.err)")
            #expect((outcome.json["max_abs_error"] as? Double ?? 1) <= (outcome.json["error_bar"] as? Double ?? 0), "\(outcome.out)")
        }

        @Test("--explain tells what each schedule would need, the bytes to the byte, and what came of it")
        func explained() async throws {
            let turn = ["attend", "--tokens", "6000", "--new", "40", "--workers", "2", "--explain"]
            for schedule in ["pass-kv", "pass-q"] {
                let outcome = try await Binary.run(turn + ["--schedule", schedule] + Self.shape)
                #expect(outcome.code == 0, "\(outcome.err)")
                let told = try #require(outcome.json["explanation"] as? [String: Any])
                let candidates = try #require(told["candidates"] as? [[String: Any]])
                #expect(candidates.compactMap { $0["schedule"] as? String } == ["pass-kv", "pass-q"])
                let chosen = try #require(candidates.first { $0["schedule"] as? String == schedule })
                // The barrier at the end moves 32 floats' worth beside: what the planner counts is the pass.
                let ranks = outcome.json["worker_figures"] as? [[String: Any]] ?? []
                let steps = ranks.flatMap { $0["ring_steps"] as? [[String: Any]] ?? [] }
                let bytes: Int = steps.compactMap { $0["bytes_received"] as? Int }.reduce(0, +)
                let flops: Double = ranks.compactMap { $0["flops"] as? Double }.reduce(0, +)
                let expected: (bytes: Int?, flops: Double?) = (chosen["bytes"] as? Int, chosen["flops"] as? Double)
                #expect(bytes == expected.bytes && flops == expected.flops, "\(outcome.out)")
                let (predicted, measured) = (told["predicted_seconds"] as? Double, told["measured_seconds"] as? Double)
                #expect(predicted ?? 0 > 0 && measured ?? 0 > 0)
                #expect(candidates.allSatisfy { !($0["reason"] as? String ?? "").isEmpty })
            }
            let people = try await Binary.run(turn + ["--heads", "4", "--kv-heads", "2", "--head-dim", "64"])
            #expect(people.code == 0 && people.out.isEmpty)
            for word in ["pass-kv: ", "pass-q: ", "predicted", "measured", "GFLOP/s a rank"] {
                #expect(people.err.contains(word), "\(word) in \(people.err)")
            }
        }

        @Test("--plan computes nothing and goes by the links and machines that it is told of")
        func planned() async throws {
            // A quarter of an hour of attention: this ends at once.
            let whole = ["attend", "--tokens", "512k", "--heads", "8", "--kv-heads", "8", "--workers", "8", "--plan", "--json"]
            func passKV(_ arguments: [String]) async throws -> (seconds: Double, exposed: Double, bytes: Int) {
                let outcome = try await Binary.run(whole + arguments)
                #expect(outcome.code == 0 && outcome.json["measured_seconds"] is NSNull, "\(outcome.err)")
                let one = try #require((outcome.json["candidates"] as? [[String: Any]])?.first)
                return (
                    try #require(one["seconds"] as? Double), try #require(one["exposed_seconds"] as? Double),
                    try #require(one["bytes"] as? Int)
                )
            }
            let (slow, fast) = (
                try await passKV(["--nodes", "8", "--link-gbits", "0.001"]), try await passKV(["--nodes", "8", "--link-gbits", "10"])
            )
            #expect(slow.bytes == fast.bytes)
            // What comes to a rank over a link of 1 Mbit/s takes at least this long.
            #expect(slow.seconds > Double(slow.bytes / 8) / 1.25e5 && slow.exposed > slow.seconds / 2)
            #expect(fast.seconds < slow.seconds / 10)
            let people = try await Binary.run(Array(whole.dropLast()))
            #expect(people.code == 0 && people.out.isEmpty && people.err.contains("pass-q: "), "\(people)")
        }

        @Test("turns and schedules that cannot be meant are refused in a sentence")
        func refusals() async throws {
            let tokens = ["attend", "--tokens", "100"]
            for (arguments, word) in [
                (tokens + ["--new", "101"], "--new"), (tokens + ["--new", "0"], "--new"),
                (tokens + ["--schedule", "fastest"], "--schedule"),
                (tokens + ["--new", "5", "--sample-queries", "5"], "--sample-queries"),
                (tokens + ["--link-gbits", "1"], "--plan"), (tokens + ["--plan", "--link-gbits", "0"], "--link-gbits"),
                (tokens + ["--plan", "--nodes", "0"], "--nodes"), (tokens + ["--plan", "--verify-rows", "5"], "--plan"),
                (tokens + ["--new", "5", "--output", "/nowhere/x"], "--output"), (["attend", "--tokens", "1M", "--new", "65537"], "65536"),
            ] {
                let outcome = try await Binary.run(arguments)
                #expect(outcome.code == 2 && outcome.err.contains(word), "\(arguments): \(outcome.err)")
            }
        }
    }
}
