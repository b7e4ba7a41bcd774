// A model family is a table: which layer parts a checkpoint has and what its tensors are called. The code that runs the
// parts (Transformer*.swift) knows no family; adding one that is built of known parts adds a row here.
import RingFormats

/// The tensor names of a family of decoder-only transformers with grouped-query attention and a gated feed-forward.
public struct ModelFamily: Sendable {
    /// The linear layers of a block.
    public enum Linear: String, CaseIterable, Sendable {
        /// Hidden -> heads * headDim.
        case query
        /// Hidden -> kvHeads * headDim.
        case key
        /// Hidden -> kvHeads * headDim.
        case value
        /// heads * headDim -> hidden.
        case output
        /// Hidden -> intermediate, goes through SiLU.
        case gate
        /// Hidden -> intermediate.
        case up
        /// Intermediate -> hidden.
        case down
    }

    /// The norm weights of a block.
    public enum Norm: String, CaseIterable, Sendable {
        /// Before attention, [hidden].
        case beforeAttention
        /// Before the feed-forward, [hidden].
        case beforeFeedForward
        /// On each query head, [headDim].
        case query
        /// On each key head, [headDim].
        case key
    }

    /// Token embedding, [vocabulary, hidden].
    public let embedding: String
    /// Norm before the output projection, [hidden].
    public let finalNorm: String
    /// Output projection, [vocabulary, hidden]; absent when tied to the embedding.
    public let head: String
    /// Prefix of layer `index`.
    public let layerPrefix: @Sendable (Int) -> String
    /// Name of each linear layer after the prefix, without `.weight` or `.bias`.
    public let linear: [Linear: String]
    /// Name of each norm after the prefix, without `.weight`.
    public let norm: [Norm: String]

    /// The names that Llama, Qwen2 and Qwen3 share; the families differ in which biases and norms exist, which is in the
    /// configuration.
    public static let llamaLike = ModelFamily(
        embedding: "model.embed_tokens.weight",
        finalNorm: "model.norm.weight",
        head: "lm_head.weight",
        layerPrefix: { "model.layers.\($0)." },
        linear: [
            .query: "self_attn.q_proj", .key: "self_attn.k_proj", .value: "self_attn.v_proj", .output: "self_attn.o_proj",
            .gate: "mlp.gate_proj", .up: "mlp.up_proj", .down: "mlp.down_proj",
        ],
        norm: [
            .beforeAttention: "input_layernorm", .beforeFeedForward: "post_attention_layernorm",
            .query: "self_attn.q_norm", .key: "self_attn.k_norm",
        ]
    )

    /// The table of `architecture`.
    public static func table(of architecture: ModelConfig.Architecture) -> ModelFamily {
        switch architecture {
        case .llama, .qwen2, .qwen3: llamaLike
        }
    }

    /// Rows and columns of a linear layer's weight.
    public static func shape(of linear: Linear, in config: ModelConfig) -> (rows: Int, columns: Int) {
        let query = config.headCount * config.headDimension
        let keyValue = config.keyValueHeadCount * config.headDimension
        return switch linear {
        case .query: (query, config.hiddenSize)
        case .key, .value: (keyValue, config.hiddenSize)
        case .output: (config.hiddenSize, query)
        case .gate, .up: (config.intermediateSize, config.hiddenSize)
        case .down: (config.hiddenSize, config.intermediateSize)
        }
    }

    /// Whether a linear layer of this configuration has a bias.
    public static func hasBias(_ linear: Linear, in config: ModelConfig) -> Bool {
        switch linear {
        case .query, .key, .value: config.hasQueryKeyValueBias
        case .output: config.hasOutputBias
        case .gate, .up, .down: config.hasFeedForwardBias
        }
    }
}
