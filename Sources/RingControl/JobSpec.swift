// What a job is asked to do. These values travel as JSON from the submitter through the coordinator to every worker.

import RingCore

/// How the numbers of a tensor are stored.
public enum ElementKind: String, Hashable, Sendable, Codable, CaseIterable {
    /// IEEE single precision, 4 bytes.
    case f32
    /// The upper half of a single, 2 bytes.
    case bf16
    /// A byte, with a scale for each token's row of a head; of keys and values that are kept, never of an input.
    case int8

    /// Bytes of a head's row of `width` numbers.
    public func byteCount(ofRow width: Int) -> Int {
        switch self {
        case .f32: 4 * width
        case .bf16: 2 * width
        case .int8: width + 4
        }
    }
}

/// Rows `start ..< start + count` of a result.
public struct RowRange: Hashable, Sendable, Codable {
    /// The first row.
    public let start: Int
    /// How many rows.
    public let count: Int

    /// Rows `start ..< start + count`.
    public init(start: Int, count: Int) {
        self.start = start
        self.count = count
    }
}

/// Answer a prompt with a model.
public struct GenerateSpec: Hashable, Sendable, Codable {
    /// Folder of a Hugging Face checkpoint, readable by every worker.
    public var modelFolder: String
    /// Tokens in the prompt; the ids themselves are fetched from `/v1/jobs/{id}/prompt`.
    public var promptTokenCount: Int
    /// Most tokens to generate; zero only prefills.
    public var maxTokens: Int
    /// Zero is greedy.
    public var temperature: Double
    /// Sample among the k likeliest; zero is no limit.
    public var topK: Int
    /// Sample among the likeliest that together hold this probability; 1 is no limit.
    public var topP: Double
    /// Seed of the sampler.
    public var seed: UInt64
    /// Go on after an end-of-sequence token.
    public var ignoreEOS: Bool
    /// Tokens that end the answer, from `generation_config.json` and the tokenizer.
    public var stopTokens: [UInt32]
    /// How keys and values are stored and sent.
    public var kvElement: ElementKind
    /// A safetensors file that the submitter has created at full size with a tensor `logits` [rows, vocab] F32; each
    /// worker writes its rows in place. `nil`: no logits are wanted.
    public var logitsPath: String?
    /// The prompt positions that are the rows of `logits`, in order, disjoint and ascending; `nil` is all of them.
    public var logitsRows: [RowRange]?
    /// Accept more tokens than the model's `max_position_embeddings`.
    public var allowLonger: Bool
    /// How many tokens of the answer were told by an earlier attempt: they stand at the end of the prompt, count in
    /// `promptTokenCount`, and the answer goes on behind them. A submitter leaves it zero.
    public var answered: Int

    // Named so that the shells' snake-case strategies turn each key there and back: `EOS` would come back as `Eos`.
    enum CodingKeys: String, CodingKey {
        case modelFolder, promptTokenCount, maxTokens, temperature, topK, topP, seed
        case ignoreEOS = "ignoreEos"
        case stopTokens, kvElement, logitsPath, logitsRows, allowLonger, answered
    }

    /// A greedy request; everything else can be set afterwards.
    public init(modelFolder: String, promptTokenCount: Int, maxTokens: Int) {
        self.modelFolder = modelFolder
        self.promptTokenCount = promptTokenCount
        self.maxTokens = maxTokens
        temperature = 0
        topK = 0
        topP = 1
        seed = 0
        ignoreEOS = false
        stopTokens = []
        kvElement = .f32
        allowLonger = false
        answered = 0
    }
}

/// The shape of an attention problem: q [tokens, heads, headDim], k [tokens, kvHeads, headDim], v [tokens, kvHeads, valueDim].
public struct AttentionShape: Hashable, Sendable, Codable {
    /// Tokens.
    public var tokens: Int
    /// Query heads.
    public var heads: Int
    /// Key and value heads; divides `heads`.
    public var kvHeads: Int
    /// Elements of a query or key row.
    public var headDim: Int
    /// Elements of a value row.
    public var valueDim: Int
    /// How q, k and v are given.
    public var element: ElementKind

