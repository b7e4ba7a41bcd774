// The built-in models: what is counted from their fields is what their authors publish.

import RingPlacement
import Testing

@Suite("Model catalogue")
struct CatalogueTests {
    /// Counted and published sizes differ by how the published ones are rounded, by what they count (the prediction of further tokens,
    /// the embedding's one row), and for MiniMax-M2 because "10B" has two digits.
    private static let totalTolerance = 0.02
    private static let activeTolerance = ["minimax-m2": 0.05, "glm-5": 0.03]

    @Test("parameters in all and for a token are the published ones", arguments: ModelCatalogue.all)
    func published(model: ModelSpec) throws {
        let size = try #require(model.published)
        let total = Double(model.totalParameters) / size.total - 1
        let active = Double(model.activeParameters) / size.active - 1
        #expect(abs(total) <= Self.totalTolerance, "\(model.name): \(model.totalParameters) parameters, \(total * 100)% off")
        #expect(
            abs(active) <= Self.activeTolerance[model.name, default: 0.025] || model.experts == nil,
            "\(model.name): \(model.activeParameters) for a token, \(active * 100)% off")
    }

    @Test(
        "where a checkpoint's own count is known to the last parameter, ours is the same",
        arguments: [
            ("llama-3-8b", 8_030_261_248), ("llama-3-70b", 70_553_706_496), ("llama-3-405b", 405_853_388_800),
            ("qwen3-235b", 235_093_634_560), ("gpt-oss-120b", 116_829_156_672), ("deepseek-v3", 671_026_419_200),
        ])
    func exact(name: String, parameters: Int) throws {
        #expect(try ModelCatalogue.find(name).totalParameters == parameters)
    }

    @Test("a token of a dense model meets every parameter but the embedding")
    func denseActive() throws {
        let model = try ModelCatalogue.find("llama-3-8b")
        #expect(model.totalParameters - model.activeParameters == model.vocabulary * model.hidden)
    }

    /// Elements by hand: layers x 2 x KV heads x dimension; layers x 576, or 576 + 128; (512 + 128) / 4 and 512 / 128.
    private static let elements: [(String, Int)] = [
        ("llama-3-405b", 126 * 2048), ("qwen3-235b", 94 * 1024), ("gpt-oss-120b", 18 * 1024), ("deepseek-v3", 61 * 576),
        ("deepseek-v3.2", 61 * 704), ("kimi-k3", 24 * 576), ("glm-5", 78 * 704), ("deepseek-v4-flash", 21 * 160 + 20 * 4),
        ("deepseek-v4-pro", 30 * 160 + 31 * 4),
    ]

    @Test("what a token leaves in the cache", arguments: elements)
    func cache(name: String, elements: Int) throws {
        #expect(try ModelCatalogue.find(name).cacheElements == Double(elements))
    }

    @Test("states and windows do not grow with the context")
    func fixed() throws {
        let kimi = try ModelCatalogue.find("kimi-k3")
        // 69 layers of 96 heads of 128 x 128 in f32, and three inputs of three convolutions in bf16.
        let state: Int = 96 * 128 * 128 * 4 + 9 * 96 * 128 * 2
        #expect(kimi.cacheBytes(tokens: 0, type: .bf16) == Double(69 * state))
        let oss = try ModelCatalogue.find("gpt-oss-120b")
        let token: Int = 18 * 1024 * 2
        #expect(oss.cacheBytes(tokens: 0, type: .bf16) == Double(128 * token))
        #expect(oss.cacheBytes(tokens: 1000, type: .bf16) == Double(1128 * token))
    }

    @Test("names are found in any case, and the nearest is offered for one that is not known")
    func names() throws {
        #expect(try ModelCatalogue.find("DeepSeek_V3").name == "deepseek-v3")
        for (wrong, right) in [
            ("kimi-k4", "kimi-k2"), ("lama-3-8b", "llama-3-8b"), ("gpt-oss", "gpt-oss-120b"), ("deepseek-v4", "deepseek-v4-flash"),
        ] {
            do {
                _ = try ModelCatalogue.find(wrong)
                Issue.record("\(wrong) was found")
            } catch {
                #expect("\(error)".contains("did you mean '\(right)'?"), "\(error)")
            }
        }
        do {
            _ = try ModelCatalogue.find("!")
            Issue.record("! was found")
        } catch {
            #expect(!"\(error)".contains("did you mean") && "\(error)".contains("minimax-m2"), "\(error)")
        }
    }

    @Test("no two models share a name, and unverified fields are named for some")
    func distinct() {
        let names = ModelCatalogue.all.map(\.name)
        #expect(Set(names).count == names.count && names.count == 14)
        #expect(ModelCatalogue.all.contains { !$0.unverified.isEmpty })
    }
}
