// What one layer of attention costs: parameters, what it keeps of a token, arithmetic of a whole prefill and of one token. FLOP is twice
// the number of multiply-adds; projections are counted by their parameters, so only scores, values and what replaces them are here.
// Formulas and their sources: Docs/PLANNING.md.

/// How latent attention meets its keys.
public enum LatentForm: String, Hashable, Sendable {
    /// Keys and values of every head are made from each latent that arrives.
    case expanded = "expanded"
    /// Queries are brought into the latent's space, and latents are keys and values at once.
    case absorbed = "absorbed"
}

extension AttentionSpec {
    /// Query heads.
    public var heads: Int {
        switch self {
        case .grouped(let a): a.heads
        case .latent(let a): a.heads
        case .compressed(let a): a.heads
        case .linear(let a): a.heads
        }
    }

    /// Elements of one head's query, and of its output.
    public var queryDim: Int {
        switch self {
        case .grouped(let a): a.headDim
        case .latent(let a): a.nope + a.rope
        case .compressed(let a): a.dim
        case .linear(let a): a.headDim
        }
    }

    /// Elements of one head's output.
    public var outputDim: Int {
        switch self {
        case .grouped(let a): a.headDim
        case .latent(let a): a.valueDim
        case .compressed(let a): a.dim
        case .linear(let a): a.headDim
        }
    }

    /// Parameters of one layer's attention in a model of this width: projections, biases, norms, sinks.
    public func parameters(hidden: Int) -> Int {
        switch self {
        case .grouped(let a):
            let (wide, narrow) = (a.heads * a.headDim, a.kvHeads * a.headDim)
            let norms = a.norm == .none ? 0 : a.norm == .perHead ? 2 * a.headDim : wide + narrow
            let biases = a.hasBias ? wide + 2 * narrow + hidden : 0
            return hidden * (2 * wide + 2 * narrow) + norms + biases + (a.hasSinks ? a.heads : 0)
        case .latent(let a):
            let queries = a.heads * (a.nope + a.rope)
            let query = a.queryRank.map { hidden * $0 + $0 + $0 * queries } ?? hidden * queries
            let keys = hidden * (a.latent + a.rope) + a.latent + a.latent * a.heads * (a.nope + a.valueDim)
            let output = a.heads * a.valueDim * hidden * (a.hasGate ? 2 : 1)
            return query + keys + output + (a.index?.parameters(hidden: hidden, queryRank: a.queryRank ?? hidden) ?? 0)
        case .compressed(let a):
            let query = hidden * a.queryRank + a.queryRank * a.heads * a.dim
            let output = a.heads * a.dim * a.outputRank + a.outputGroups * a.outputRank * hidden
            // A key and its weight for each compressed key; where the index chooses, of two overlapping windows.
            let compressor = a.ratio == 0 ? 0 : hidden * a.dim * (a.index == nil ? 2 : 4)
            let index = a.index.map { a.queryRank * $0.heads * $0.dim + hidden * (4 * $0.dim + $0.heads) } ?? 0
            return query + hidden * a.dim + output + compressor + index
        case .linear(let a):
            // Queries, keys, values, output; decay and gate; a rate a head; three convolutions of four taps; the decay's offsets.
            let wide = a.heads * a.headDim
            let decay = a.decayRank * (hidden + wide) + wide + a.heads
            let gate = a.gateRank.map { $0 * (hidden + wide) } ?? hidden * wide
            return hidden * 4 * wide + decay + gate + hidden * a.heads + 3 * 4 * wide + a.headDim
        }
    }

    /// Elements kept of every token of the context, over all heads.
    public var cacheElements: Double {
        switch self {
        case .grouped(let a): a.window == nil ? Double(2 * a.kvHeads * a.headDim) : 0
        case .latent(let a): Double(a.latent + a.rope + (a.index?.dim ?? 0))
        case .compressed(let a): a.ratio == 0 ? 0 : Double(a.dim + (a.index?.dim ?? 0)) / Double(a.ratio)
        case .linear: 0
        }
    }

    /// Elements kept however long the context is: a window's keys and values. They are of the cache's type.
    public var windowElements: Double {
        switch self {
        case .grouped(let a): Double((a.window ?? 0) * 2 * a.kvHeads * a.headDim)
        case .compressed(let a): Double(a.window * a.dim)
        case .latent, .linear: 0
        }
    }

    /// Bytes of a state in f32, with the last three inputs of its short convolutions in bf16.
    public var stateBytes: Double {
        guard case .linear(let a) = self else { return 0 }
        return Double(a.heads * a.headDim * a.headDim * 4 + 3 * 3 * a.heads * a.headDim * 2)
    }

    /// Whether a token's attention needs what other ranks keep: otherwise its own rank has the window or the state.
    public var reachesWholeContext: Bool { cacheElements > 0 }
}

