// A model on a ring of threads inside the test: prefill, logits of every row, then greedy decoding.
import RingCore
import RingEngine
import RingFormats
import RingKernels
import RingModels
import RingTransport
import Synchronization

struct ModelRing {
    var folder: String
    var world: Int
    var element = ElementType.f32
    var threads = 1
    /// Those of the environment where there are none.
    var kernels: Kernels?
    var fault: RingFault?
    /// By rank, what each owns and how far it is; where it is empty, zigzag shards from the beginning.
    var shares: [[Share]] = []
    /// By rank, what each kept of an earlier ring.
    var contexts: [KeptContext?] = []
    /// What happens to a message.
    var cut: TransportFault?

    struct Outcome: Sendable {
        /// What each rank whose prefill or answer broke off still holds.
        var kept: [Int: KeptContext] = [:]
        /// By position, only those asked for.
        var logits: [Int: [Float]] = [:]
        var tokens: [UInt32] = []
        var errors: [Int: String] = [:]
    }

    /// Runs `prompt` and generates `tokensMax` tokens; keeps the logits at `probes`.
    func run(_ prompt: [UInt32], probes: [Int] = [], tokensMax: Int, stops: [UInt32] = []) throws -> Outcome {
        let outcome = Box(Outcome())
        let plan =
            try shares.isEmpty
            ? ShardPlan(.zigzag, tokens: prompt.count, over: WorldSize(world)) : ShardPlan(shares: shares, tokens: prompt.count)
        let (folder, element, threads, fault, shares, contexts) = (folder, element, threads, fault, shares, contexts)
        let kernels = try kernels ?? Kernels.fromEnvironment()
        try InProcessRanks.run(plan.world, faults: cut.map { [$0] } ?? []) { rank, wire in
            do {
                var wire = wire
                let weights = try ModelWeights(folder: folder, withHead: true, kernels: kernels)
                let shape = try ModelRank<InProcessRanks.Wire>.shape(
                    weights.config, plan: plan, element: element, decodeTokensMax: tokensMax)
                let memory = try EngineMemory(shape, for: &wire, threads: threads)
                let pool = try ComputePool.make(threads: threads)
                defer { pool.shutdown() }
                var engine = RingEngine(memory, wire: wire, pool: pool, kernels: kernels)
                engine.fault = fault
                let buffers = try ModelBuffers(weights.config, tokens: plan.tokens(of: rank), threads: threads, kernels: kernels)
                var model = ModelRank(weights, engine: engine, buffers: buffers, kernels: kernels)
                if !contexts.isEmpty, let context = contexts[rank.index], !model.adopt(context, shares: shares[rank.index]) {
                    throw PlanError.shares("rank \(rank.index) does not take up what it kept")
                }
                do {
                    try model.prefill(
                        plan.chunks(of: rank).map { prompt[$0.range] }, firstLayer: shares.flatMap { $0 }.map(\.layers).min() ?? 0)
                    for run in model.engine.shard.runs {
                        for position in probes where run.chunk.range.contains(position) {
                            let logits = try model.logits(row: run.firstRow + position - run.chunk.start)
                            outcome.update { $0.logits[position] = logits }
                        }
                    }
                    if rank.index == 0 {
                        let tokens = try model.generate(
                            tokensMax: tokensMax, stops: stops, ignoreStops: stops.isEmpty, sampling: SamplingOptions()
                        ) { _, _ in }
                        outcome.update { $0.tokens = tokens }
                    } else {
                        try model.follow()
                    }
                    try model.engine.barrier()
                    model.engine.close()
                } catch {
                    model.engine.close()
                    let left = model.keep()
                    outcome.update { $0.kept[rank.index] = left }
                    throw error
                }
            } catch {
                outcome.update { $0.errors[rank.index] = "\(error)" }
            }
        }
        return outcome.value
    }
}

final class Box<Value: Sendable>: Sendable {
    private let stored: Mutex<Value>
    init(_ value: Value) { stored = Mutex(value) }
    var value: Value { stored.withLock { $0 } }
    func update(_ body: (inout Value) -> Void) { stored.withLock { body(&$0) } }
}
