// A model as the numbers that its costs depend on. Nothing here is a weight, and nothing is a rule of arithmetic that would change an
// answer: two models of the same spec cost the same.

/// The experts of a model's sparse layers.
public struct ExpertsSpec: Hashable, Sendable {
    /// Routed experts of a layer.
    public var count: Int
    /// Experts that a token goes to.
    public var chosen: Int
    /// Width inside an expert.
    public var width: Int
    /// Width of what an expert takes and gives where it is not the model's: a latent, into and out of which each token is projected.
    public var latent: Int?
    /// Width inside what every token goes through beside its experts, all shared experts together.
    public var sharedWidth: Int
    /// Whether experts have biases.
    public var hasBias: Bool
    /// Whether the router has a bias for each expert, be it for the choice alone.
    public var hasRouterBias: Bool

    /// Experts of a shape.
    public init(
        count: Int, chosen: Int, width: Int, latent: Int? = nil, sharedWidth: Int = 0, hasBias: Bool = false, hasRouterBias: Bool = true
    ) {
        (self.count, self.chosen, self.width) = (count, chosen, width)
        (self.latent, self.sharedWidth, self.hasBias, self.hasRouterBias) = (latent, sharedWidth, hasBias, hasRouterBias)
    }
}

/// Parameters as a model's authors publish them, for comparison.
public struct PublishedSize: Hashable, Sendable {
    /// All parameters.
    public var total: Double
    /// Parameters that one token uses.
    public var active: Double

    /// So many parameters in all, and so many for one token.
    public init(total: Double, active: Double) { (self.total, self.active) = (total, active) }
}

/// A model as its costs see it.
public struct ModelSpec: Hashable, Sendable {
    /// A short name, as `--model` takes it: `deepseek-v3`.
    public var name: String
    /// Width of the residual stream.
    public var hidden: Int
    /// Rows of the embedding.
    public var vocabulary: Int
    /// Whether the output matrix is the embedding.
    public var tiesEmbeddings: Bool
    /// The longest context, in tokens, that the model claims to handle.
    public var contextMax: Int
    /// All layers by their attention.
    public var layers: [LayerGroup]
    /// Leading layers whose feed-forward part has no experts; all of them in a dense model.
    public var denseLayers: Int
    /// Width inside the feed-forward part of these.
    public var denseWidth: Int
    /// The experts of all other layers.
    public var experts: ExpertsSpec?
    /// How the experts' weights are released.
    public var expertType: StoredType
    /// How all other weights are released.
    public var denseType: StoredType
    /// Vectors of the model's width that a token carries from layer to layer: 1, or more with hyper-connections or attention residuals.
    public var streams: Int
    /// What is not confirmed by a public file or the library's code: names of fields.
    public var unverified: [String]
    /// What the authors say of its size.
    public var published: PublishedSize?

    /// A model.
    public init(
        name: String, hidden: Int, vocabulary: Int, tiesEmbeddings: Bool = false, contextMax: Int, layers: [LayerGroup],
        denseLayers: Int, denseWidth: Int, experts: ExpertsSpec? = nil, expertType: StoredType = .bf16, denseType: StoredType = .bf16,
        streams: Int = 1, unverified: [String] = [], published: PublishedSize? = nil
    ) {
        (self.name, self.hidden, self.vocabulary, self.tiesEmbeddings) = (name, hidden, vocabulary, tiesEmbeddings)
        (self.contextMax, self.layers, self.denseLayers, self.denseWidth) = (contextMax, layers, denseLayers, denseWidth)
        (self.experts, self.expertType, self.denseType, self.streams) = (experts, expertType, denseType, streams)
        (self.unverified, self.published) = (unverified, published)
    }
}
