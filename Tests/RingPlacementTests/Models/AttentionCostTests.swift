// Arithmetic of attention against sums over every pair of a small context, and against figures worked out elsewhere.

import RingPlacement
import Testing

@Suite("Attention costs")
struct AttentionCostTests {
    /// FLOP of a context, counted key by key: `keys` says how many a query at a position sees.
    private func counted(_ tokens: Int, _ each: Int, _ keys: (Int) -> Int) -> Double {
        Double((0..<tokens).reduce(0) { $0 + keys($1) * each })
    }

    @Test("a causal context of grouped heads, with and without a window", arguments: [1, 2, 127, 128, 129, 1000])
    func grouped(tokens: Int) {
        var attention = GroupedAttention(heads: 6, kvHeads: 2, headDim: 16)
        let whole = AttentionSpec.grouped(attention).prefillFlops(tokens: tokens, form: .expanded)
        #expect(whole == counted(tokens, 4 * 6 * 16) { $0 + 1 })
        attention.window = 128
        let windowed = AttentionSpec.grouped(attention).prefillFlops(tokens: tokens, form: .expanded)
        #expect(windowed == counted(tokens, 4 * 6 * 16) { min($0 + 1, 128) })
    }

    @Test("latents: 640 FLOP a pair and head expanded, 2,176 absorbed, and 262,144 to expand one")
    func latent() {
        let attention = AttentionSpec.latent(LatentAttention(heads: 1, queryRank: 1536, latent: 512, nope: 128, rope: 64, valueDim: 128))
        #expect(attention.prefillFlops(tokens: 1, form: .expanded) == 640)
        #expect(attention.prefillFlops(tokens: 1, form: .absorbed) == 2176)
        #expect(attention.expansionFlops == 262_144)
        // So expanding pays from 171 queries on: 262,144 / 1,536.
        #expect((attention.expansionFlops / (2176 - 640)).rounded() == 171)
        #expect(attention.decodeFlops(tokens: 1000) == 2_176_000 && attention.decodeElements(tokens: 1000) == 576_000)
    }

    @Test("an index scores every key and attends the best", arguments: [10, 64, 65, 500])
    func sparse(tokens: Int) {
        let index = SparseIndex(heads: 4, dim: 32, chosen: 64)
        let attention = AttentionSpec.latent(
            LatentAttention(heads: 8, queryRank: 96, latent: 64, nope: 32, rope: 16, valueDim: 32, index: index))
        let scores = counted(tokens, 2 * 4 * 32) { $0 + 1 }
        let attended = counted(tokens, 2 * 8 * (2 * 64 + 16)) { min($0 + 1, 64) }
        #expect(attention.prefillFlops(tokens: tokens, form: .expanded) == scores + attended)
        #expect(attention.decodeElements(tokens: tokens) == Double(tokens * 32 + min(tokens, 64) * 80))
        #expect(attention.expansionFlops == 0)
    }

    /// Compressed keys in sight of position t are (t + 1) / ratio, here not rounded down.
    @Test("compressed keys cost their share of the pairs, and the window is beside them")
    func compressed() {
        func spec(_ ratio: Int, _ index: SparseIndex?) -> AttentionSpec {
            .compressed(
                CompressedAttention(
                    heads: 4, queryRank: 64, dim: 64, window: 64, ratio: ratio, index: index, outputGroups: 2, outputRank: 32))
        }
        let (tokens, each) = (4096, 4 * 4 * 64)
        let window = counted(tokens, each) { min($0 + 1, 64) }
        #expect(spec(0, nil).prefillFlops(tokens: tokens, form: .absorbed) == window)
        #expect(spec(128, nil).prefillFlops(tokens: tokens, form: .absorbed) == window + counted(tokens, each) { $0 + 1 } / 128)
        let chosen = counted(tokens, each) { min($0 + 1, 32 * 4) } / 4
        let scores = counted(tokens, 2 * 4 * 32) { $0 + 1 } / 4
        let indexed = spec(4, SparseIndex(heads: 4, dim: 32, chosen: 32))
        #expect(indexed.prefillFlops(tokens: tokens, form: .absorbed) == window + scores + chosen)
        #expect(indexed.decodeElements(tokens: tokens) == Double(64 * 64 + 1024 * 32 + 32 * 64))
    }

    /// 10^15 FLOP of a million tokens, from a script of its own that counts n^2 / 2 pairs.
    @Test(
        "a million tokens of attention",
        arguments: [
            ("llama-3-405b", 4130.0), ("qwen3-235b", 1540), ("gpt-oss-120b", 147), ("deepseek-v3", 2500), ("deepseek-v3.2", 535),
            ("glm-5", 342), ("kimi-k2", 1250), ("kimi-k3", 738), ("deepseek-v4-flash", 55.4), ("deepseek-v4-pro", 103), ("minimax-m2", 762),
        ])
    func million(name: String, petaflops: Double) throws {
        let model = try ModelCatalogue.find(name)
        let flops = model.layers.reduce(0) {
            $0 + Double($1.count) * $1.attention.prefillFlops(tokens: 1_000_000, form: .expanded)
        }
        #expect(abs(flops / 1e15 / petaflops - 1) < 0.005, "\(name): \(flops / 1e15)")
    }
}
