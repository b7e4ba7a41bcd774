// Models made for a million tokens: DeepSeek-V4 with compressed keys, Kimi K3 with states in three layers of four. Sources as in
// ModelCatalogue.swift.

extension ModelCatalogue {
    /// Models with compressed keys.
    static let compressed: [ModelSpec] = [deepSeekV4Flash, deepSeekV4Pro]
    /// Models with states.
    static let linear: [ModelSpec] = [kimiK3]

    private static let deepSeekV4Flash = ModelSpec(
        name: "deepseek-v4-flash", hidden: 4096 /* C L */, vocabulary: 129_280 /* C L */, contextMax: 1_048_576 /* C L */,
        layers: [
            // [C L] 64 heads of 512, query rank 1024, a window of 128 in all 43 layers, output in 8 groups of rank 1024; two layers have
            // no more than that, then keys of 4 tokens, 512 of them chosen by an index of 64 heads of 128, alternate with keys of 128
            LayerGroup(2, v4(heads: 64, queryRank: 1024, ratio: 0, chosen: nil, groups: 8)),
            LayerGroup(21, v4(heads: 64, queryRank: 1024, ratio: 4, chosen: 512, groups: 8)),
            LayerGroup(20, v4(heads: 64, queryRank: 1024, ratio: 128, chosen: nil, groups: 8)),
        ],
        denseLayers: 0, denseWidth: 0,  // [C L] every layer has experts; the first three route by token
        experts: ExpertsSpec(count: 256, chosen: 6, width: 2048, sharedWidth: 2048),  // [C L]
        expertType: .mxfp4, denseType: .fp8,  // [C] experts FP4 with a scale byte for 32
        streams: 4,  // [C L] hyper-connections, `hc_mult`
        published: PublishedSize(total: 284e9, active: 13e9))  // its model card

    private static let deepSeekV4Pro = ModelSpec(
        name: "deepseek-v4-pro", hidden: 7168 /* C */, vocabulary: 129_280 /* C */, contextMax: 1_048_576 /* C */,
        layers: [
            // [C] as Flash with 128 heads, query rank 1536, 16 groups, 1024 chosen, and no layer with the window alone
            LayerGroup(30, v4(heads: 128, queryRank: 1536, ratio: 4, chosen: 1024, groups: 16)),
            LayerGroup(31, v4(heads: 128, queryRank: 1536, ratio: 128, chosen: nil, groups: 16)),
        ],
        denseLayers: 0, denseWidth: 0,  // [U] that no layer is dense
        experts: ExpertsSpec(count: 384, chosen: 6, width: 3072, sharedWidth: 3072),  // [C] count and choice, [U] width
        expertType: .mxfp4, denseType: .fp8,  // [C]
        streams: 4,  // [C]
        unverified: ["denseLayers", "experts.width"],
        published: PublishedSize(total: 1.6e12, active: 49e9))  // its model card

    private static func v4(heads: Int, queryRank: Int, ratio: Int, chosen: Int?, groups: Int) -> AttentionSpec {
        .compressed(
            CompressedAttention(
                heads: heads, queryRank: queryRank, dim: 512, window: 128, ratio: ratio,
                index: chosen.map { SparseIndex(heads: 64, dim: 128, chosen: $0) }, outputGroups: groups, outputRank: 1024))
    }

    private static let kimiK3 = ModelSpec(
        name: "kimi-k3", hidden: 7168 /* C */, vocabulary: 163_840 /* C */, contextMax: 1_048_576 /* C */,
        layers: [
            // [C] 93 layers: every fourth, and the last, with a gated latent that is not rotated, 96 heads; the others with states of
            // 96 heads of 128 x 128. The decay's rank of 128 is a head's width, as in Kimi Linear [U]
            LayerGroup(
                24,
                .latent(LatentAttention(heads: 96, queryRank: 1536, latent: 512, nope: 128, rope: 64, valueDim: 128, hasGate: true))),
            LayerGroup(69, .linear(LinearAttention(heads: 96, headDim: 128, decayRank: 128, gateRank: nil))),
        ],
        denseLayers: 1, denseWidth: 33_792,  // [C]
        // [C] experts work in a latent of 3584; two shared experts, 6144 wide together
        experts: ExpertsSpec(count: 896, chosen: 16, width: 3072, latent: 3584, sharedWidth: 6144),
        expertType: .mxfp4, denseType: .bf16,  // [C]
        streams: 9,  // [C] attention residuals every 12 layers: up to 8 snapshots beside the running sum
        unverified: ["layers.decayRank"],
        published: PublishedSize(total: 2.8e12, active: 104e9))  // [R] arXiv 2607.24653
}
