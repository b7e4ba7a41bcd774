// What the command line refuses: exit code, one sentence that begins with `error:`, the thing by name, and what to do.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Refusals", .timeLimit(.minutes(10)))
    struct UsageTests {
        /// The program must refuse with `code` and a sentence that holds all of `words`.
        private func refuses(
            _ arguments: [String], code: Int32, _ words: [String], environment: [String: String] = [:],
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            let outcome = try await Binary.run(arguments, environment: environment)
            #expect(outcome.code == code, "\(arguments): \(outcome.err)", sourceLocation: sourceLocation)
            #expect(outcome.errors.count == 1, "\(arguments): \(outcome.err)", sourceLocation: sourceLocation)
            for word in words {
                #expect(
                    outcome.errors.first?.contains(word) == true, "\(arguments) does not say \(word): \(outcome.err)",
                    sourceLocation: sourceLocation)
            }
            #expect(!outcome.err.contains("Fatal") && !outcome.err.contains("Backtrace"), "\(outcome.err)", sourceLocation: sourceLocation)
            #expect(outcome.out.isEmpty, "\(outcome.out)", sourceLocation: sourceLocation)
        }

        @Test("usage errors end with 2")
        func usage() async throws {
            let model = try await Needle.shared.model()
            try await refuses(["fly"], code: 2, ["fly"])
            try await refuses(["run"], code: 2, ["--model"])
            try await refuses(["run", "--model", model], code: 2, ["--prompt"])
            try await refuses(["run", "--model", model, "--prompt", "a", "--prompt-tokens", "1"], code: 2, ["exactly one"])
            try await refuses(["run", "--model", model, "--prompt", "a", "--workers", "0"], code: 2, ["--workers"])
            try await refuses(["run", "--model", model, "--prompt", "a", "--max-tokens", "12q"], code: 2, ["12q"])
            try await refuses(["run", "--model", model, "--prompt", "a", "--temperature", "-1"], code: 2, ["--temperature"])
            try await refuses(["run", "--model", model, "--prompt-tokens", "1,x"], code: 2, ["--prompt-tokens"])
            try await refuses(["run", "--model", model, "--prompt", "a", "--logits-rows", "1"], code: 2, ["--logits"])
            try await refuses(["attend"], code: 2, ["--input"])
            try await refuses(["attend", "--tokens", "10", "--head-dim", "60"], code: 2, ["--head-dim", "60"])
            try await refuses(["attend", "--tokens", "10", "--head-dim", "264"], code: 2, ["--head-dim"])
            try await refuses(["attend", "--tokens", "10", "--heads", "4", "--kv-heads", "3"], code: 2, ["--kv-heads"])
            try await refuses(["attend", "--tokens", "0"], code: 2, ["--tokens"])
            try await refuses(["worker", "--coordinator", "http://10.0.0.1:1", "--name", "a"], code: 2, ["https"])
        }

        @Test("help is no error and goes to stdout")
        func help() async throws {
            for arguments in [["--help"], ["run", "--help"], ["model", "make-haystack", "--help"]] {
                let outcome = try await Binary.run(arguments)
                #expect(outcome.code == 0 && outcome.out.contains("USAGE") && outcome.err.isEmpty, "\(arguments): \(outcome.err)")
            }
        }

        @Test("a wrong RINGMASTER_ISA and a worker without a certificate end with 78")
        func configuration() async throws {
            try await refuses(["attend", "--tokens", "10"], code: 78, ["RINGMASTER_ISA"], environment: ["RINGMASTER_ISA": "mmx"])
            try await refuses(
                ["attend", "--tokens", "10"], code: 78, ["RINGMASTER_ACTIVATIONS", "exact or rounded"],
                environment: ["RINGMASTER_ACTIVATIONS": "half"])
            try await refuses(
                ["worker", "--coordinator", "https://127.0.0.1:1", "--name", "a", "--state", "/nowhere"], code: 78, ["--join-token-file"])
        }

        @Test("model folders that are missing, empty or no model")
        func folders() async throws {
            try await withFolder { folder in
                try await refuses(["run", "--model", folder + "/nowhere", "--prompt", "a"], code: 1, ["/nowhere"])
                try await refuses(["run", "--model", folder, "--prompt", "a"], code: 1, ["config.json"])
                try Data("{}".utf8).write(to: URL(filePath: folder + "/config.json"))
                try await refuses(["run", "--model", folder, "--prompt", "a"], code: 1, ["config.json"])
                try Data(#"{"architectures":["FlyingCircusForCausalLM"],"model_type":"circus"}"#.utf8).write(
                    to: URL(filePath: folder + "/config.json"))
                try await refuses(["run", "--model", folder, "--prompt", "a"], code: 1, ["FlyingCircusForCausalLM"])
            }
        }

        @Test("prompts that are empty, missing, too long, or hold ids beyond the vocabulary")
        func prompts() async throws {
            let model = try await Needle.shared.model()
            try await withFolder { folder in
                try Data().write(to: URL(filePath: folder + "/empty"))
                try Data([1, 2, 3]).write(to: URL(filePath: folder + "/odd"))
                try await refuses(["run", "--model", model, "--prompt", ""], code: 1, ["empty"])
                try await refuses(["run", "--model", model, "--prompt-file", folder + "/empty"], code: 1, [folder + "/empty"])
                try await refuses(["run", "--model", model, "--prompt-file", folder + "/none"], code: 1, [folder + "/none"])
                try await refuses(["run", "--model", model, "--prompt-tokens-file", folder + "/odd"], code: 1, [folder + "/odd"])
                try await refuses(
                    ["run", "--model", model, "--prompt-tokens", "1,4000000"], code: 1, ["token 1", "4000000", "vocabulary"])
                try await refuses(
                    ["run", "--model", model, "--prompt-tokens", "1", "--logits", folder + "/l", "--logits-rows", "1"], code: 2,
                    ["--logits-rows"])
                try await shortModel(of: model, at: folder + "/short") { short in
                    let ids = (0..<20).map { _ in "1" }.joined(separator: ",")
                    let words = ["20 tokens", "max_position_embeddings of 16", "--allow-longer"]
                    try await refuses(["run", "--model", short, "--prompt-tokens", ids, "--max-tokens", "1"], code: 1, words)
                    let accepted = try await Binary.run([
                        "run", "--model", short, "--prompt-tokens", ids, "--max-tokens", "1", "--allow-longer",
                    ])
                    #expect(accepted.code == 0, "\(accepted.err)")
                }
            }
        }

        /// The model with `max_position_embeddings` 16.
        private func shortModel(of model: String, at folder: String, _ body: (String) async throws -> Void) async throws {
            try FileManager.default.copyItem(atPath: model, toPath: folder)
            let config = URL(filePath: folder + "/config.json")
            let text = String(decoding: try Data(contentsOf: config), as: UTF8.self)
            try Data(text.replacing(/"max_position_embeddings": *\d+/, with: #""max_position_embeddings": 16"#).utf8).write(to: config)
            try await body(folder)
        }

        @Test("a job that memory cannot hold is refused with the bytes before it starts")
        func memory() async throws {
            let model = try await Needle.shared.model()
            let started = ContinuousClock.now
            try await refuses(
                ["attend", "--tokens", "8G", "--heads", "64", "--head-dim", "256", "--workers", "2"], code: 2, ["--tokens"])
            try await refuses(
                ["attend", "--tokens", "1024M", "--heads", "64", "--head-dim", "256", "--workers", "2"], code: 1, ["bytes", "available"])
            try await refuses(
                ["run", "--model", model, "--prompt", "a", "--allow-longer", "--max-tokens", "1M", "--workers", "512"], code: 1,
                ["bytes", "available"])
            #expect(ContinuousClock.now - started < .seconds(20))
        }

        @Test("weights that are truncated, of a lying header, of another shape or not finite are named")
        func weights() async throws {
            let model = try await Needle.shared.model()
            try await withFolder { folder in
                func broken(_ name: String, _ change: (inout Data) -> Void) throws -> String {
                    let copy = "\(folder)/\(name)"
                    try FileManager.default.copyItem(atPath: model, toPath: copy)
                    let file = URL(filePath: copy + "/model.safetensors")
                    var data = try Data(contentsOf: file)
                    change(&data)
                    try data.write(to: file)
                    return copy
                }
                let run = { (model: String) in ["run", "--model", model, "--prompt", "<ask><v001>", "--max-tokens", "1", "--workers", "2"] }
                try await refuses(run(try broken("cut") { $0.removeLast(100) }), code: 1, ["model.safetensors"])
                try await refuses(
                    run(try broken("lie") { $0.replaceSubrange(0..<8, with: Data(repeating: 0xFF, count: 8)) }), code: 1,
                    ["model.safetensors"])
                try await refuses(run(try broken("stub") { $0 = $0.prefix(4) }), code: 1, ["model.safetensors"])
                // The last weights of the file become NaN, whatever tensor they belong to.
                let poisoned = try broken("nan") { $0.replaceSubrange($0.count - 64..<$0.count, with: Data(repeating: 0xFF, count: 64)) }
                try await refuses(run(poisoned), code: 1, ["tensor", "row"])
            }
        }

        @Test("attend names what is wrong with its file")
        func attendFiles() async throws {
            try await withFolder { folder in
                func file(_ name: String, _ tensors: [(String, [Int])]) throws -> String {
                    try Tensors.write(
                        tensors.map { ($0.0, $0.1, [Float](repeating: 1, count: $0.1.reduce(1, *))) }, to: "\(folder)/\(name)")
                    return "\(folder)/\(name)"
                }
                let output = ["--output", folder + "/out.safetensors"]
                let good = ("k", [4, 2, 32]), value = ("v", [4, 2, 32])
                try await refuses(["attend", "--input", folder + "/none"] + output, code: 1, [folder + "/none"])
                try await refuses(["attend", "--input", try file("noq", [good, value])] + output, code: 1, ["q"])
                try await refuses(
                    ["attend", "--input", try file("heads", [("q", [4, 3, 32]), good, value])] + output, code: 1, ["heads"])
                try await refuses(
                    ["attend", "--input", try file("tokens", [("q", [5, 2, 32]), good, value])] + output, code: 1, ["tokens"])
                try await refuses(["attend", "--input", try file("flat", [("q", [4, 64]), good, value])] + output, code: 1, ["q"])
                let narrow = try file("dim", [("q", [4, 2, 24]), ("k", [4, 2, 24]), ("v", [4, 2, 24])])
                try await refuses(["attend", "--input", narrow] + output, code: 1, ["head_dim", "24"])
                try await refuses(["attend", "--input", narrow], code: 2, ["--output"])
            }
        }

        @Test("an output that cannot be written is refused before any work")
        func output() async throws {
            try await refuses(["attend", "--tokens", "10", "--output", "/nowhere/at/all.safetensors"], code: 1, ["/nowhere/at/all"])
        }
    }
}
