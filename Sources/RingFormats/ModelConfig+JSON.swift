// config.json to `ModelConfig` and back.

extension ModelConfig {
    /// Checks and takes over a configuration; `file` names it in errors.
    public init(json: JSONValue, file: String) throws(FormatError) {
        var fields = try ConfigFields(json, file: file)
        let architecture = try Self.architecture(&fields)
        let dimension = 1...Limits.modelDimension
        let hidden = try fields.integer("hidden_size", in: dimension)
        let heads = try fields.integer("num_attention_heads", in: dimension)
        // Qwen 3 has a default of its own; elsewhere heads share the hidden size.
        var headDimension = architecture == .qwen3 ? 128 : hidden / heads
        if architecture == .qwen3 || fields.contains("head_dim") {
            headDimension = try fields.integer("head_dim", in: dimension, default: headDimension)
        } else if hidden % heads != 0 {
            throw .malformed(
                "\(file) has hidden_size \(hidden), which is no multiple of num_attention_heads \(heads), and no head_dim: add head_dim")
        }
        self.init(
            architecture: architecture,
            vocabularySize: try fields.integer("vocab_size", in: 1...Limits.vocabulary),
            hiddenSize: hidden,
            intermediateSize: try fields.integer("intermediate_size", in: dimension),
            layerCount: try fields.integer("num_hidden_layers", in: 1...Limits.modelLayers),
            headCount: heads,
            keyValueHeadCount: try fields.integer("num_key_value_heads", in: dimension, default: heads),
            headDimension: headDimension,
            maximumPositions: try fields.integer("max_position_embeddings", in: dimension))
        guard headDimension % 2 == 0 else { throw fields.wrong("head_dim", .integer(Int64(headDimension)), "even for rotary embeddings") }
        guard headCount % keyValueHeadCount == 0 else {
            throw fields.wrong("num_key_value_heads", .integer(Int64(keyValueHeadCount)), "a divisor of num_attention_heads, \(heads)")
        }
        normEpsilon = try fields.number("rms_norm_eps", in: 0...1, default: 1e-6)
        tiesEmbeddings = try fields.flag("tie_word_embeddings", default: false)
        try readBiases(fields)
        rope = try RopeParameters(fields, maximumPositions: maximumPositions)
        beginToken = try fields.tokens("bos_token_id").first
        endTokens = try fields.tokens("eos_token_id")
        padToken = try fields.tokens("pad_token_id").first
        storedType = try Self.storedType(fields)
        try Self.refuseWhatWeDoNotCompute(fields)
    }

    /// The architecture, descending into `text_config` where the outer model is a wrapper round a supported one.
    private static func architecture(_ fields: inout ConfigFields) throws(FormatError) -> Architecture {
        if let found = try named(fields) { return found }
        if let inner = fields["text_config"] {
            let nested = try ConfigFields(inner, file: fields.file, prefix: "text_config.")
            if let found = try named(nested) {
                fields = nested
                return found
            }
        }
        let name = fields["architectures"]?.arrayValue?.first?.stringValue ?? fields["model_type"]?.stringValue
        let supported = Architecture.allCases.map(\.rawValue).joined(separator: ", ")
        guard let name else { throw .malformed("\(fields.file) names no architecture: it needs 'architectures' with one of \(supported)") }
        throw .unsupported("\(fields.file) is a model of the architecture \(quoted(name)), which is not supported: use one of \(supported)")
    }

    private static func named(_ fields: ConfigFields) throws(FormatError) -> Architecture? {
        if let list = fields["architectures"] {
            guard let names = list.arrayValue else { throw fields.wrong("architectures", list, "a list of names") }
            return names.first?.stringValue.flatMap(Architecture.init(rawValue:))
        }
        let type = try fields.string("model_type")
        return Architecture.allCases.first { $0.modelType == type }
    }

    private mutating func readBiases(_ fields: ConfigFields) throws(FormatError) {
        switch architecture {
        case .llama:
            hasQueryKeyValueBias = try fields.flag("attention_bias", default: false)
            hasOutputBias = hasQueryKeyValueBias
            hasFeedForwardBias = try fields.flag("mlp_bias", default: false)
        case .qwen2: break  // q, k and v always, nothing else; the file has no say
        case .qwen3:
            hasQueryKeyValueBias = try fields.flag("attention_bias", default: false)
            hasOutputBias = hasQueryKeyValueBias
        }
    }

    private static func storedType(_ fields: ConfigFields) throws(FormatError) -> TensorType? {
        let newName = try fields.string("dtype")
        let oldName = try fields.string("torch_dtype")
        return switch newName ?? oldName {
        case "float32"?: .f32
        case "float16"?: .f16
        case "bfloat16"?: .bf16
        default: nil  // the tensors themselves decide; this is only advice
        }
    }

    private static func refuseWhatWeDoNotCompute(_ fields: ConfigFields) throws(FormatError) {
        let activation = try fields.string("hidden_act") ?? "silu"
        guard activation == "silu" || activation == "swish" else {
            throw .unsupported("\(fields.file) asks for the activation \(quoted(activation)); only silu is supported")
        }
        if try fields.flag("use_sliding_window", default: false) {
            throw .unsupported(
                "\(fields.file) asks for sliding-window attention (use_sliding_window), which is not supported yet: use another model"
            )
        }
        if let types = fields["layer_types"] {
            guard let names = types.arrayValue else { throw fields.wrong("layer_types", types, "a list of names") }
            for name in names where name != .string("full_attention") {
                throw .unsupported(
                    "\(fields.file) has layers of the type \(quoted(name.stringValue ?? name.kindName)); only full_attention is supported"
                )
            }
        }
        if fields.contains("quantization_config") {
            throw .unsupported(
                "\(fields.file) has quantised weights (quantization_config), not supported yet: use an F32, F16 or BF16 checkpoint"
            )
        }
    }

    /// A config.json that transformers (4 and 5) reads as this model.
    public func json() -> JSONValue {
        func number(_ value: Int) -> JSONValue { .integer(Int64(value)) }
        func token(_ id: UInt32?) -> JSONValue { id.map { .integer(Int64($0)) } ?? .null }
        var object: JSONObject = [
            "architectures": .array([.string(architecture.rawValue)]), "model_type": .string(architecture.modelType),
            "vocab_size": number(vocabularySize), "hidden_size": number(hiddenSize), "intermediate_size": number(intermediateSize),
            "num_hidden_layers": number(layerCount), "num_attention_heads": number(headCount),
            "num_key_value_heads": number(keyValueHeadCount), "head_dim": number(headDimension), "hidden_act": "silu",
            "max_position_embeddings": number(maximumPositions), "rms_norm_eps": .real(normEpsilon),
            "rope_theta": .real(rope.theta), "rope_scaling": rope.scalingJSON(), "tie_word_embeddings": .bool(tiesEmbeddings),
            "attention_dropout": 0.0, "use_cache": true,
            "bos_token_id": token(beginToken), "pad_token_id": token(padToken),
            "eos_token_id": endTokens.count > 1 ? .array(endTokens.map { token($0) }) : token(endTokens.first),
        ]
        if architecture != .qwen2 { object.append("attention_bias", .bool(hasQueryKeyValueBias)) }
        if architecture == .llama {
            object.append("mlp_bias", .bool(hasFeedForwardBias))
        } else {
            object.append("use_sliding_window", false)
            object.append("sliding_window", .null)
        }
        let names: [TensorType: String] = [.f32: "float32", .f16: "float16", .bf16: "bfloat16"]
        if let name = storedType.flatMap({ names[$0] }) { object.append("torch_dtype", .string(name)) }
        return .object(object)
    }
}
