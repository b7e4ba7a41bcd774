// The parts of a model's spec out of its config.json: layers by their attention, experts, and the types that weights are stored in.

import RingPlacement

struct SpecReader {
    let fields: ConfigFields
    /// The whole file, where `fields` are a part of it: some say there how weights are stored.
    let outer: ConfigFields
    let family: SpecFamily

    /// A dimension, which must be there.
    func size(_ key: String) throws(FormatError) -> Int { try fields.integer(key, in: 1...Limits.modelDimension) }

    /// A dimension that may be absent.
    private func optional(_ key: String) throws(FormatError) -> Int? { fields.contains(key) ? try size(key) : nil }

    /// The first of these keys that is there: families name the same thing differently.
    private func first(of keys: [String]) throws(FormatError) -> Int {
        try size(keys.first { fields.contains($0) } ?? keys[0])
    }

    // MARK: layers

    /// All layers by their attention.
    func layers(_ count: Int) throws(FormatError) -> [LayerGroup] {
        switch family {
        case .grouped, .groupedExperts: try grouped(count)
        case .latent: [LayerGroup(count, .latent(try latent(index: try index())))]
        case .compressed: try compressed(count)
        case .states: try states(count)
        }
    }

    private func grouped(_ count: Int) throws(FormatError) -> [LayerGroup] {
        let heads = try size("num_attention_heads")
        let type = try fields.string("model_type")
        let isOSS = type == "gpt_oss"
        let norm: GroupedAttention.Norm =
            switch type {
            case "qwen3", "qwen3_moe": .perHead
            case "minimax_m2": try fields.flag("use_qk_norm", default: true) ? .allHeads : .none
            case "glm4_moe": try fields.flag("use_qk_norm", default: false) ? .perHead : .none
            default: .none
            }
        // Qwen 3 has a default of its own; elsewhere heads share the model's width.
        let shared = type == "qwen3" ? 128 : max(1, try size("hidden_size") / heads)
        var attention = GroupedAttention(
            heads: heads, kvHeads: try optional("num_key_value_heads") ?? heads,
            headDim: try optional("head_dim") ?? shared,
            hasBias: try fields.flag("attention_bias", default: isOSS || type == "qwen2"), hasSinks: isOSS, norm: norm)
        guard attention.heads % attention.kvHeads == 0 else {
            throw fields.wrong("num_key_value_heads", fields["num_key_value_heads"], "a divisor of num_attention_heads, \(heads)")
        }
        let all = LayerGroup(count, .grouped(attention))
        let slides = try fields.flag("use_sliding_window", default: isOSS || type == "mistral")
        guard slides, let window = try optional("sliding_window")
        else { return [all] }
        attention.window = window
        let windowed = try windowedLayers(of: count)
        return [LayerGroup(count - windowed, all.attention), LayerGroup(windowed, .grouped(attention))].filter { $0.count > 0 }
    }

    /// Layers with a window: as `layer_types` says, else all of them.
    private func windowedLayers(of count: Int) throws(FormatError) -> Int {
        guard let types = fields["layer_types"] else { return count }
        guard let names = types.arrayValue, names.count == count else {
            throw fields.wrong("layer_types", types, "a list of \(count) names")
        }
        return names.count { $0.stringValue == "sliding_attention" }
    }

    private func index() throws(FormatError) -> SparseIndex? {
        guard fields.contains("index_topk") else { return nil }
        return SparseIndex(heads: try size("index_n_heads"), dim: try size("index_head_dim"), chosen: try size("index_topk"))
    }

    private func latent(index: SparseIndex?) throws(FormatError) -> LatentAttention {
        LatentAttention(
            heads: try size("num_attention_heads"), queryRank: try optional("q_lora_rank"), latent: try size("kv_lora_rank"),
            nope: try size("qk_nope_head_dim"), rope: try size("qk_rope_head_dim"), valueDim: try size("v_head_dim"),
            hasGate: try fields.flag("mla_use_output_gate", default: false), index: index)
    }

    /// DeepSeek-V4: `compress_ratios` has a ratio for each layer, and those of 4 have the index.
    private func compressed(_ count: Int) throws(FormatError) -> [LayerGroup] {
        guard let list = fields["compress_ratios"]?.arrayValue, list.count >= count else {
            throw fields.wrong("compress_ratios", fields["compress_ratios"], "a list of \(count) whole numbers")
        }
        var groups: [LayerGroup] = []
        for element in list.prefix(count) {
            guard let ratio = element.intValue, (0...Limits.modelDimension).contains(ratio) else {
                throw fields.wrong("compress_ratios", element, "a list of whole numbers of at least 0")
            }
            let attention = AttentionSpec.compressed(
                CompressedAttention(
                    heads: try size("num_attention_heads"), queryRank: try size("q_lora_rank"), dim: try size("head_dim"),
                    window: try size("sliding_window"), ratio: ratio, index: ratio == 4 ? try index() : nil,
                    outputGroups: try size("o_groups"), outputRank: try size("o_lora_rank")))
            if let place = groups.firstIndex(where: { $0.attention == attention }) {
                groups[place].count += 1
            } else {
                groups.append(LayerGroup(1, attention))
            }
        }
        return groups
    }