    /// A shape of its parts.
    public init(tokens: Int, heads: Int, kvHeads: Int, headDim: Int, valueDim: Int, element: ElementKind) {
        self.tokens = tokens
        self.heads = heads
        self.kvHeads = kvHeads
        self.headDim = headDim
        self.valueDim = valueDim
        self.element = element
    }
}

/// Exact attention over given or seeded q, k and v.
public struct AttendSpec: Hashable, Sendable, Codable {
    /// Where q, k and v come from.
    public enum Input: Hashable, Sendable {
        /// A safetensors file with tensors `q`, `k`, `v`, readable by every worker.
        case file(path: String)
        /// Standard-normal numbers of a seed; any rank can make any row.
        case seeded(seed: UInt64)
    }

    /// Where q, k and v come from.
    public var input: Input
    /// Their shape; for a file it is what the submitter read in the header.
    public var shape: AttentionShape
    /// Whether a query sees only keys at or before its own position.
    public var causal: Bool
    /// What else is hidden; `nil` is nothing.
    public var mask: MaskSpec?
    /// Factor on q.k; `nil` is 1 / sqrt(headDim).
    public var scale: Double?
    /// How keys and values are held and sent.
    public var kvElement: ElementKind
    /// With int8 keys and values: where they could change an element of the output by more than this, they are held and sent as bf16 instead.
    /// `nil` is anything.
    public var errorTolerance: Double?
    /// A safetensors file that the submitter has created at full size with `out` [tokens, heads, valueDim] F32 and `lse`
    /// [tokens, heads] F32; each worker writes its rows in place. `nil`: nothing is kept.
    public var outputPath: String?
    /// Only these rows (ascending) are written, at their places; `nil` is all of them. For checks without a result file.
    public var outputRows: [Int]?
    /// Only the queries of these rows (ascending) are computed, over the keys and values of the whole context; `nil` is all of them.
    /// The output, if there is one, names some of them as `outputRows`.
    public var queryRows: [Int]?
    /// What goes round, keys and values or queries; `nil` leaves it to the coordinator.
    public var schedule: Schedule?
    /// Whether the result must have the same bits on however many workers and threads, whatever comes first; `nil` is no.
    public var deterministic: Bool?
    /// The instruction set by which every worker computes a deterministic job, since each has bits of its own; `nil` leaves it to the
    /// coordinator, which takes the workers' own if that is one and the same.
    public var isa: String?

    /// A problem whose result nobody keeps; the rest can be set afterwards.
    public init(input: Input, shape: AttentionShape, causal: Bool) {
        self.input = input
        self.shape = shape
        self.causal = causal
        kvElement = shape.element
    }
}

/// What a job is asked to do.
public enum JobSpec: Hashable, Sendable {
    /// Answer a prompt.
    case generate(GenerateSpec)
    /// Compute attention.
    case attend(AttendSpec)
    /// Measure links.
    case measure(MeasureSpec)

    /// Tokens that are dealt to the ranks.
    public var tokens: Int {
        switch self {
        case .generate(let spec): spec.promptTokenCount
        case .attend(let spec): spec.shape.tokens
        case .measure: 0
        }
    }

    /// Tokens of the tiles that no shard's edge may cut; `nil` where the result may depend on who owns what.
    public var grain: Int? {
        guard case .attend(let spec) = self, spec.deterministic == true else { return nil }
        return ShardPlan.grain(ofTokens: spec.shape.tokens)
    }

    /// How they are dealt where no table says it: zigzag under a causal mask, contiguous runs without one.
    public var layout: ShardPlan.Layout {
        switch self {
        case .generate: .zigzag
        case .attend(let spec): spec.causal ? .zigzag : .contiguous
        case .measure: .contiguous
        }
    }

    /// `generate`, `attend` or `measure`.
    public var kind: String {
        switch self {
        case .generate: "generate"
        case .attend: "attend"
        case .measure: "measure"
        }
    }
}
