// Models that a plan can be made for without their files, by name. Dense ones and those with grouped attention are here; the families with
// a latent, compressed keys or states are in files of their own.
//
// Where a value comes from: [C] the public config.json of the released checkpoint, [L] the defaults of Hugging Face transformers 5.23 for
// it and its modelling code, [R] the authors' report, [U] not confirmed, and then named in `unverified` too. Sizes that the authors
// publish are compared with the parameters counted from these values in a test.

import RingCore

/// The models that are known by name.
public enum ModelCatalogue {
    /// All of them, in the order in which they are listed.
    public static let all: [ModelSpec] = dense + grouped + latent + compressed + linear

    /// The model of a name; upper and lower case, and `_` or a blank for `-`, do not matter.
    public static func find(_ name: String) throws(PlanningError) -> ModelSpec {
        let wanted = normal(name)
        if let found = all.first(where: { normal($0.name) == wanted }) { return found }
        throw .unknownModel(name, nearest: nearest(to: wanted), known: all.map(\.name))
    }

    private static func normal(_ name: String) -> String {
        String(name.lowercased().map { $0 == "_" || $0 == " " ? "-" : $0 })
    }

    /// The known name that is fewest edits away; one that begins with what was asked for is nearer than any other.
    private static func nearest(to name: String) -> String? {
        guard !name.isEmpty else { return nil }
        if let longer = all.first(where: { $0.name.hasPrefix(name) }) { return longer.name }
        let ranked = all.map { (name: $0.name, edits: editDistance($0.name, name)) }
        guard let best = ranked.min(by: { $0.edits < $1.edits }), best.edits <= max(2, best.name.count / 2) else { return nil }
        return best.name
    }
}

extension ModelCatalogue {
    /// Models without experts.
    static let dense: [ModelSpec] = [
        llama("llama-3-8b", hidden: 4096, layers: 32, heads: 32, width: 14_336, parameters: 8.03e9),
        llama("llama-3-70b", hidden: 8192, layers: 80, heads: 64, width: 28_672, parameters: 70.6e9),
        llama("llama-3-405b", hidden: 16_384, layers: 126, heads: 128, width: 53_248, parameters: 405.9e9),
    ]

    /// Llama 3.1: 8 KV heads of 128 [R], vocabulary 128,256 [R], positions 131,072 [R], bf16 [C], embeddings untied [R]. "The Llama 3
    /// Herd of Models", arXiv 2407.21783, table 3: layers, width, feed-forward width, heads. Llama 3.0 differs in positions alone (8,192).
    private static func llama(_ name: String, hidden: Int, layers: Int, heads: Int, width: Int, parameters: Double) -> ModelSpec {
        ModelSpec(
            name: name, hidden: hidden, vocabulary: 128_256, contextMax: 131_072,
            layers: [LayerGroup(layers, .grouped(GroupedAttention(heads: heads, kvHeads: 8, headDim: 128)))],
            denseLayers: layers, denseWidth: width, published: PublishedSize(total: parameters, active: parameters))
    }

    /// Models with grouped attention and experts.
    static let grouped: [ModelSpec] = [qwen3, miniMaxM2, gptOSS]

    private static let qwen3 = ModelSpec(
        name: "qwen3-235b", hidden: 4096 /* C L */, vocabulary: 151_936 /* C L */,
        contextMax: 262_144,  // [C] of the Instruct-2507 release; the first had 40,960
        layers: [
            // [C L] 94 layers, 64 and 4 heads of 128; query and key heads normed one by one
            LayerGroup(94, .grouped(GroupedAttention(heads: 64, kvHeads: 4, headDim: 128, norm: .perHead)))
        ],
        denseLayers: 0, denseWidth: 12_288,  // [C]; no layer uses it: decoder_sparse_step is 1, mlp_only_layers empty
        experts: ExpertsSpec(count: 128, chosen: 8, width: 1536, hasRouterBias: false),  // [C L]
        expertType: .bf16, denseType: .bf16,  // [C]; an FP8 release exists as well
        published: PublishedSize(total: 235e9, active: 22e9))  // its name, 235B-A22B

    private static let miniMaxM2 = ModelSpec(
        name: "minimax-m2", hidden: 3072 /* L */, vocabulary: 200_064 /* L */, contextMax: 196_608 /* L */,
        layers: [
            // [L] 62 layers, 48 and 8 heads of 128; all query heads normed as one vector, all key heads too
            LayerGroup(62, .grouped(GroupedAttention(heads: 48, kvHeads: 8, headDim: 128, norm: .allHeads)))
        ],
        denseLayers: 0, denseWidth: 0,
        experts: ExpertsSpec(count: 256, chosen: 8, width: 1536),  // [L]
        expertType: .fp8, denseType: .fp8,  // [U]
        unverified: ["expertType", "denseType"],
        published: PublishedSize(total: 230e9, active: 10e9))  // its model card

    private static let gptOSS = ModelSpec(
        name: "gpt-oss-120b", hidden: 2880 /* C L */, vocabulary: 201_088 /* C L */, contextMax: 131_072 /* C L */,
        layers: [
            // [C L] 36 layers, every second one with a window of 128; 64 and 8 heads of 64, biases, a sink a head
            LayerGroup(18, .grouped(GroupedAttention(heads: 64, kvHeads: 8, headDim: 64, hasBias: true, hasSinks: true))),
            LayerGroup(18, .grouped(GroupedAttention(heads: 64, kvHeads: 8, headDim: 64, window: 128, hasBias: true, hasSinks: true))),
        ],
        denseLayers: 0, denseWidth: 0,
        experts: ExpertsSpec(count: 128, chosen: 4, width: 2880, hasBias: true),  // [C L]
        expertType: .mxfp4, denseType: .bf16,  // [C]: only the experts' matrices are quantised
        published: PublishedSize(total: 116.83e9, active: 5.13e9))  // [R] model card, arXiv 2508.10925, table 1
}
