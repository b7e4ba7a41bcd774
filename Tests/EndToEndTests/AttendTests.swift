// `attend` as another program calls it: files in, files out, figures in JSON.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Attend", .timeLimit(.minutes(10)))
    struct AttendTests {
        @Test(
            "seeded problems of every kind of head hold against double precision",
            arguments: [
                ["--heads", "4", "--head-dim", "128"], ["--heads", "8", "--kv-heads", "2", "--head-dim", "64"],
                ["--heads", "4", "--kv-heads", "1", "--head-dim", "32", "--v-dim", "256"],
                ["--heads", "2", "--head-dim", "72", "--dtype", "bf16"], ["--heads", "2", "--head-dim", "64", "--no-causal"],
                ["--heads", "2", "--head-dim", "64", "--kv-dtype", "bf16"], ["--heads", "2", "--head-dim", "64", "--scale", "0.3"],
            ], [1, 3])
        func seeded(shape: [String], workers: Int) async throws {
            let outcome = try await Binary.run(
                ["attend", "--tokens", "1000", "--seed", "7", "--workers", "\(workers)", "--verify-rows", "8", "--json"] + shape)
            #expect(outcome.code == 0, "\(shape) over \(workers): \(outcome.err)")
            let json = outcome.json
            #expect(json["tokens"] as? Int == 1000 && json["workers"] as? Int == workers)
            #expect((json["max_abs_error"] as? Double ?? 1) <= (json["error_bar"] as? Double ?? 0), "\(outcome.out)")
            #expect((json["gflops"] as? Double ?? 0) > 0 && (json["seconds"] as? Double ?? 0) > 0)
            #expect((0...1).contains(json["exposed_communication_fraction"] as? Double ?? -1))
        }

        @Test(
            "masks of every kind hold, and move no more than the plain ring",
            arguments: [
                ["--window", "100", "--sinks", "4"], ["--prefix", "300"], ["--chunk", "96", "--dtype", "bf16"],
                ["--documents", "1,399,600"], ["--documents", "500,500", "--no-causal"], ["--documents", "10,990", "--window", "1000"],
            ])
        func masks(mask: [String]) async throws {
            let problem = [
                "attend", "--tokens", "1000", "--heads", "2", "--head-dim", "64", "--workers", "3", "--verify-rows", "64", "--json",
            ]
            let outcome = try await Binary.run(problem + mask)
            #expect(outcome.code == 0, "\(mask): \(outcome.err)")
            #expect((outcome.json["max_abs_error"] as? Double ?? 1) <= (outcome.json["error_bar"] as? Double ?? 0), "\(outcome.out)")
        }

        @Test(
            "a mask that cannot be meant is one clear sentence",
            arguments: [
                (["--window", "0"], "a window is 1 to"), (["--window", "5", "--chunk", "5"], "one rule"),
                (["--sinks", "4"], "need a window"),
                (["--documents", "500,400"], "900 tokens together, the context 1000"),
                (["--documents", "900,200"], "longer than the context"),
                (["--documents", "0,1000"], "at least 1 token"), (["--documents", "a,b"], "a"),
                (["--prefix", "9", "--no-causal"], "causal off"),
                (["--documents", "@/nowhere/lengths"], "cannot read"),
            ])
        func unclear(mask: [String], word: String) async throws {
            let outcome = try await Binary.run(["attend", "--tokens", "1000", "--heads", "2", "--head-dim", "64"] + mask)
            #expect(outcome.code == 2 && outcome.err.contains(word), "\(mask): \(outcome.code) \(outcome.err)")
            #expect(outcome.out.isEmpty)
        }

        @Test("lengths of documents come from a file too, and the submitter's machine is not the only one to check them")
        func documentsFile() async throws {
            try await withFolder { folder in
                try "100\n\n  900 \n".write(toFile: folder + "/lengths", atomically: true, encoding: .utf8)
                let outcome = try await Binary.run(
                    [
                        "attend", "--tokens", "1000", "--heads", "2", "--head-dim", "64", "--documents", "@" + folder + "/lengths",
                        "--verify-rows", "9", "--json",
                    ])
                #expect(outcome.code == 0 && outcome.json["max_abs_error"] as? Double ?? 1 < 1e-5, "\(outcome.err)")
            }
        }

        @Test("one token, and fewer tokens than workers", arguments: [1, 2, 4, 5, 129])
        func small(tokens: Int) async throws {
            let outcome = try await Binary.run(
                [
                    "attend", "--tokens", "\(tokens)", "--heads", "2", "--head-dim", "64", "--workers", "5", "--verify-rows", "\(tokens)",
                    "--json",
                ])
            #expect(outcome.code == 0, "\(outcome.err)")
            #expect((outcome.json["max_abs_error"] as? Double ?? 1) < 1e-5, "\(outcome.out)")
        }

        @Test(
            "int8 keys and values keep their bound, and move 33/64 of the bytes of bf16",
            arguments: [["--window", "300", "--sinks", "4"], ["--schedule", "pass-q", "--new", "100"], []])
        func int8(mask: [String]) async throws {
            let shape =
                ["attend", "--tokens", "1500", "--heads", "2", "--kv-heads", "1", "--seed", "5", "--json", "--verify-rows", "8"] + mask
            var bounds: [Double] = []
            var bytes: [[Int]] = []
            for (workers, type) in [("3", "int8"), ("1", "int8"), ("3", "bf16")] {
                let outcome = try await Binary.run(shape + ["--workers", workers, "--kv-dtype", type])
                #expect(outcome.code == 0, "\(mask), \(type) over \(workers): \(outcome.err)")
                let json = outcome.json
                #expect(json["kv_dtype"] as? String == type)
                let ranks = try #require(json["worker_figures"] as? [[String: Any]])
                let steps = ranks.flatMap { $0["ring_steps"] as? [[String: Any]] ?? [] }
                if workers == "3" { bytes.append(steps.map { $0["bytes_received"] as? Int ?? -1 }) }
                guard type == "int8" else { continue }
                let bound = try #require(json["error_bound"] as? Double)
                bounds.append(bound)
                #expect((json["max_abs_error"] as? Double ?? .infinity) <= bound, "\(outcome.out)")
                #expect((json["max_abs_error_stored"] as? Double ?? .infinity) < 1e-4, "\(outcome.out)")
                #expect((json["max_abs_error"] as? Double ?? 0) > (json["max_abs_error_stored"] as? Double ?? 0), "\(outcome.out)")
            }
            #expect(bounds.count == 2 && bounds[0] == bounds[1])
            if mask.first != "--schedule" {
                #expect(bytes[0].contains { $0 > 0 } && bytes[0].map { $0 * 64 } == bytes[1].map { $0 * 33 }, "\(bytes)")
            }
        }

        @Test("where int8 could change more than the tolerance, bf16 is kept and sent, and the report says so")
        func tolerance() async throws {
            let problem = [
                "attend", "--tokens", "900", "--heads", "2", "--seed", "5", "--workers", "2", "--kv-dtype", "int8", "--verify-rows", "8",
            ]
            let loose = try await Binary.run(problem + ["--tolerance", "100", "--json"])
            #expect(loose.code == 0 && loose.json["kv_dtype"] as? String == "int8", "\(loose.out) \(loose.err)")
            let tight = try await Binary.run(problem + ["--tolerance", "0.001", "--json"])
            #expect(tight.code == 0 && tight.json["kv_dtype"] as? String == "bf16", "\(tight.out) \(tight.err)")
            #expect(tight.json["error_bound"] as? Double == loose.json["error_bound"] as? Double)
            #expect(tight.json["error_tolerance"] as? Double == 0.001 && tight.json["max_abs_error_stored"] == nil)
            let told = try await Binary.run(problem + ["--tolerance", "0.001"])
            #expect(told.code == 0 && told.err.contains("bf16 was kept and sent instead"), "\(told.err)")
            for (wrong, word) in [(["--tolerance", "0"], "positive"), (["--tolerance", "nan"], "positive")] {
                let outcome = try await Binary.run(problem + wrong)
                #expect(outcome.code == 2 && outcome.err.contains(word), "\(wrong): \(outcome.err)")
            }
            let without = try await Binary.run(["attend", "--tokens", "9", "--tolerance", "1"])
            #expect(without.code == 2 && without.err.contains("--kv-dtype int8"), "\(without.err)")
        }

        @Test("q, k and v of a file give out and lse of the definition")
        func file() async throws {
            try await withFolder { folder in
                let (tokens, heads, kvHeads, width, valueWidth) = (70, 4, 2, 32, 40)
                let q = numbers(tokens * heads * width, 1), k = numbers(tokens * kvHeads * width, 2),
                    v = numbers(tokens * kvHeads * valueWidth, 3)
                try Tensors.write(
                    [("q", [tokens, heads, width], q), ("k", [tokens, kvHeads, width], k), ("v", [tokens, kvHeads, valueWidth], v)],
                    to: folder + "/in.safetensors")
                let outcome = try await Binary.run(
                    ["attend", "--input", folder + "/in.safetensors", "--output", folder + "/out.safetensors", "--workers", "3"])
                #expect(outcome.code == 0 && outcome.out.isEmpty, "\(outcome.err)")
                let result = try Tensors(path: folder + "/out.safetensors")
                #expect(result.shape("out") == [tokens, heads, valueWidth] && result.shape("lse") == [tokens, heads])
                for row in [0, 1, 33, 69] {
                    for head in 0..<heads {
                        let query = q[(row * heads + head) * width..<(row * heads + head + 1) * width]
                        let scores = (0...row).map { key -> Double in
                            let first = (key * kvHeads + head / 2) * width
                            return zip(query, k[first..<first + width]).reduce(0) { $0 + Double($1.0) * Double($1.1) }
                                / Double(width).squareRoot()
                        }
                        let sum = scores.reduce(0) { $0 + exp($1) }
                        #expect(abs(Double(result.row("lse", row)[head]) - log(sum)) < 1e-5)
                        for place in [0, valueWidth - 1] {
                            let exact = (0...row).reduce(0.0) {
                                $0 + exp(scores[$1]) / sum * Double(v[($1 * kvHeads + head / 2) * valueWidth + place])
                            }
                            #expect(
                                abs(Double(result.row("out", row)[head * valueWidth + place]) - exact) < 1e-5, "row \(row) head \(head)")
                        }
                    }
                }
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder).sorted() == ["in.safetensors", "out.safetensors"])
            }
        }

        @Test(
            "a folder that is named as a result or a trace stays as it is, and so does what lies in it", arguments: ["--output", "--trace"])
        func folderNamed(option: String) async throws {
            try await withFolder { folder in
                let named = folder + "/kept"
                try FileManager.default.createDirectory(atPath: named, withIntermediateDirectories: false)
                try Data("mine".utf8).write(to: URL(filePath: named + "/file"))
                let outcome = try await Binary.run(
                    ["attend", "--tokens", "64", "--heads", "1", "--head-dim", "32", "--workers", "1", option, named])
                #expect(outcome.code == 1 && outcome.errors.count == 1 && outcome.err.contains("kept"), "\(outcome.err)")
                #expect(try Data(contentsOf: URL(filePath: named + "/file")) == Data("mine".utf8))
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["kept"])
            }
        }

        @Test("NaN in the input is named with its tensor and token, and no output is left")
        func notFinite() async throws {
            try await withFolder { folder in
                var k = numbers(64 * 64, 2)
                k[37 * 64 + 5] = .nan
                try Tensors.write(
                    [("q", [64, 1, 64], numbers(64 * 64, 1)), ("k", [64, 1, 64], k), ("v", [64, 1, 64], numbers(64 * 64, 3))],
                    to: folder + "/in.safetensors")
                let outcome = try await Binary.run(
                    ["attend", "--input", folder + "/in.safetensors", "--output", folder + "/out.safetensors", "--workers", "2"])
                #expect(outcome.code == 1)
                #expect(
                    outcome.errors.count == 1 && outcome.errors[0].contains("tensor k") && outcome.errors[0].contains("37"),
                    "\(outcome.err)")
                #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["in.safetensors"])
            }
        }

        /// Numbers between -2 and 2 that any language can make.
        private func numbers(_ count: Int, _ seed: UInt64) -> [Float] {
            var state = seed
            return (0..<count).map { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return Float(Int64(bitPattern: state >> 33) % 4001 - 2000) / 1000
            }
        }
    }
}
