// `ringmaster model inspect`: what a checkpoint is, and what a context on it costs.

import ArgumentParser
import Foundation
import RingFormats

struct ModelInspect: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect", abstract: "Say what a checkpoint is and what its contexts cost.")

    @Argument(help: ArgumentHelp("Folder of a Hugging Face checkpoint.", valueName: "dir"))
    var folder: String
    @Option(
        help: ArgumentHelp("Say what a context of this many tokens costs.", valueName: "n"),
        transform: { try TokenCount(parsing: $0).value })
    var tokens: Int?
    @Flag(help: "Print it as JSON.")
    var json = false

    func run() throws {
        let model = try LoadedModel(folder: folder, withWeights: false)
        let config = model.config
        let checkpoint = try reading { () throws(FormatError) in try Checkpoint(folder: model.folder) }
        let parameters = try checkpoint.tensorNames.reduce(0) { sum, name in
            sum + (try reading { () throws(FormatError) in try checkpoint.require(name) }).info.elementCount
        }
        // Keys and values of one token over all layers, in f32; half of it in bf16.
        let tokenBytes = 2 * config.layerCount * config.keyValueHeadCount * config.headDimension * 4
        let length = tokens ?? config.maximumPositions
        if json {
            let object: JSONValue = [
                "family": .string(config.architecture.rawValue), "layers": .integer(Int64(config.layerCount)),
                "hidden_size": .integer(Int64(config.hiddenSize)), "heads": .integer(Int64(config.headCount)),
                "kv_heads": .integer(Int64(config.keyValueHeadCount)), "head_dim": .integer(Int64(config.headDimension)),
                "vocab_size": .integer(Int64(config.vocabularySize)), "max_position_embeddings": .integer(Int64(config.maximumPositions)),
                "parameters": .integer(Int64(parameters)), "checkpoint_bytes": .integer(Int64(checkpoint.byteCount)),
                "dtype": config.storedType.map { .string($0.rawValue) } ?? .null,
                "kv_bytes_per_token": ["f32": .integer(Int64(tokenBytes)), "bf16": .integer(Int64(tokenBytes / 2))],
                "tokens": .integer(Int64(length)),
                "kv_bytes": ["f32": .integer(Int64(tokenBytes * length)), "bf16": .integer(Int64(tokenBytes / 2 * length))],
                "tokenizer": .bool(model.tokenizer != nil),
            ]
            Console.out(object.text(pretty: true))
            return
        }
        let lines = [
            ("family", config.architecture.rawValue),
            ("layers", "\(config.layerCount), hidden size \(config.hiddenSize)"),
            ("heads", "\(config.headCount) query, \(config.keyValueHeadCount) key and value, head_dim \(config.headDimension)"),
            ("vocabulary", grouped(config.vocabularySize)),
            ("positions", grouped(config.maximumPositions)),
            ("parameters", grouped(parameters)),
            ("checkpoint", "\(humanBytes(checkpoint.byteCount)), \(config.storedType?.rawValue ?? "type not stated")"),
            ("KV of a token", "\(humanBytes(tokenBytes)) in f32, \(humanBytes(tokenBytes / 2)) in bf16"),
            (
                "KV of \(grouped(length)) tokens",
                "\(humanBytes(tokenBytes * length)) in f32, \(humanBytes(tokenBytes / 2 * length)) in bf16"
            ),
            ("tokenizer", model.tokenizer == nil ? "none: prompts must be token ids" : "tokenizer.json"),
        ]
        let width = lines.map(\.0.count).max() ?? 0
        for (name, value) in lines { Console.out(name + String(repeating: " ", count: width - name.count + 2) + value + "\n") }
    }
}