extension SparseIndex {
    /// Queries out of the queries' latent, one key for all heads, a weight for each head.
    func parameters(hidden: Int, queryRank: Int) -> Int { queryRank * heads * dim + hidden * (dim + heads) + 2 * dim }
}

/// Pairs of a query and a key that is in sight, over a causal context of `tokens`.
///
/// With a limit w on the keys of a query: the sum of min(i + 1, w).
func causalPairs(_ tokens: Double, limit: Double? = nil) -> Double {
    guard let limit, limit < tokens else { return tokens * (tokens + 1) / 2 }
    return limit * tokens - limit * (limit - 1) / 2
}

extension AttentionSpec {
    /// FLOP of scores and values of one layer in the causal prefill of a context, over all ranks; `form` matters to latent attention
    /// without an index only. Making keys out of latents is `expansionFlops`.
    public func prefillFlops(tokens: Int, form: LatentForm) -> Double {
        let tokens = Double(tokens)
        switch self {
        case .grouped(let a):
            return causalPairs(tokens, limit: a.window.map(Double.init)) * Double(4 * a.heads * a.headDim)
        case .latent(let a):
            guard let index = a.index else { return causalPairs(tokens) * flopsAPair(form) }
            return causalPairs(tokens) * Double(2 * index.heads * index.dim)
                + causalPairs(tokens, limit: Double(index.chosen)) * flopsAPair(.absorbed)
        case .compressed(let a):
            let window = causalPairs(tokens, limit: Double(a.window)) * flopsAPair(form)
            guard a.ratio > 0 else { return window }
            let pairs = causalPairs(tokens) / Double(a.ratio)
            guard let index = a.index else { return window + pairs * flopsAPair(form) }
            // A query has enough compressed keys to choose among once it is chosen x ratio tokens in.
            let limit = Double(index.chosen * a.ratio)
            return window + pairs * Double(2 * index.heads * index.dim)
                + causalPairs(tokens, limit: limit) / Double(a.ratio) * flopsAPair(form)
        case .linear(let a):
            return 7 * tokens * Double(a.heads * a.headDim * a.headDim)
        }
    }

    /// FLOP of scores and values of one layer for one more token after `tokens`, over all ranks.
    public func decodeFlops(tokens: Int) -> Double {
        let tokens = Double(tokens)
        switch self {
        case .grouped(let a):
            return min(tokens, a.window.map(Double.init) ?? tokens) * Double(4 * a.heads * a.headDim)
        case .latent(let a):
            guard let index = a.index else { return tokens * flopsAPair(.absorbed) }
            return tokens * Double(2 * index.heads * index.dim) + min(tokens, Double(index.chosen)) * flopsAPair(.absorbed)
        case .compressed(let a):
            let window = min(tokens, Double(a.window)) * flopsAPair(.absorbed)
            guard a.ratio > 0 else { return window }
            let keys = tokens / Double(a.ratio)
            guard let index = a.index else { return window + keys * flopsAPair(.absorbed) }
            return window + keys * Double(2 * index.heads * index.dim) + min(keys, Double(index.chosen)) * flopsAPair(.absorbed)
        case .linear(let a):
            return 7 * Double(a.heads * a.headDim * a.headDim)
        }
    }

    /// Elements of the cache of one layer that one more token after `tokens` reads, over all ranks.
    public func decodeElements(tokens: Int) -> Double {
        let tokens = Double(tokens)
        switch self {
        case .grouped(let a):
            return min(tokens, a.window.map(Double.init) ?? tokens) * Double(2 * a.kvHeads * a.headDim)
        case .latent(let a):
            guard let index = a.index else { return tokens * Double(a.latent + a.rope) }
            return tokens * Double(index.dim) + min(tokens, Double(index.chosen)) * Double(a.latent + a.rope)
        case .compressed(let a):
            let window = min(tokens, Double(a.window)) * Double(a.dim)
            guard a.ratio > 0 else { return window }
            let keys = tokens / Double(a.ratio)
            guard let index = a.index else { return window + keys * Double(a.dim) }
            return window + keys * Double(index.dim) + min(keys, Double(index.chosen)) * Double(a.dim)
        case .linear: return 0
        }
    }

    /// FLOP that turn one token's latent into the keys and values of every head; 0 for other kinds.
    public var expansionFlops: Double {
        guard case .latent(let a) = self, a.index == nil else { return 0 }
        return Double(2 * a.latent * a.heads * (a.nope + a.valueDim))
    }

    /// FLOP of a query's score with one key and of the key's value, over all heads.
    func flopsAPair(_ form: LatentForm) -> Double {
        switch self {
        case .grouped(let a): Double(4 * a.heads * a.headDim)
        case .latent(let a):
            Double(2 * a.heads) * Double(form == .expanded ? a.nope + a.rope + a.valueDim : 2 * a.latent + a.rope)
        case .compressed(let a): Double(4 * a.heads * a.dim)
        case .linear: 0
        }
    }
}
