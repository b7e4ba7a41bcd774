// Sizes of a model: parameters in all and for one token, and what its cache holds. The totals are compared with the published ones in a
// test, which is a good check of a spec: a wrong width or rank shows.

extension ModelSpec {
    /// Layers.
    public var layerCount: Int { layers.reduce(0) { $0 + $1.count } }
    /// Layers with experts.
    public var sparseLayers: Int { experts == nil ? 0 : layerCount - denseLayers }

    /// Parameters of one routed expert: gate, up and down.
    public var expertParameters: Int {
        guard let experts else { return 0 }
        let width = experts.latent ?? hidden
        return 3 * width * experts.width + (experts.hasBias ? 2 * experts.width + width : 0)
    }

    /// Parameters of the attention of all layers.
    public var attentionParameters: Int { layers.reduce(0) { $0 + $1.count * $1.attention.parameters(hidden: hidden) } }

    /// Parameters beside attention and routed experts that every token meets, without embeddings: dense feed-forward parts, shared
    /// experts, routers, projections into and out of a latent, norms.
    public var commonParameters: Int {
        var sum = denseLayers * 3 * hidden * denseWidth + layerCount * 2 * hidden + hidden
        if let experts {
            let latent = experts.latent.map { 2 * hidden * $0 + $0 } ?? 0
            sum += sparseLayers * ((hidden + (experts.hasRouterBias ? 1 : 0)) * experts.count + 3 * hidden * experts.sharedWidth + latent)
        }
        return sum
    }

    /// Parameters of the embedding, and of the output matrix where it is another one.
    public var embeddingParameters: Int { vocabulary * hidden * (tiesEmbeddings ? 1 : 2) }

    /// Parameters that are on every worker: all but the routed experts.
    public var denseParameters: Int { attentionParameters + commonParameters + embeddingParameters }

    /// Parameters of all routed experts.
    public var routedParameters: Int { sparseLayers * (experts?.count ?? 0) * expertParameters }

    /// All parameters, without heads for the prediction of further tokens.
    public var totalParameters: Int { denseParameters + routedParameters }

    /// Parameters that one token meets; of the embedding it looks up one row, which is not counted, and it meets the output matrix.
    public var activeParameters: Int {
        attentionParameters + commonParameters + vocabulary * hidden + sparseLayers * (experts?.chosen ?? 0) * expertParameters
    }

    /// Elements kept of each token of a context, over all layers.
    public var cacheElements: Double { layers.reduce(0) { $0 + Double($1.count) * $1.attention.cacheElements } }

    /// Elements kept of each token by the layer that keeps the most.
    public var widestCacheElements: Double { layers.reduce(0) { max($0, $1.attention.cacheElements) } }

    /// Bytes of the cache of one sequence of `tokens`, over all layers: what every token leaves, windows, states.
    public func cacheBytes(tokens: Int, type: StoredType) -> Double {
        layers.reduce(0) { sum, group in
            let attention = group.attention
            let kept = Double(tokens) * attention.cacheElements + attention.windowElements
            return sum + Double(group.count) * (kept * type.bytes + attention.stateBytes)
        }
    }
}
