// config.json as a value: the numbers that decide shapes and arithmetic of a decoder, checked against each other. Keys that do not
// matter to us are ignored; keys that would change the result in a way we do not compute are errors.

/// The shape and arithmetic of a model.
public struct ModelConfig: Hashable, Sendable {
    /// The supported architectures, under their names in `architectures`.
    public enum Architecture: String, CaseIterable, Hashable, Sendable {
        case llama = "LlamaForCausalLM"
        case qwen2 = "Qwen2ForCausalLM"
        case qwen3 = "Qwen3ForCausalLM"

        /// `model_type` of the architecture.
        public var modelType: String {
            switch self {
            case .llama: "llama"
            case .qwen2: "qwen2"
            case .qwen3: "qwen3"
            }
        }
    }

    /// The family.
    public var architecture: Architecture
    /// Rows of the embedding; token ids are below it.
    public var vocabularySize: Int
    /// Width of the residual stream.
    public var hiddenSize: Int
    /// Width inside the feed-forward part.
    public var intermediateSize: Int
    /// Number of decoder layers.
    public var layerCount: Int
    /// Query heads.
    public var headCount: Int
    /// Key/value heads; divides `headCount`.
    public var keyValueHeadCount: Int
    /// Width of one head; even.
    public var headDimension: Int
    /// Epsilon of every RMS norm.
    public var normEpsilon: Double
    /// `max_position_embeddings`.
    public var maximumPositions: Int
    /// Whether the output matrix is the embedding.
    public var tiesEmbeddings: Bool
    /// Whether q, k and v projections have a bias.
    public var hasQueryKeyValueBias: Bool
    /// Whether the attention output projection has a bias.
    public var hasOutputBias: Bool
    /// Whether the three feed-forward matrices have a bias.
    public var hasFeedForwardBias: Bool
    /// Whether each query and key head is RMS-normalised before rotation.
    public var hasQueryKeyNorm: Bool
    /// Rotary embedding.
    public var rope: RopeParameters
    /// `torch_dtype` / `dtype`, if the file says.
    public var storedType: TensorType?
    /// `bos_token_id`.
    public var beginToken: UInt32?
    /// `eos_token_id`, one or several.
    public var endTokens: [UInt32]
    /// `pad_token_id`.
    public var padToken: UInt32?

    /// A model with the given shape and the family's defaults for the rest.
    public init(
        architecture: Architecture, vocabularySize: Int, hiddenSize: Int, intermediateSize: Int, layerCount: Int, headCount: Int,
        keyValueHeadCount: Int, headDimension: Int, maximumPositions: Int
    ) {
        self.architecture = architecture
        self.vocabularySize = vocabularySize
        self.hiddenSize = hiddenSize
        self.intermediateSize = intermediateSize
        self.layerCount = layerCount
        self.headCount = headCount
        self.keyValueHeadCount = keyValueHeadCount
        self.headDimension = headDimension
        self.maximumPositions = maximumPositions
        normEpsilon = 1e-6
        tiesEmbeddings = false
        hasQueryKeyValueBias = architecture == .qwen2
        hasOutputBias = false
        hasFeedForwardBias = false
        hasQueryKeyNorm = architecture == .qwen3
        rope = RopeParameters(theta: 10000)
        endTokens = []
    }

    /// The longest context the model claims to handle, in tokens: `max_position_embeddings`, or the stretched original context under YaRN
    /// where that is more (files of Qwen models keep the unstretched number).
    public var contextLength: Int {
        guard case .yarn(let yarn) = rope.kind else { return maximumPositions }
        return max(maximumPositions, Int(min(Double(yarn.originalPositions) * yarn.factor, 0x1p62)))
    }

    /// Reads `config.json` of a model folder.
    public init(folder: String) throws(FormatError) {
        let path = joined(folder, "config.json")
        try self.init(json: JSONValue(path: path), file: path)
    }
}
