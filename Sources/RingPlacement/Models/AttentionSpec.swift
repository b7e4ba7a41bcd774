// The kinds of attention that the planned models have, as numbers. A model is a table: its layers are groups of one kind each, and what a
// kind costs is in AttentionSpec+Costs.swift.

/// Attention with grouped keys and values (GQA; Ainslie et al. 2023), over all of the context or over a window.
public struct GroupedAttention: Hashable, Sendable {
    /// How queries and keys are RMS-normalised before rotation, which only shows in the count of parameters.
    public enum Norm: Hashable, Sendable {
        /// Not at all.
        case none
        /// Each head alone, one weight a dimension of a head (Qwen3).
        case perHead
        /// All heads as one vector (MiniMax-M2).
        case allHeads
    }

    /// Query heads.
    public var heads: Int
    /// Key and value heads.
    public var kvHeads: Int
    /// Elements of a query, key and value of one head.
    public var headDim: Int
    /// Keys in sight of a query, its own the last; nil where all earlier ones are.
    public var window: Int?
    /// Whether the four projections have biases.
    public var hasBias: Bool
    /// Whether each head has a learned sink, a term in the denominator.
    public var hasSinks: Bool
    /// How queries and keys are normalised.
    public var norm: Norm

    /// A kind of attention.
    public init(
        heads: Int, kvHeads: Int, headDim: Int, window: Int? = nil, hasBias: Bool = false, hasSinks: Bool = false, norm: Norm = .none
    ) {
        (self.heads, self.kvHeads, self.headDim, self.window) = (heads, kvHeads, headDim, window)
        (self.hasBias, self.hasSinks, self.norm) = (hasBias, hasSinks, norm)
    }
}

/// Multi-head latent attention (MLA; DeepSeek-V2, arXiv 2405.04434), where a token's keys and values of all heads are kept as one latent
/// and one rotated key; with an index, sparse (DSA; DeepSeek-V3.2).
public struct LatentAttention: Hashable, Sendable {
    /// Query heads.
    public var heads: Int
    /// Rank of the queries' projection; nil where they are projected at once.
    public var queryRank: Int?
    /// Elements of the latent.
    public var latent: Int
    /// Elements of a query and a key that are not rotated.
    public var nope: Int
    /// Elements that are rotated, or would be: shared by all heads, and cached.
    public var rope: Int
    /// Elements of a value.
    public var valueDim: Int
    /// Whether the output is gated by one more projection of its size (Kimi K3).
    public var hasGate: Bool
    /// The index that chooses which keys are attended; nil where all are.
    public var index: SparseIndex?

    /// A kind of attention.
    public init(
        heads: Int, queryRank: Int?, latent: Int, nope: Int, rope: Int, valueDim: Int, hasGate: Bool = false, index: SparseIndex? = nil
    ) {
        (self.heads, self.queryRank, self.latent, self.nope) = (heads, queryRank, latent, nope)
        (self.rope, self.valueDim, self.hasGate, self.index) = (rope, valueDim, hasGate, index)
    }
}

/// The index of sparse attention: every earlier key is scored by small heads, the best are attended.
public struct SparseIndex: Hashable, Sendable {
    /// Heads of the index.
    public var heads: Int
    /// Elements of an index key, cached for every key.
    public var dim: Int
    /// Keys that a query attends.
    public var chosen: Int

    /// An index.
    public init(heads: Int, dim: Int, chosen: Int) { (self.heads, self.dim, self.chosen) = (heads, dim, chosen) }
}

/// DeepSeek-V4's attention: one head whose keys are its values, a window, and behind it keys that stand for `ratio` tokens each.
public struct CompressedAttention: Hashable, Sendable {
    /// Query heads.
    public var heads: Int
    /// Rank of the queries' projection.
    public var queryRank: Int
    /// Elements of the one key that is the value too.
    public var dim: Int
    /// Keys of single tokens in sight.
    public var window: Int
    /// Tokens that one compressed key stands for; 0 where only the window is attended.
    public var ratio: Int
    /// The index over compressed keys; nil where all of them are attended.
    public var index: SparseIndex?
    /// Groups of the output projection and the rank of each.
    public var outputGroups: Int
    /// Rank of each group of the output projection.
    public var outputRank: Int

    /// A kind of attention.
    public init(
        heads: Int, queryRank: Int, dim: Int, window: Int, ratio: Int, index: SparseIndex? = nil, outputGroups: Int, outputRank: Int
    ) {
        (self.heads, self.queryRank, self.dim, self.window) = (heads, queryRank, dim, window)
        (self.ratio, self.index, self.outputGroups, self.outputRank) = (ratio, index, outputGroups, outputRank)
    }
}

/// Linear attention with a state of fixed size in place of keys and values (KDA; Kimi Linear, arXiv 2510.26692).
public struct LinearAttention: Hashable, Sendable {
    /// Heads, each with a state of `headDim` x `headDim`.
    public var heads: Int
    /// Elements of a query, key and value of one head.
    public var headDim: Int
    /// Rank of the projection that gives the decay.
    public var decayRank: Int
    /// Rank of the projection that gates the output; nil where it is projected at once (Kimi K3).
    public var gateRank: Int?

    /// A kind of attention.
    public init(heads: Int, headDim: Int, decayRank: Int, gateRank: Int?) {
        (self.heads, self.headDim, self.decayRank, self.gateRank) = (heads, headDim, decayRank, gateRank)
    }
}

/// One kind of attention with its numbers.
public enum AttentionSpec: Hashable, Sendable {
    /// Grouped keys and values.
    case grouped(GroupedAttention)
    /// A latent for the keys and values of all heads.
    case latent(LatentAttention)
    /// Compressed keys behind a window.
    case compressed(CompressedAttention)
    /// A state instead of keys.
    case linear(LinearAttention)
}

/// Layers of one kind of attention; in which order kinds alternate costs nothing and is not kept.
public struct LayerGroup: Hashable, Sendable {
    /// How many layers.
    public var count: Int
    /// Their attention.
    public var attention: AttentionSpec

    /// So many layers of a kind.
    public init(_ count: Int, _ attention: AttentionSpec) { (self.count, self.attention) = (count, attention) }
}
