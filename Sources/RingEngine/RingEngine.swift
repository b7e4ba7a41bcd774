// Where attention is computed: one rank's memory, threads and place in the ring. What is computed (layers, weights) is
// RingModels' business; this type sees queries, KV blocks and ranks. It lives on the engine thread and never suspends.
import RingCore
import RingKernels
import RingTransport

/// One rank of a ring: KV blocks, receive buffers, compute threads and the transport between ranks.
public struct RingEngine<Wire: Transport & ~Copyable>: ~Copyable {
    /// The way to the other ranks. It stands first because members end in order: its threads must have let go of the KV and
    /// the buffers before those are unmapped, also when an error skips `close`.
    public var wire: Wire
    /// Who owns which tokens of the prompt.
    public let plan: ShardPlan
    /// Shape of a KV block.
    public let layout: KVLayout
    /// Query heads.
    public let heads: Int
    /// Applied to every score; 1/sqrt(headDim) as a rule.
    public let scale: Float
    /// Compute threads; the caller of every method here is thread 0.
    public let pool: ComputePool
    /// This rank's KV.
    public let store: KVStore
    /// Asked between tasks; true makes the pass end with `cancelled`.
    public let isCancelled: @Sendable () -> Bool
    /// Least seconds of a wait without any progress; tests make it short.
    package var stallSeconds = EngineLimits.stallSeconds
    /// Most rows of a round of queries; tests make it small. The same on every rank.
    package var roundRowsMax = Int.max
    /// Where what is done is noted; `nil` notes nothing.
    public var trace: TraceRecorder?
    /// For tests that break the ring on purpose.
    package var fault: RingFault?

    let shards: [ShardBlocks]
    let receiveBuffers: [Arena]
    let receiveRegions: [RegionKey]
    let kernels: Kernels
    let scratch: [AttentionScratch]
    /// By thread, the state of one tile, where the plan has a grain; else empty.
    let tileStates: [AttentionState]
    var decode: DecodeBuffers
    /// The route of the last pass.
    var planned: PlannedRoute?
    /// Memory for passing queries, made when that is first done.
    var passing: QueryBuffers?
    /// Queries that are being sent as they lie: they must outlive the wire also when an error ends the pass.
    var sending: FloatRows?
    /// Numbers that are being compared with those of the others, which must outlive the wire for the same reason.
    var comparing: MessageBuffer?
    private let shape: EngineShape
    private let begun = MonotonicClock.now()

    /// A rank on memory that `EngineMemory` has mapped and registered with `wire`, which must be connected already.
    public init(
        _ memory: EngineMemory, wire: consuming Wire, pool: ComputePool, kernels: Kernels,
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) {
        shape = memory.shape
        plan = memory.shape.plan
        layout = memory.shape.layout
        heads = memory.shape.heads
        scale = memory.shape.scale
        self.pool = pool
        self.kernels = kernels
        self.isCancelled = isCancelled
        shards = memory.shards
        store = memory.store
        receiveBuffers = memory.receiveBuffers
        receiveRegions = memory.receiveRegions
        scratch = memory.scratch
        tileStates = memory.tileStates
        decode = memory.decode
        self.wire = wire
    }

    /// This rank.
    public var rank: Rank { wire.rank }
    /// This rank's tokens and where their blocks are.
    public var shard: ShardBlocks { store.shard }

    /// Seconds for which a wait may see no progress: as long as this rank has worked itself, since a peer with the same work
    /// may be half as fast, and never less than the limit. Peers that die or fall silent are noticed by the transport.
    var patienceSeconds: Double { max(stallSeconds, MonotonicClock.now().seconds(since: begun)) }

    /// This rank with the same connections and room for keys and values of type `element`, none of which is there yet. For before the
    /// first pass: no message may be under way.
    public consuming func kept(as element: ElementType) throws(EngineError) -> RingEngine {
        var shape = shape
        do throws(KernelError) {
            shape.layout = try KVLayout(kvHeads: layout.kvHeads, headDim: layout.headDim, valueDim: layout.valueDim, element: element)
        } catch { throw .memory(error) }
        let (regions, pool, kernels, isCancelled) = ([store.region] + receiveRegions + decode.regions, pool, kernels, isCancelled)
        let (threads, stallSeconds, roundRowsMax, trace, fault) = (scratch.count, stallSeconds, roundRowsMax, trace, fault)
        var wire = wire
        do throws(TransportError) { for region in regions { try wire.unregister(region) } } catch { throw .transport(error) }
        let memory = try EngineMemory(shape, for: &wire, threads: threads)
        var engine = RingEngine(memory, wire: wire, pool: pool, kernels: kernels, isCancelled: isCancelled)
        (engine.stallSeconds, engine.roundRowsMax, engine.trace, engine.fault) = (stallSeconds, roundRowsMax, trace, fault)
        return engine
    }

    /// Ends the connections. Peers that still wait for this rank see it as lost.
    public mutating func close() { wire.close() }
}
