// Models with latent attention: DeepSeek-V3 and V3.2, Kimi K2 and K2.6, GLM-5. Sources as in ModelCatalogue.swift.

extension ModelCatalogue {
    /// Models with a latent in place of keys and values in every layer.
    static let latent: [ModelSpec] = [deepSeekV3, deepSeekV32, kimiK2, kimiK26, glm5]

    /// DeepSeek-V3's attention: [C L] 128 heads, query rank 1536, latent 512, 128 + 64 elements a query, 128 a value. Kimi K2 has half
    /// the heads and nothing else changed [C].
    private static func attention(heads: Int, index: SparseIndex? = nil) -> AttentionSpec {
        .latent(LatentAttention(heads: heads, queryRank: 1536, latent: 512, nope: 128, rope: 64, valueDim: 128, index: index))
    }

    private static let deepSeekV3 = ModelSpec(
        name: "deepseek-v3", hidden: 7168 /* C L */, vocabulary: 129_280 /* C L */, contextMax: 163_840 /* C */,
        layers: [LayerGroup(61, attention(heads: 128))],  // [C L]; layer 61 of the files predicts further tokens and is not counted
        denseLayers: 3, denseWidth: 18_432,  // [C L]
        experts: ExpertsSpec(count: 256, chosen: 8, width: 2048, sharedWidth: 2048),  // [C L]; 8 groups, of which 4 are kept
        expertType: .fp8, denseType: .fp8,  // [C] e4m3 in blocks of 128 x 128; embeddings, norms and routers are bf16
        published: PublishedSize(total: 671e9, active: 37e9))  // [R] arXiv 2412.19437

    private static let deepSeekV32 = ModelSpec(
        name: "deepseek-v3.2", hidden: 7168 /* L */, vocabulary: 129_280 /* L */, contextMax: 163_840 /* L */,
        // [L] an index of 64 heads of 128 in every layer, 2048 keys chosen
        layers: [LayerGroup(61, attention(heads: 128, index: SparseIndex(heads: 64, dim: 128, chosen: 2048)))],
        denseLayers: 3, denseWidth: 18_432,  // [L]
        experts: ExpertsSpec(count: 256, chosen: 8, width: 2048, sharedWidth: 2048),  // [L]
        expertType: .fp8, denseType: .fp8,  // [C]
        published: PublishedSize(total: 671e9, active: 37e9))  // its model card, without the layer that predicts further tokens

    private static let kimiK2 = ModelSpec(
        name: "kimi-k2", hidden: 7168 /* C */, vocabulary: 163_840 /* C */,
        contextMax: 131_072,  // [C] of the first release; later ones of K2 have 262,144
        layers: [LayerGroup(61, attention(heads: 64))],  // [C]
        denseLayers: 1, denseWidth: 18_432,  // [C]
        experts: ExpertsSpec(count: 384, chosen: 8, width: 2048, sharedWidth: 2048),  // [C]
        expertType: .fp8, denseType: .fp8,  // [C] as DeepSeek-V3
        published: PublishedSize(total: 1.04e12, active: 32e9))  // [R] arXiv 2507.20534: 1.04 T, 32 B

    private static let kimiK26 = ModelSpec(
        name: "kimi-k2.6", hidden: 7168 /* C */, vocabulary: 163_840 /* C */, contextMax: 262_144 /* C */,
        layers: [LayerGroup(61, attention(heads: 64))],  // [C]; the wrapper's vision tower is not counted
        denseLayers: 1, denseWidth: 18_432,  // [C]
        experts: ExpertsSpec(count: 384, chosen: 8, width: 2048, sharedWidth: 2048),  // [C]
        expertType: .int4, denseType: .bf16,  // [C] `pack-quantized` in groups of 32, experts alone
        published: PublishedSize(total: 1.04e12, active: 32e9))  // as K2, which it shares its language model's shape with

    private static let glm5 = ModelSpec(
        name: "glm-5", hidden: 6144 /* L */, vocabulary: 154_880 /* L */, contextMax: 202_752 /* L */,
        layers: [
            // [L] 78 layers, 64 heads, query rank 2048, latent 512, 192 + 64 elements a query, 256 a value, an index of 32 heads of 128
            LayerGroup(
                78,
                .latent(
                    LatentAttention(
                        heads: 64, queryRank: 2048, latent: 512, nope: 192, rope: 64, valueDim: 256,
                        index: SparseIndex(heads: 32, dim: 128, chosen: 2048))))
        ],
        denseLayers: 3, denseWidth: 12_288,  // [L]
        experts: ExpertsSpec(count: 256, chosen: 8, width: 2048, sharedWidth: 2048),  // [L]
        expertType: .bf16, denseType: .bf16,  // [C]; an FP8 release exists as well
        published: PublishedSize(total: 744e9, active: 40e9))  // its model card
}