    /// Kimi Linear and K3: layers with a latent are named, the others have states.
    private func states(_ count: Int) throws(FormatError) -> [LayerGroup] {
        guard let value = fields["linear_attn_config"] else {
            throw fields.wrong("linear_attn_config", nil, "an object with full_attn_layers, num_heads and head_dim")
        }
        let inner = try ConfigFields(value, file: fields.file, prefix: fields.prefix + "linear_attn_config.")
        guard let full = inner["full_attn_layers"]?.arrayValue, full.count <= count else {
            throw inner.wrong("full_attn_layers", inner["full_attn_layers"], "a list of at most \(count) layers")
        }
        let dim = try inner.integer("head_dim", in: 1...Limits.modelDimension)
        let state = LinearAttention(
            heads: try inner.integer("num_heads", in: 1...Limits.modelDimension), headDim: dim, decayRank: dim,
            gateRank: try inner.flag("use_full_rank_gate", default: false) ? nil : dim)
        return [LayerGroup(full.count, .latent(try latent(index: nil))), LayerGroup(count - full.count, .linear(state))].filter {
            $0.count > 0
        }
    }

    /// Vectors of the model's width that a token carries from layer to layer.
    func streams(of layers: Int) throws(FormatError) -> Int {
        if let block = try optional("attn_res_block_size") { return (layers + block - 1) / block + 1 }
        return try fields.integer("hc_mult", in: 1...64, default: 1)
    }

    // MARK: experts

    /// Leading layers without experts; all of them where there are none.
    func denseLayers(of layers: Int) throws(FormatError) -> Int {
        if case .grouped = family { return layers }
        if fields["mlp_only_layers"]?.arrayValue?.isEmpty == false {
            throw .unsupported("\(fields.file) has layers without experts between others (mlp_only_layers), which plans do not know")
        }
        guard try fields.integer("decoder_sparse_step", in: 1...layers, default: 1) == 1,
            try fields.integer("moe_layer_freq", in: 1...layers, default: 1) == 1
        else {
            throw .unsupported(
                "\(fields.file) has experts in some layers only (decoder_sparse_step, moe_layer_freq), which plans do not know")
        }
        return try fields.integer("first_k_dense_replace", in: 0...layers, default: 0)
    }

    /// The experts of the other layers.
    func experts() throws(FormatError) -> ExpertsSpec {
        let count = try first(of: ["n_routed_experts", "num_experts", "num_local_experts"])
        let chosen = try first(of: ["num_experts_per_tok", "num_experts_per_token"])
        guard chosen <= count else {
            throw fields.wrong("num_experts_per_tok", .integer(Int64(chosen)), "at most the experts of a layer, \(count)")
        }
        // Families without a width of their own for experts have experts alone.
        let width = try first(of: ["moe_intermediate_size", "intermediate_size"])
        let shared = ["n_shared_experts", "num_shared_experts"].first { fields.contains($0) }
        let sharedCount = try shared.map { key throws(FormatError) in try fields.integer(key, in: 0...4096) } ?? 0
        let type = try fields.string("model_type") ?? ""
        return ExpertsSpec(
            count: count, chosen: chosen, width: width, latent: try optional("routed_expert_hidden_size"), sharedWidth: sharedCount * width,
            hasBias: type == "gpt_oss", hasRouterBias: !["mixtral", "qwen3_moe", "deepseek_v2"].contains(type))
    }

    // MARK: types

    /// How weights are stored: of experts, and of all others.
    func types() throws(FormatError) -> (experts: StoredType, dense: StoredType) {
        let (newName, oldName) = (try fields.string("dtype"), try fields.string("torch_dtype"))
        let plain: StoredType = (newName ?? oldName) == "float32" ? .f32 : .bf16
        let holder = fields.contains("quantization_config") ? fields : outer
        guard let value = holder["quantization_config"] else { return (plain, plain) }
        let quantised = try ConfigFields(value, file: fields.file, prefix: holder.prefix + "quantization_config.")
        switch try quantised.string("quant_method") ?? "" {
        case "fp8": return (try fields.string("expert_dtype") == "fp4" ? .mxfp4 : .fp8, .fp8)
        case "mxfp4": return (.mxfp4, plain)
        case "compressed-tensors":
            let type = try packedType(quantised)
            let ignored = (quantised["ignore"]?.arrayValue ?? []).compactMap(\.stringValue)
            return (type, ignored.contains { $0.contains("attn") } ? plain : type)
        case let other:
            throw .unsupported(
                "\(fields.file) is quantised by \(quoted(other)), of which no plan can be made: it is one of fp8, mxfp4, compressed-tensors"
            )
        }
    }

    /// The type of compressed-tensors' first group.
    private func packedType(_ quantised: ConfigFields) throws(FormatError) -> StoredType {
        let weights = quantised["config_groups"]?.objectValue?.first?.value["weights"]
        let isFloat = weights?["type"]?.stringValue == "float"
        switch weights?["num_bits"]?.intValue {
        case 4?: return isFloat ? .mxfp4 : .int4
        case 8?: return isFloat ? .fp8 : .int8
        default: throw quantised.wrong("config_groups", weights?["num_bits"], "a group of weights with num_bits 4 or 8")
        }
    }
}
