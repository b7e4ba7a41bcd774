// Attention over given Q, K, V on a ring inside this process: the small, complete case that `verify` compares with one rank and
// with the oracle.
import RingCore
import RingEngine
import RingFormats
import RingKernels
import Synchronization

/// The result of an attention problem, every row of it.
public struct AttentionResult: Sendable {
    /// [tokens, heads * valueDim], normalised.
    public let out: FloatRows
    /// [tokens, heads], natural logarithm.
    public let lse: FloatRows
    /// What each rank's pass has cost.
    public internal(set) var reports: [PassReport] = []
    /// Where keys and values were to be int8: the most by which that can change an element of `out`.
    public internal(set) var errorBound: Double?
    /// How keys and values were kept in the end.
    public internal(set) var element: ElementType

    init(_ shape: AttentionSource.Shape, element: ElementType) throws(KernelError) {
        self.element = element
        out = try .allocate(rows: shape.tokens, columns: shape.heads * shape.valueDim)
        lse = try .allocate(rows: shape.tokens, columns: shape.heads)
    }
}

/// An exact ring on threads of this process.
public enum InProcessRing {
    /// How a ring is run.
    public struct Options: Sendable {
        /// Ranks, which keys a query sees, storage of keys and values on the ring.
        public var world: WorldSize, mask: Mask, element: ElementType
        /// How tokens are dealt; zigzag under a causal mask as a rule.
        public var layout: ShardPlan.Layout
        /// Who owns which tokens, where no layout says it.
        public var plan: ShardPlan?
        /// Factor on q.k; `nil` is 1 / sqrt(headDim).
        public var scale: Double?
        /// Compute threads a rank.
        public var threads = 1
        /// What goes round.
        public var schedule = Schedule.passKV
        /// Positions of the only queries that are computed, ascending; the other rows of the result stay zero. `nil` is all.
        public var positions: [Int]?
        /// Whether the result has the same bits on however many ranks and threads; a `plan` must then have that grain.
        public var deterministic = false
        /// What int8 keys and values may change; where they could change more, they are kept as bf16. `nil` is anything.
        public var errorTolerance: Double?
        package var fault: RingFault?
        package var roundRowsMax = Int.max

        /// Options of their parts.
        public init(world: WorldSize, mask: Mask, element: ElementType, layout: ShardPlan.Layout? = nil, scale: Double? = nil) {
            self.world = world
            self.mask = mask
            self.element = element
            self.layout = layout ?? (mask.isPlainCausal ? .zigzag : .contiguous)
            self.scale = scale
        }
    }

    /// Computes the whole problem. Throws the error of the lowest rank that fails.
    public static func attend(_ source: AttentionSource, _ options: Options, kernels: Kernels) throws(ModelError) -> AttentionResult {
        let plan: ShardPlan
        do throws(PlanError) {
            if let given = options.plan {
                plan = given
            } else {
                let tokens = source.shape.tokens
                let grain = options.deterministic ? ShardPlan.grain(ofTokens: tokens) : nil
                plan = try ShardPlan(options.layout, tokens: tokens, over: options.world, grain: grain)
            }
        } catch { throw .unsupported("\(error)") }
        var result: AttentionResult
        do throws(KernelError) { result = try AttentionResult(source.shape, element: options.element) } catch { throw .kernel(error) }
        let failure = FirstError()
        let outcomes = Mutex([Outcome?](repeating: nil, count: options.world.count))
        do {
            let shared = result
            try InProcessRanks.run(options.world) { rank, wire in
                do throws(ModelError) {
                    let outcome = try run(rank, wire, source, options, plan: plan, kernels: kernels, into: shared)
                    outcomes.withLock { $0[rank.index] = outcome }
                } catch { failure.note(rank.index, error) }
            }
        } catch { throw .engine(.transport(error)) }
        if let error = failure.first { throw error }
        for outcome in outcomes.withLock({ $0 }) {
            guard let outcome else { preconditionFailure("a rank has neither failed nor finished") }
            result.reports.append(outcome.report)
            (result.errorBound, result.element) = (outcome.errorBound, outcome.element)
        }
        return result
    }

    /// What one rank has to say; the last two are the same on all.
    private struct Outcome {
        let report: PassReport, errorBound: Double?, element: ElementType
    }

    private static func run(
        _ rank: Rank, _ wire: consuming InProcessRanks.Wire, _ source: AttentionSource, _ options: Options, plan: ShardPlan,
        kernels: Kernels, into result: AttentionResult
    ) throws(ModelError) -> Outcome {
        let shape: EngineShape
        let buffers: AttentionBuffers
        do throws(KernelError) {
            buffers = try AttentionBuffers(source.shape, of: rank, under: plan, positions: options.positions)
            shape = try AttentionRank<InProcessRanks.Wire>.shape(source.shape, plan: plan, element: options.element, scale: options.scale)
        } catch { throw .kernel(error) }
        let pool: ComputePool
        let memory: EngineMemory
        do throws(EngineError) {
            pool = try ComputePool.make(threads: options.threads)
            memory = try EngineMemory(shape, for: &wire, threads: options.threads)
        } catch { throw .engine(error) }
        defer { pool.shutdown() }
        var engine = RingEngine(memory, wire: wire, pool: pool, kernels: kernels)
        engine.fault = options.fault
        engine.roundRowsMax = options.roundRowsMax
        var attention = AttentionRank(source, mask: options.mask, engine: engine, buffers: buffers)
        try attention.load()
        let bound = try attention.errorBound()
        if let bound, let tolerance = options.errorTolerance, !(bound <= tolerance) {
            attention = try attention.kept(as: .bf16)
            try attention.load()
        }
        let report = try attention.attend(by: options.schedule, at: options.positions)
        try attention.collect { (position, out, lse) in
            result.out.rows(position..<position + out.rows).copy(from: out)
            result.lse.rows(position..<position + out.rows).copy(from: lse)
        }
        do throws(EngineError) { try attention.engine.barrier() } catch { throw .engine(error) }
        let element = attention.engine.layout.element
        attention.engine.close()
        return Outcome(report: report, errorBound: bound, element: element)
    }
}
