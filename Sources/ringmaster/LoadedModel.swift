// What the command itself needs of a model: its configuration and its tokenizer, and at most the headers of its weights.

import Foundation
import RingControl
import RingFormats

/// A checkpoint's folder, opened and checked.
struct LoadedModel: Sendable {
    /// Absolute path.
    let folder: String
    let config: ModelConfig
    let generation: GenerationConfig
    /// `nil` if the folder has no `tokenizer.json`: then prompts must be token ids.
    let tokenizer: Tokenizer?

    /// `withWeights` has the headers of the weights checked too; who submits to a cluster needs none on this machine.
    init(folder path: String, withWeights: Bool = true) throws(CommandError) {
        let folder = absolutePath(path)
        guard let type = try? FileManager.default.attributesOfItem(atPath: folder)[.type] as? FileAttributeType else {
            throw .failed("there is no model folder \(path): give --model a folder with config.json and safetensors")
        }
        guard type == .typeDirectory || type == .typeSymbolicLink else {
            throw .failed("--model \(path) is a file: give the folder that holds it")
        }
        self.folder = folder
        config = try reading { () throws(FormatError) in try ModelConfig(folder: folder) }
        generation = try reading { () throws(FormatError) in try GenerationConfig(folder: folder) }
        if withWeights { _ = try reading { () throws(FormatError) in try Checkpoint(folder: folder) } }
        let hasTokenizer = FileManager.default.fileExists(atPath: folder + "/tokenizer.json")
        tokenizer = hasTokenizer ? try reading { () throws(FormatError) in try Tokenizer(folder: folder) } : nil
    }

    /// Tokens that end an answer, from both configurations.
    var stopTokens: [UInt32] {
        var tokens = generation.endTokens
        for token in config.endTokens where !tokens.contains(token) { tokens.append(token) }
        return tokens
    }

    /// The token ids of a prompt's text.
    func encode(_ bytes: [UInt8], named name: String) throws(CommandError) -> [UInt32] {
        guard let tokenizer else {
            throw .failed("\(folder) has no tokenizer.json: give the prompt as ids with --prompt-tokens or --prompt-tokens-file")
        }
        if bytes.isEmpty { throw .failed("\(name) is empty: a prompt has at least one token") }
        return tokenizer.encode(bytes)
    }

    /// Says what is wrong with a prompt before anybody works on it.
    func check(_ prompt: [UInt32], maxTokens: Int, allowLonger: Bool) throws(CommandError) {
        if prompt.isEmpty { throw .failed("the prompt is empty: a prompt has at least one token") }
        if let place = prompt.firstIndex(where: { $0 >= UInt32(clamping: config.vocabularySize) }) {
            throw .failed(
                "token \(place) of the prompt is \(prompt[place]), but the model's vocabulary has \(config.vocabularySize) tokens")
        }
        let length = prompt.count + maxTokens
        if length > config.contextLength && !allowLonger {
            let parts = prompt.count > config.contextLength ? "the prompt has \(prompt.count)" : "prompt and answer have \(length)"
            throw .failed(
                "\(parts) tokens, more than the model's max_position_embeddings of \(config.contextLength): "
                    + "shorten it, lower --max-tokens, or accept what comes with --allow-longer")
        }
    }
}
