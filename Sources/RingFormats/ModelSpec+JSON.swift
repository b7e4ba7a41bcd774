// config.json of many families as the numbers that a plan needs. More families than this program computes: a plan for a model that it
// cannot run yet is worth having. Keys that change answers but not costs are not looked at; what a cost depends on must be there.

import RingPlacement

extension ModelSpec {
    /// Reads `config.json` of a model folder.
    public init(folder: String) throws(FormatError) {
        let path = joined(folder, "config.json")
        try self.init(json: JSONValue(path: path), file: path, name: fileName(folder))
    }

    /// Takes over a configuration; `file` names it in errors, `name` is what the model is called.
    public init(json: JSONValue, file: String, name: String) throws(FormatError) {
        let outer = try ConfigFields(json, file: file)
        let fields = try Self.language(outer)
        let type = try fields.string("model_type") ?? ""
        guard let family = SpecFamily(type) else {
            throw .unsupported(
                "\(file) has the model_type \(quoted(type)), of which no plan can be made: it is one of "
                    + SpecFamily.names.joined(separator: ", "))
        }
        let reader = SpecReader(fields: fields, outer: outer, family: family)
        let layers = try fields.integer("num_hidden_layers", in: 1...Limits.modelLayers)
        let types = try reader.types()
        let dense = try reader.denseLayers(of: layers)
        let positions = fields.contains("max_position_embeddings") ? "max_position_embeddings" : "model_max_length"
        self.init(
            name: name, hidden: try reader.size("hidden_size"), vocabulary: try fields.integer("vocab_size", in: 1...Limits.vocabulary),
            tiesEmbeddings: try fields.flag("tie_word_embeddings", default: false),
            contextMax: try fields.integer(positions, in: 1...Limits.modelDimension), layers: try reader.layers(layers),
            denseLayers: dense, denseWidth: dense > 0 ? try reader.size("intermediate_size") : 0,
            experts: dense < layers ? try reader.experts() : nil, expertType: types.experts, denseType: types.dense,
            streams: try reader.streams(of: layers))
    }

    /// The part of a configuration that describes the language model: wrappers of models that see have it in `text_config`.
    private static func language(_ fields: ConfigFields) throws(FormatError) -> ConfigFields {
        guard let inner = fields["text_config"] else { return fields }
        return try ConfigFields(inner, file: fields.file, prefix: "text_config.")
    }
}

/// What the families have in common, as far as costs go.
enum SpecFamily {
    case grouped
    case groupedExperts
    case latent
    case compressed
    case states

    /// `model_type` of all of them.
    static let names = [
        "llama", "mistral", "qwen2", "qwen3", "mixtral", "qwen3_moe", "glm4_moe", "minimax_m2", "gpt_oss", "deepseek_v2", "deepseek_v3",
        "deepseek_v32", "kimi_k2", "glm_moe_dsa", "deepseek_v4", "kimi_linear",
    ]

    init?(_ type: String) {
        switch type {
        case "llama", "mistral", "qwen2", "qwen3": self = .grouped
        case "mixtral", "qwen3_moe", "glm4_moe", "minimax_m2", "gpt_oss": self = .groupedExperts
        case "deepseek_v2", "deepseek_v3", "deepseek_v32", "kimi_k2", "glm_moe_dsa": self = .latent
        case "deepseek_v4": self = .compressed
        case "kimi_linear": self = .states
        default: return nil
        }
    }
}
