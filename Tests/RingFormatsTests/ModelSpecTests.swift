// config.json of models as plans read it: the same spec as the catalogue has, and a sentence for what is missing.

import RingFormats
import RingPlacement
import Testing

@Suite("Model specs from config.json")
struct ModelSpecTests {
    private func spec(_ text: String) throws -> ModelSpec {
        try ModelSpec(json: JSONValue(parsing: Array(text.utf8), file: "c.json"), file: "c.json", name: "m")
    }

    /// All fields but those that a config.json does not have: the name, what the authors publish, what is not verified.
    private func isSame(_ spec: ModelSpec, _ name: String) throws -> Bool {
        var (one, other) = (spec, try ModelCatalogue.find(name))
        (one.name, one.published, one.unverified) = ("", nil, [])
        (other.name, other.published, other.unverified) = ("", nil, [])
        if one.denseLayers == 0 { (one.denseWidth, other.denseWidth) = (0, 0) }
        return one == other
    }

    private static let mla =
        #""kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128, "q_lora_rank": 1536, "#
    private static let fp8 = #""quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}, "#

    @Test("Llama, Qwen3 MoE and gpt-oss are the catalogue's")
    func grouped() throws {
        let llama = """
            {"model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336, "num_hidden_layers": 32, "num_attention_heads": 32,
             "num_key_value_heads": 8, "vocab_size": 128256, "max_position_embeddings": 131072, "torch_dtype": "bfloat16"}
            """
        #expect(try isSame(try spec(llama), "llama-3-8b"))
        let qwen = """
            {"model_type": "qwen3_moe", "hidden_size": 4096, "intermediate_size": 12288, "moe_intermediate_size": 1536,
             "num_hidden_layers": 94, "num_attention_heads": 64, "num_key_value_heads": 4, "head_dim": 128, "num_experts": 128,
             "num_experts_per_tok": 8, "decoder_sparse_step": 1, "mlp_only_layers": [], "vocab_size": 151936,
             "max_position_embeddings": 262144, "sliding_window": null, "use_sliding_window": false, "tie_word_embeddings": false}
            """
        #expect(try isSame(try spec(qwen), "qwen3-235b"))
        let layers = (0..<36).map { $0 % 2 == 0 ? "\"sliding_attention\"" : "\"full_attention\"" }.joined(separator: ", ")
        let oss = """
            {"model_type": "gpt_oss", "hidden_size": 2880, "intermediate_size": 2880, "num_hidden_layers": 36, "num_attention_heads": 64,
             "num_key_value_heads": 8, "head_dim": 64, "num_local_experts": 128, "num_experts_per_tok": 4, "vocab_size": 201088,
             "max_position_embeddings": 131072, "attention_bias": true, "sliding_window": 128, "layer_types": [\(layers)],
             "quantization_config": {"quant_method": "mxfp4"}}
            """
        #expect(try isSame(try spec(oss), "gpt-oss-120b"))
    }

    @Test("DeepSeek-V3 and V3.2, Kimi K2.6 in its wrapper with packed experts")
    func latent() throws {
        func deepSeek(_ type: String, _ rest: String) -> String {
            """
            {"model_type": "\(type)", "hidden_size": 7168, "intermediate_size": 18432, "moe_intermediate_size": 2048, \(Self.mla)
             "num_hidden_layers": 61, "num_attention_heads": 128, "num_key_value_heads": 128, "n_routed_experts": 256,
             "n_shared_experts": 1, "num_experts_per_tok": 8, "first_k_dense_replace": 3, "moe_layer_freq": 1, "vocab_size": 129280,
             \(Self.fp8)\(rest)"max_position_embeddings": 163840}
            """
        }
        #expect(try isSame(try spec(deepSeek("deepseek_v3", "")), "deepseek-v3"))
        let index = #""index_topk": 2048, "index_n_heads": 64, "index_head_dim": 128, "#
        #expect(try isSame(try spec(deepSeek("deepseek_v32", index)), "deepseek-v3.2"))
        let kimi = """
            {"model_type": "kimi_k25", "vision_config": {}, "text_config": {"model_type": "kimi_k2", "hidden_size": 7168,
             "intermediate_size": 18432, "moe_intermediate_size": 2048, \(Self.mla) "num_hidden_layers": 61, "num_attention_heads": 64,
             "n_routed_experts": 384, "n_shared_experts": 1, "num_experts_per_tok": 8, "first_k_dense_replace": 1, "vocab_size": 163840,
             "max_position_embeddings": 262144, "quantization_config": {"quant_method": "compressed-tensors", "config_groups":
             {"group_0": {"weights": {"num_bits": 4, "type": "int", "group_size": 32}}}, "ignore": ["lm_head", "re:.*self_attn.*"]}}}
            """
        #expect(try isSame(try spec(kimi), "kimi-k2.6"))
        #expect(try isSame(try spec(kimi.replacing("\"vision_config\": {}", with: "\"a\": 1")), "kimi-k2.6"))
    }

