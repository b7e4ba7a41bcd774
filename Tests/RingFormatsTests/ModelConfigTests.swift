// config.json: the three families, both styles of rotary keys, and every refusal.

import RingFormats
import Testing

@Suite("Model configuration")
struct ModelConfigTests {
    private func config(_ changes: [String: JSONValue] = [:], architecture: String = "LlamaForCausalLM") throws -> ModelConfig {
        try ModelConfig(json: object(changes, architecture: architecture), file: "config.json")
    }

    private func object(_ changes: [String: JSONValue], architecture: String = "LlamaForCausalLM") -> JSONValue {
        let base: JSONObject = [
            "architectures": .array([.string(architecture)]), "vocab_size": 1000, "hidden_size": 128, "intermediate_size": 256,
            "num_hidden_layers": 2,
            "num_attention_heads": 8, "num_key_value_heads": 2, "max_position_embeddings": 4096,
        ]
        var result = JSONObject()
        for (key, value) in base where changes[key] == nil { result.append(key, value) }
        for (key, value) in changes.sorted(by: { $0.key < $1.key }) { result.append(key, value) }
        return .object(result)
    }

    @Test("the fixture checkpoints are read as what they are")
    func fixtures() throws {
        let llama = try ModelConfig(folder: fixture("models/llama"))
        #expect(
            llama.architecture == .llama && llama.headCount == 6 && llama.keyValueHeadCount == 2 && llama.headDimension == 32
                && llama.hiddenSize == 72)
        #expect(llama.tiesEmbeddings && !llama.hasQueryKeyValueBias && !llama.hasQueryKeyNorm && llama.normEpsilon == 1e-5)
        #expect(
            llama.rope
                == RopeParameters(
                    theta: 500000, kind: .llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalPositions: 128)))
        #expect(llama.beginToken == 507 && llama.endTokens == [508] && llama.padToken == 509 && llama.storedType == .bf16)
        let qwen2 = try ModelConfig(folder: fixture("models/qwen2"))
        #expect(
            qwen2.architecture == .qwen2 && qwen2.headDimension == 16 && qwen2.hasQueryKeyValueBias && !qwen2.hasOutputBias
                && qwen2.storedType == .f16)
        let qwen3 = try ModelConfig(folder: fixture("models/qwen3"))
        #expect(qwen3.architecture == .qwen3 && qwen3.hasQueryKeyNorm && !qwen3.hasQueryKeyValueBias && qwen3.rope.theta == 1e6)
        #expect(qwen3.rope.kind == .yarn(.init(factor: 4, originalPositions: 128)) && qwen3.contextLength == 512)
    }

    @Test("defaults are those of the library")
    func defaults() throws {
        let config = try config()
        #expect(
            config.headDimension == 16 && config.normEpsilon == 1e-6 && !config.tiesEmbeddings
                && config.rope == RopeParameters(theta: 10000))
        #expect(config.endTokens == [] && config.beginToken == nil && config.storedType == nil)
        #expect(try self.config(architecture: "Qwen3ForCausalLM").headDimension == 128)
        #expect(try self.config(["num_key_value_heads": nil]).keyValueHeadCount == 8)
        #expect(try self.config(["eos_token_id": [1, 2, 2], "bos_token_id": nil, "pad_token_id": -1]).endTokens == [1, 2])
    }

    @Test("biases follow the family")
    func biases() throws {
        let llama = try config(["attention_bias": true, "mlp_bias": true])
        #expect(llama.hasQueryKeyValueBias && llama.hasOutputBias && llama.hasFeedForwardBias)
        let qwen2 = try config(["attention_bias": true], architecture: "Qwen2ForCausalLM")
        #expect(qwen2.hasQueryKeyValueBias && !qwen2.hasOutputBias)
        let qwen3 = try config(["attention_bias": true], architecture: "Qwen3ForCausalLM")
        #expect(qwen3.hasQueryKeyValueBias && qwen3.hasOutputBias && qwen3.hasQueryKeyNorm)
    }

    @Test("a model inside text_config, or named by its type only, is found")
    func nested() throws {
        let inner = object(["vocab_size": 7], architecture: "Qwen3ForCausalLM")
        let outer: JSONValue = ["architectures": ["SomethingForVision"], "model_type": "vision", "text_config": inner]
        #expect(try ModelConfig(json: outer, file: "f").vocabularySize == 7)
        #expect(try config(["architectures": nil, "model_type": "qwen2"]).architecture == .qwen2)
    }

    @Test(
        "what cannot be computed is refused by name",
        arguments: [
            (
                ["architectures": ["MixtralForCausalLM"]],
                "'MixtralForCausalLM', which is not supported: use one of LlamaForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM"
            ),
            (["architectures": [], "model_type": nil], "names no architecture"),
            (["architectures": "LlamaForCausalLM"], "must be a list of names"),
            (["hidden_act": "gelu"], "activation 'gelu'"),
            (["use_sliding_window": true], "sliding-window attention (use_sliding_window), which is not supported yet"),
            (["layer_types": ["full_attention", "sliding_attention"]], "layers of the type 'sliding_attention'"),
            (["quantization_config": ["bits": 4]], "quantised weights"),
            (["partial_rotary_factor": 0.5], "partial_rotary_factor"),
            (["rope_scaling": ["rope_type": "dynamic", "factor": 2]], "of the type 'dynamic'"),
            (["rope_scaling": ["rope_type": "llama3", "factor": 2]], "'rope_scaling.low_freq_factor'"),
            (["rope_scaling": ["type": "linear"]], "has no 'rope_scaling.factor'"),
            (["rope_scaling": ["type": "yarn", "factor": "4"]], "'rope_scaling.factor' in config.json is '4' but must be a number"),
            (["rope_scaling": 4], "'rope_scaling' in config.json is a whole number instead of an object"),
            (["rope_theta": -1], "'rope_theta'"), (["rope_theta": 0], "'rope_theta'"),
            (["hidden_size": 0], "'hidden_size' in config.json is 0 but must be a whole number"), (["hidden_size": 1e3], "'hidden_size'"),
            (["hidden_size": 130], "no multiple"),
            (["hidden_size": 9_000_000_000_000], "'hidden_size'"), (["num_hidden_layers": 1_000_000], "'num_hidden_layers'"),
            (["vocab_size": -5], "'vocab_size'"),
            (["num_key_value_heads": 3], "divisor of num_attention_heads"), (["head_dim": 15], "even"),
            (["num_attention_heads": nil], "has no 'num_attention_heads'"),
            (["tie_word_embeddings": 1], "must be true or false"), (["eos_token_id": "x"], "'eos_token_id'"),
            (["eos_token_id": [1.5]], "'eos_token_id'"),
            (["rms_norm_eps": "small"], "'rms_norm_eps'"), (["max_position_embeddings": nil], "has no 'max_position_embeddings'"),
        ] as [([String: JSONValue], String)])
    func refusals(_ changes: [String: JSONValue], _ complaint: String) {
        let text = sentence { _ = try config(changes) }
        #expect(text.contains(complaint) && text.contains("config.json"), "\(text)")
    }

    @Test("what is written reads back the same", arguments: ModelConfig.Architecture.allCases)
    func written(_ architecture: ModelConfig.Architecture) throws {
        var config = ModelConfig(
            architecture: architecture, vocabularySize: 999, hiddenSize: 96, intermediateSize: 100, layerCount: 3, headCount: 6,
            keyValueHeadCount: 2, headDimension: 32,
            maximumPositions: 1 << 22)
        var yarn = RopeParameters.Yarn(factor: 4, originalPositions: 4096)
        yarn.mscale = 0.5
        yarn.truncate = false
        let kinds: [RopeParameters.Kind] = [
            .standard, .linear(factor: 2), .llama3(factor: 8, lowFrequencyFactor: 1, highFrequencyFactor: 4, originalPositions: 8192),
            .yarn(yarn),
        ]
        for kind in kinds {
            config.rope = RopeParameters(theta: 1e20, kind: kind)
            config.endTokens = kind == .standard ? [4] : [4, 5]
            config.beginToken = 3
            config.storedType = .f32
            config.tiesEmbeddings = true
            let text = config.json().text(pretty: true)
            #expect(try ModelConfig(json: json(text), file: "again") == config)
        }
    }

    @Test("generation_config.json, with config.json behind it")
    func generation() throws {
        let read = try GenerationConfig(folder: fixture("models/qwen3"))
        #expect(
            read.endTokens == [508, 509] && read.beginToken == 507 && read.doSample && read.temperature == 0.6 && read.topK == 20
                && read.topP == 0.95)
        #expect(try GenerationConfig(json: read.json(), file: "again") == read)
        try withTemporaryFolder { folder in
            try writeFile(object(["eos_token_id": 9]).text(), folder + "/config.json")
            let fallback = try GenerationConfig(folder: folder)
            #expect(fallback.endTokens == [9] && !fallback.doSample && fallback.temperature == nil)
        }
        #expect(
            sentence { _ = try GenerationConfig(json: ["top_p": 2], file: "g.json") }.contains(
                "'top_p' in g.json is 2 but must be a number"))
    }
}

