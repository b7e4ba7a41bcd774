// A random checkpoint through the layers, in every form of linear layer, against double precision.
import FoundationEssentials
import RingFormats
import RingKernels
import RingModels
import Testing

@Suite("Layers against double precision")
struct RandomModelTests {
    /// Sizes that are no multiples of tiles, and a feed-forward of more than one run of columns.
    private static func model(_ type: TensorType) -> RandomModel {
        RandomModel(
            hidden: 184, layers: 1, heads: 6, kvHeads: 2, headDim: 32, intermediate: 1100, vocabulary: 70, stored: type,
            maximumPositions: 4096, seed: 9)
    }

    private static func withFolder<Result>(_ type: TensorType, _ body: (String) throws -> Result) throws -> Result {
        let folder = temporaryPath("random")
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try model(type).write(to: folder, kernels: Kernels.selected())
        return try body(folder)
    }

    /// Largest error of the logits, as a share of their range.
    private static func error(folder: String, expected: [[Double]], prompt: [UInt32], kernels: Kernels, world: Int) throws -> Double {
        var ring = ModelRing(folder: folder, world: world, threads: 2)
        ring.kernels = kernels
        let outcome = try ring.run(prompt, probes: Array(prompt.indices), tokensMax: 1)
        #expect(outcome.errors.isEmpty, "\(outcome.errors)")
        #expect(outcome.logits.count == prompt.count)
        let all = expected.flatMap { $0 }
        let range = (all.max() ?? 0) - (all.min() ?? 0)
        var worst = 0.0
        for (position, logits) in outcome.logits {
            for (index, logit) in logits.enumerated() {
                let error = abs(Double(logit) - expected[position][index])
                worst = error.isNaN ? .infinity : max(worst, error)
            }
        }
        return worst / range
    }

    private static let prompt = (0..<97).map { UInt32($0 * 31 % 70) }

    @Test("one layer of a bf16 model: exact activations keep the bar of f32, rounded ones do not", arguments: [1, 2])
    func storedAsBF16(world: Int) throws {
        try Self.withFolder(.bf16) { folder in
            let expected = try LayerOracle(folder: folder).logits(Self.prompt)
            for set in InstructionSet.supported {
                var kernels = try Kernels(set)
                func error() throws -> Double {
                    try Self.error(folder: folder, expected: expected, prompt: Self.prompt, kernels: kernels, world: world)
                }
                let exact = try error()
                #expect(exact <= 5e-6, "\(set), \(world) ranks: \(exact)")
                guard kernels.packsWeights else { continue }
                kernels.activations = .rounded
                let rounded = try error()
                #expect(rounded <= 5e-3 && rounded > 10 * exact, "rounded, \(world) ranks: \(rounded), exact \(exact)")
            }
        }
    }

    @Test("one layer of an f32 model stays in f32", arguments: InstructionSet.supported)
    func storedAsF32(set: InstructionSet) throws {
        try Self.withFolder(.f32) { folder in
            let expected = try LayerOracle(folder: folder).logits(Self.prompt)
            var kernels = try Kernels(set)
            kernels.activations = .rounded
            let error = try Self.error(folder: folder, expected: expected, prompt: Self.prompt, kernels: kernels, world: 2)
            #expect(error <= 5e-6, "\(set): \(error)")
        }
    }

    @Test("the benchmark of a prefill counts what it ran", arguments: [1, 2])
    func benchmark(workers: Int) throws {
        let kernels = try Kernels.selected()
        try Self.withFolder(.bf16) { folder in
            let weights = try ModelWeights(folder: folder, withHead: false, kernels: kernels)
            let benchmark = PrefillBenchmark(tokens: 300, workers: workers, threads: 2, element: .bf16, repeats: 2)
            let runs = try benchmark.run(weights, kernels: kernels)
            #expect(runs.count == 2)
            for run in runs {
                #expect(run.ranks.count == workers)
                // 2 operations a weight and token; 4 x 32 a visible pair of each of 6 heads.
                let linear = run.ranks.reduce(0) { $0 + $1.linearFlops }
                let attention = run.ranks.reduce(0) { $0 + $1.attentionFlops }
                #expect(linear == 2 * 300 * Double(184 * (192 + 64 + 64 + 192) + 3 * 184 * 1100))
                #expect(attention == 4 * 32 * 6 * 300 * 301 / 2)
                #expect(run.peakBF16 > 0 && run.peakVector > 0 && run.bf16Fraction > 0 && run.vectorFraction > 0)
                for rank in run.ranks {
                    #expect(rank.seconds > 0 && rank.attentionSeconds > 0 && rank.exposedSeconds >= 0)
                    for part in LayerPart.allCases { #expect(rank.parts[part] > 0, "\(part)") }
                    #expect(rank.parts.total + 2 * rank.attentionSeconds <= 2 * rank.seconds * 1.0001)
                }
            }
            #expect(try benchmark.byteCount(Self.model(.bf16).config, kernels: kernels) > 0)
        }
    }

    @Test("a benchmark that cannot be is refused")
    func refused() throws {
        let good = PrefillBenchmark(tokens: 64, workers: 2, threads: 1, element: .f32)
        let kernels = try Kernels.selected()
        for edit in [{ $0.tokens = 0 }, { $0.workers = 0 }, { $0.threads = 0 }, { $0.repeats = 0 }] as [(inout PrefillBenchmark) -> Void] {
            var bad = good
            edit(&bad)
            #expect(throws: ModelError.self) { try bad.byteCount(Self.model(.f32).config, kernels: kernels) }
        }
    }
}
