// `ringmaster bench prefill`: the prefill of a random checkpoint on a ring of threads inside this process, by the same code as a
// worker's, against the roofline measured before and after each run.
import RingCore
import RingEngine
import RingFormats
import RingKernels
import Synchronization

/// Measures whole prefills.
public struct PrefillBenchmark: Sendable {
    /// Tokens of the prompt.
    public var tokens: Int
    /// Ranks, and compute threads of each.
    public var workers: Int, threads: Int
    /// Storage of keys and values.
    public var element: ElementType
    /// Times to measure; the median counts.
    public var repeats: Int

    /// What one rank did.
    public struct RankResult: Hashable, Sendable {
        /// From the first embedding to the last layer.
        public let seconds: Double
        /// Seconds beside attention by part, over the rank's threads.
        public let parts: LayerPartSeconds
        /// Seconds under attention and seconds of waiting for keys and values, of the rank's engine thread.
        public let attentionSeconds: Double, exposedSeconds: Double
        /// Operations of linear layers and of attention.
        public let linearFlops: Double, attentionFlops: Double
    }

    /// One prefill.
    public struct Run: Sendable {
        /// By rank.
        public let ranks: [RankResult]
        /// What the same threads reach in registers, the mean of before and after.
        public let peakBF16: Double, peakVector: Double

        /// Of the slowest rank.
        public var seconds: Double { ranks.map(\.seconds).max() ?? 0 }
        /// Of all ranks.
        public var flops: Double { ranks.reduce(0) { $0 + $1.linearFlops + $1.attentionFlops } }
        /// flops / seconds over the vector peak.
        public var vectorFraction: Double { flops / seconds / peakVector }
        /// flops / seconds over the peak of the kernels' bf16 multiplication.
        public var bf16Fraction: Double { flops / seconds / peakBF16 }
    }

    /// A benchmark of so many tokens.
    public init(tokens: Int, workers: Int, threads: Int, element: ElementType, repeats: Int = 3) {
        (self.tokens, self.workers, self.threads, self.element, self.repeats) = (tokens, workers, threads, element, repeats)
    }

    /// Bytes that a run over weights of this shape needs, weights included: they are there once for all ranks.
    public func byteCount(_ config: ModelConfig, kernels: Kernels) throws(ModelError) -> Int {
        let plan = try plan()
        let shape = try shape(config, plan)
        return plan.world.ranks.reduce(ModelWeights.byteCount(config, withHead: false, kernels: kernels)) { sum, rank in
            sum + ModelRank<InProcessRanks.Wire>.byteCount(config, shape: shape, rank: rank, threads: threads)
        }
    }

    /// All runs, that whose share of the vector peak is the median in the middle.
    public func run(_ weights: ModelWeights, kernels: Kernels, progress: (Int) -> Void = { _ in }) throws(ModelError) -> [Run] {
        let plan = try plan()
        let shape = try shape(weights.config, plan)
        var runs: [Run] = []
        for turn in 0..<repeats {
            progress(turn)
            let before = try peaks(kernels)
            let ranks = try prefill(weights, shape, kernels: kernels)
            let after = try peaks(kernels)
            runs.append(
                Run(ranks: ranks, peakBF16: (before.bf16 + after.bf16) / 2, peakVector: (before.vector + after.vector) / 2))
        }
        return runs.sorted { $0.vectorFraction < $1.vectorFraction }
    }

    private func peaks(_ kernels: Kernels) throws(ModelError) -> PeakRates {
        do throws(KernelError) {
            return try PeakRates.measure(kernels, threads: workers * threads)
        } catch { throw .kernel(error) }
    }

    private func plan() throws(ModelError) -> ShardPlan {
        for (what, value) in [("tokens", tokens), ("workers", workers), ("threads", threads), ("repeats", repeats)] where value < 1 {
            throw .kernel(.invalidCount(what: what, value: value))
        }
        guard workers <= Limits.ranks else { throw .kernel(.invalidCount(what: "workers", value: workers)) }
        do throws(PlanError) {
            return try ShardPlan(.zigzag, tokens: tokens, over: WorldSize(workers))
        } catch { throw .unsupported("\(error)") }
    }

    private func shape(_ config: ModelConfig, _ plan: ShardPlan) throws(ModelError) -> EngineShape {
        do throws(KernelError) {
            return try ModelRank<InProcessRanks.Wire>.shape(config, plan: plan, element: element, decodeTokensMax: 0)
        } catch { throw .kernel(error) }
    }

    private func prefill(_ weights: ModelWeights, _ shape: EngineShape, kernels: Kernels) throws(ModelError) -> [RankResult] {
        let results = Mutexed([Int: RankResult]())
        let failure = FirstError()
        let threads = threads
        do {
            try InProcessRanks.run(shape.plan.world) { rank, wire in
                do throws(ModelError) {
                    let result = try Self.run(rank, wire, weights, shape, threads: threads, kernels: kernels)
                    results.update { $0[rank.index] = result }
                } catch { failure.note(rank.index, error) }
            }
        } catch { throw .engine(.transport(error)) }
        if let error = failure.first { throw error }
        let found = results.value
        return shape.plan.world.ranks.compactMap { found[$0.index] }
    }

    private static func run(
        _ rank: Rank, _ wire: consuming InProcessRanks.Wire, _ weights: ModelWeights, _ shape: EngineShape, threads: Int, kernels: Kernels
    ) throws(ModelError) -> RankResult {
        let config = weights.config
        let (memory, pool, buffers): (EngineMemory, ComputePool, ModelBuffers)
        do throws(KernelError) {
            buffers = try ModelBuffers(config, tokens: shape.plan.tokens(of: rank), threads: threads, kernels: kernels)
        } catch { throw .kernel(error) }
        do throws(EngineError) {
            memory = try EngineMemory(shape, for: &wire, threads: threads)
            pool = try ComputePool.make(threads: threads)
        } catch { throw .engine(error) }
        defer { pool.shutdown() }
        let engine = RingEngine(memory, wire: wire, pool: pool, kernels: kernels)
        var model = ModelRank(weights, engine: engine, buffers: buffers, kernels: kernels)
        // Ids that repeat only after the whole vocabulary: which they are makes no difference to the work.
        let prompt = shape.plan.chunks(of: rank).map { chunk in chunk.range.map { UInt32($0 * 7919 % config.vocabularySize) }[...] }
        do throws(EngineError) { try model.engine.barrier() } catch { throw .engine(error) }
        let start = EngineClock.now()
        try model.prefill(prompt)
        let seconds = EngineClock.now().seconds(since: start)
        let linear = model.linearFlopsPerToken * Double(model.engine.shard.tokenCount)
        let steps = model.ringSteps.steps
        let result = RankResult(
            seconds: seconds, parts: model.partSeconds, attentionSeconds: steps.reduce(0) { $0 + $1.computeSeconds },
            exposedSeconds: model.figures.exposedSeconds, linearFlops: linear, attentionFlops: model.figures.flops - linear)
        do throws(EngineError) { try model.engine.barrier() } catch { throw .engine(error) }
        model.engine.close()
        return result
    }
}

/// A value that several threads change.
private final class Mutexed<Value: Sendable>: Sendable {
    private let stored: Mutex<Value>
    init(_ value: Value) { stored = Mutex(value) }
    var value: Value { stored.withLock { $0 } }
    func update(_ body: (inout Value) -> Void) { stored.withLock { body(&$0) } }
}