@Suite("Rotary frequencies")
struct RopeFrequenciesTests {
    @Test("agree with transformers to the last place of float32, or one beside it")
    func fixtures() throws {
        var exact = 0
        var count = 0
        for entry in try JSONValue(path: fixture("rope.json")).arrayValue ?? [] {
            let name = entry["name"]?.stringValue ?? ""
            let config = try ModelConfig(json: try #require(entry["config"]), file: name)
            let frequencies = RopeFrequencies(config)
            let wanted = try #require(entry["inverse_frequency_bits"]?.arrayValue).compactMap(\.intValue)
            #expect(frequencies.inverseFrequencies.count == wanted.count)
            for (value, bits) in zip(frequencies.inverseFrequencies, wanted) {
                let distance = Int(Float(value).bitPattern) - bits
                #expect(abs(distance) <= 1, "\(name): \(value) is \(distance) places from \(Float(bitPattern: UInt32(bits)))")
                #expect(Double(Float(value)) == value)
                exact += distance == 0 ? 1 : 0
                count += 1
            }
            let factor = try #require(entry["attention_factor"]?.doubleValue)
            #expect(abs(frequencies.attentionFactor - factor) <= 1e-15, "\(name)")
        }
        #expect(count > 500)
        #expect(Double(exact) > 0.95 * Double(count), "\(exact) of \(count) are bit-equal")
    }
}