    @Test("DeepSeek-V4-Flash and Kimi K3")
    func long() throws {
        let ratios = ([0, 0] + (0..<41).map { $0 % 2 == 0 ? 4 : 128 }).map(String.init).joined(separator: ", ")
        let flash = """
            {"model_type": "deepseek_v4", "hidden_size": 4096, "moe_intermediate_size": 2048, "num_hidden_layers": 43,
             "num_attention_heads": 64, "head_dim": 512, "q_lora_rank": 1024, "o_groups": 8, "o_lora_rank": 1024,
             "n_routed_experts": 256, "n_shared_experts": 1, "num_experts_per_tok": 6, "sliding_window": 128,
             "compress_ratios": [\(ratios), 0], "index_n_heads": 64, "index_head_dim": 128, "index_topk": 512, "hc_mult": 4,
             "expert_dtype": "fp4", \(Self.fp8) "vocab_size": 129280, "max_position_embeddings": 1048576}
            """
        #expect(try isSame(try spec(flash), "deepseek-v4-flash"))
        let full = (Array(stride(from: 4, through: 92, by: 4)) + [93]).map(String.init).joined(separator: ", ")
        let kimi = """
            {"model_type": "kimi_k3", "text_config": {"model_type": "kimi_linear", "hidden_size": 7168, "intermediate_size": 33792,
             "moe_intermediate_size": 3072, "num_hidden_layers": 93, "num_attention_heads": 96, \(Self.mla) "mla_use_output_gate": true,
             "linear_attn_config": {"full_attn_layers": [\(full)], "head_dim": 128, "num_heads": 96, "use_full_rank_gate": true},
             "attn_res_block_size": 12, "first_k_dense_replace": 1, "num_experts": 896, "num_experts_per_token": 16,
             "num_shared_experts": 2, "routed_expert_hidden_size": 3584, "vocab_size": 163840, "max_position_embeddings": 1048576,
             "quantization_config": {"quant_method": "compressed-tensors", "config_groups": {"group_0": {"weights":
             {"num_bits": 4, "type": "float", "group_size": 32}}}, "ignore": ["re:.*self_attn.*"]}}}
            """
        #expect(try isSame(try spec(kimi), "kimi-k3"))
    }

    @Test(
        "what is missing or unknown is named",
        arguments: [
            (#"{"model_type": "mamba"}"#, "the model_type 'mamba', of which no plan can be made"), ("{}", "the model_type ''"),
            ("[]", "instead of an object"), (#"{"model_type": "llama"}"#, "no 'num_hidden_layers'"),
            (#"{"model_type": "llama", "num_hidden_layers": 0}"#, "from 1 to"),
            (
                #"{"model_type": "llama", "num_hidden_layers": 2, "hidden_size": 8, "vocab_size": 9, "max_position_embeddings": 9, "#
                    + #""num_attention_heads": 3, "num_key_value_heads": 2, "intermediate_size": 4}"#, "a divisor of num_attention_heads"
            ),
            (
                #"{"model_type": "deepseek_v3", "num_hidden_layers": 2, "hidden_size": 8, "vocab_size": 9, "#
                    + #""max_position_embeddings": 9, "quantization_config": {"quant_method": "gguf"}}"#, "quantised by 'gguf'"
            ),
            (
                #"{"model_type": "deepseek_v3", "num_hidden_layers": 2, "hidden_size": 8, "vocab_size": 9, "#
                    + #""max_position_embeddings": 9}"#, "no 'num_attention_heads'"
            ),
            (#"{"model_type": "qwen3_moe", "num_hidden_layers": 2, "decoder_sparse_step": 2}"#, "experts in some layers only"),
        ])
    func bad(_ text: String, _ complaint: String) {
        let found = sentence { _ = try spec(text) }
        #expect(found.contains(complaint), "\(found)")
    }

    @Test("a folder without a config.json is said to have none")
    func folder() throws {
        try withTemporaryFolder { folder in
            #expect(sentence { _ = try ModelSpec(folder: folder) }.contains("config.json"))
        }
    }
}
