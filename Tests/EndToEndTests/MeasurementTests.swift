// What a ring says of itself: its steps, a sample of its rows, and how it compares with one process.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Measurements", .timeLimit(.minutes(10)))
    struct MeasurementTests {
        @Test(
            "a sample of queries sees the whole context, and holds against double precision", arguments: ["--causal", "--no-causal"],
            ["f32", "bf16"])
        func sample(mask: String, type: String) async throws {
            let outcome = try await Binary.run([
                "attend", "--tokens", "3000", "--heads", "4", "--kv-heads", "2", "--head-dim", "64", "--workers", "3", "--seed", "5",
                "--sample-queries", "40", "--verify-rows", "15", "--json", "--dtype", type, mask,
            ])
            #expect(outcome.code == 0, "\(outcome.err)")
            let json = outcome.json
            #expect(json["sampled_queries"] as? Int == 40)
            #expect((json["max_abs_error"] as? Double ?? 1) <= (json["error_bar"] as? Double ?? 0), "\(outcome.out)")
            let ranks = json["worker_figures"] as? [[String: Any]] ?? []
            let flops = ranks.reduce(0) { $0 + ($1["flops"] as? Double ?? 0) }
            let everything = 40.0 * 3000 * 4 * 4 * 64
            if mask == "--no-causal" { #expect(flops == everything) } else { #expect(flops > 0.2 * everything && flops < 0.8 * everything) }
            // Nobody holds all: the keys and values are dealt as always.
            #expect(ranks.map { $0["tokens"] as? Int ?? 0 }.allSatisfy { (900...1100).contains($0) })
        }

        @Test("every link between three workers is measured, and people and programs are told the same")
        func links() async throws {
            let outcome = try await Binary.run([
                "bench", "links", "--here", "--workers", "3", "--message-bytes", "256KiB", "--messages", "4", "--json",
            ])
            #expect(outcome.code == 0, "\(outcome.err)")
            let links = outcome.json["links"] as? [[String: Any]] ?? []
            let ends = links.map { "\($0["from"] as? String ?? "") \($0["to"] as? String ?? "")" }
            #expect(Set(ends).count == 6 && links.allSatisfy { $0["transport"] as? String == "shared-memory" }, "\(outcome.out)")
            #expect(
                links.allSatisfy { ($0["bytes_per_second"] as? Double ?? 0) > 1e6 && ($0["round_trip_seconds"] as? Double ?? 0) > 1e-7 })
            let told = try await Binary.run([
                "bench", "links", "--here", "--workers", "2", "--transport", "tcp", "--message-bytes", "64KiB",
            ])
            #expect(told.code == 0 && told.out.hasPrefix("slowest link: ") && told.out.contains(" over tcp"), "\(told.out) \(told.err)")
            #expect(told.out.contains("worker-0") && told.out.contains("worker-1"), "\(told.out)")
        }

        @Test("more sampled queries than tokens are all of them, and one is the last")
        func sampleEdges() async throws {
            for (tokens, sampled, wanted) in [(5, 100, 5), (100, 1, 1), (2, 2, 2)] {
                let outcome = try await Binary.run([
                    "attend", "--tokens", "\(tokens)", "--heads", "2", "--head-dim", "64", "--workers", "4", "--sample-queries",
                    "\(sampled)",
                    "--verify-rows", "100", "--json",
                ])
                #expect(outcome.code == 0 && outcome.json["sampled_queries"] as? Int == wanted, "\(outcome.err)")
                #expect((outcome.json["max_abs_error"] as? Double ?? 1) < 1e-5, "\(outcome.out)")
            }
        }

        @Test(
            "a rank holds its own q, k, v and out, two blocks of others, and no more than 64 MiB besides",
            arguments: [
                ["--dtype", "f32"], ["--dtype", "bf16"], ["--no-causal", "--kv-heads", "2"], ["--window", "3k", "--sinks", "4"],
            ])
        func memory(options: [String]) async throws {
            let shape = ["attend", "--tokens", "48k", "--heads", "4", "--head-dim", "128", "--workers", "3", "--json"]
            let outcome = try await Binary.run(shape + options)
            #expect(outcome.code == 0, "\(outcome.err)")
            let (kvHeads, element) = (options.contains("2") ? 2 : 4, options.contains("bf16") ? 2 : 4)
            let ranks = outcome.json["worker_figures"] as? [[String: Any]] ?? []
            #expect(ranks.count == 3)
            for rank in ranks {
                let tokens = try #require(rank["tokens"] as? Int)
                // q and out in f32; own keys and values, and two shards of them as they come.
                let bound = tokens * (2 * 4 * 128 * 4 + 3 * 2 * kvHeads * 128 * element) + 64 << 20
                let resident = try #require(rank["peak_resident_bytes"] as? Int)
                #expect(resident <= bound && resident > tokens * 4 * 128 * 4, "\(resident) of \(bound) bytes: \(rank)")
            }
        }

        @Test("a sample is no result to keep")
        func sampleRefusals() async throws {
            let output = ["attend", "--tokens", "10", "--sample-queries", "2", "--output", "/nowhere/x"]
            for (arguments, word) in [(output, "--output"), (["attend", "--tokens", "10", "--sample-queries", "0"], "--sample-queries")] {
                let outcome = try await Binary.run(arguments)
                #expect(outcome.code == 2 && outcome.errors.count == 1 && outcome.errors[0].contains(word), "\(outcome.err)")
            }
        }

        @Test("the steps of every rank are told, in a table and in JSON")
        func steps() async throws {
            let shape = ["attend", "--tokens", "4000", "--heads", "2", "--head-dim", "64", "--workers", "3"]
            let table = try await Binary.run(shape + ["--steps"])
            #expect(table.code == 0 && table.out.isEmpty)
            let lines = table.err.split(separator: "\n").filter { $0.contains(/^ *[0-2] +[0-2] +[0-9.]+ +[0-9.]+/) }
            #expect(lines.count == 9, "\(table.err)")
            let outcome = try await Binary.run(shape + ["--json"])
            for rank in outcome.json["worker_figures"] as? [[String: Any]] ?? [] {
                let steps = rank["ring_steps"] as? [[String: Any]] ?? []
                #expect(steps.map { $0["step"] as? Int } == [0, 1, 2] && steps.allSatisfy { $0["passes"] as? Int == 1 })
                func sum(_ key: String) -> Double { steps.reduce(0) { $0 + (($1[key] as? NSNumber)?.doubleValue ?? -1e9) } }
                #expect(sum("flops") == rank["flops"] as? Double)
                #expect(abs(sum("compute_seconds") - (rank["compute_seconds"] as? Double ?? -1)) < 1e-6)
                #expect(abs(sum("exposed_seconds") - (rank["exposed_seconds"] as? Double ?? -1)) < 1e-6)
                #expect(sum("bytes_sent") > 0 && sum("bytes_received") > 0)
            }
        }

        @Test("a ring is compared with one process", arguments: [2, 4])
        func bench(workers: Int) async throws {
            let outcome = try await Binary.run([
                "bench", "ring", "--tokens", "4096", "--heads", "2", "--head-dim", "64", "--workers", "\(workers)", "--repeats", "2",
                "--json",
            ])
            #expect(outcome.code == 0, "\(outcome.err)")
            let json = outcome.json
            func number(_ key: String) -> Double { (json[key] as? NSNumber)?.doubleValue ?? -1 }
            let runs = json["runs"] as? [[String: Any]] ?? []
            #expect(runs.count == 2 && number("efficiency") > 0 && number("gflops") > 0 && number("peak_gflops") > number("gflops"))
            #expect(runs.contains { $0["efficiency"] as? Double == number("efficiency") })
            #expect(number("bytes_of_formula") == Double((workers - 1) * 4096 * 2 * 128 * 2))
            // No key travels more often than to every other rank; a causal mask hides none of them from all.
            #expect(number("bytes_sent") > 0 && number("bytes_sent") <= number("bytes_of_formula"))
            #expect((json["ranks"] as? [[String: Any]])?.count == workers)
            for key in ["exposed_fraction", "exposed_fraction_max"] { #expect((0..<1).contains(number(key)), "\(key)") }
            #expect((0.05...1.0001).contains(number("compute_balance")), "\(outcome.out)")
        }
    }
}
