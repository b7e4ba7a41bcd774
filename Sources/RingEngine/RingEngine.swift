// Where attention is computed: one rank's memory, threads and place in the ring. What is computed (layers, weights) is
// RingModels' business; this type sees queries, KV blocks and ranks. It lives on the engine thread and never suspends.
import RingCore
import RingKernels
import RingTransport

/// One rank of a ring: KV blocks, receive buffers, compute threads and the transport between ranks.
public struct RingEngine<Wire: Transport & ~Copyable>: ~Copyable {
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
    /// The way to the other ranks.
    public var wire: Wire
    /// Asked between tasks; true makes the pass end with `cancelled`.
    public let isCancelled: @Sendable () -> Bool
    /// For tests that break the ring on purpose.
    package var fault: RingFault?

    let shards: [ShardBlocks]
    let receiveBuffers: [AnonymousMemory]
    let receiveRegions: [RegionKey]
    let kernels: Kernels
    let scratch: [AttentionScratch]
    var decode: DecodeBuffers

    /// What an engine is made of.
    public struct Shape: Sendable {
        /// Who owns which tokens of the prompt.
        public var plan: ShardPlan
        /// Shape of a KV block.
        public var layout: KVLayout
        /// Query heads, a multiple of the KV heads.
        public var heads: Int
        /// Applied to every score; 1/sqrt(headDim) unless said otherwise.
        public var scale: Float
        /// Layers that keep KV.
        public var layers: Int
        /// Most tokens that decoding may add.
        public var decodeTokensMax: Int

        /// A shape of its parts.
        public init(plan: ShardPlan, layout: KVLayout, heads: Int, layers: Int, decodeTokensMax: Int, scale: Double? = nil) {
            precondition(heads % layout.kvHeads == 0, "\(heads) query heads do not share \(layout.kvHeads) KV heads evenly")
            self.plan = plan
            self.layout = layout
            self.heads = heads
            self.layers = layers
            self.scale = Float(scale ?? 1 / Double(layout.headDim).squareRoot())
            self.decodeTokensMax = decodeTokensMax
        }

        /// Blocks that each rank needs for decoded tokens: blocks go round the ranks, so that growth stays even.
        public var growthBlocks: Int {
            let blocks = (decodeTokensMax + KVLayout.blockTokens - 1) / KVLayout.blockTokens
            return (blocks + plan.world.count - 1) / plan.world.count
        }

        /// Bytes that `rank`'s engine maps: KV of all layers, receive buffers of one layer.
        public func byteCount(of rank: Rank) -> Int {
            let own = KVStore.byteCount(layout: layout, layers: layers, shard: ShardBlocks(of: rank, under: plan), growthBlocks: growthBlocks)
            return own + min(plan.world.count - 1, 2) * largestShardBytes
        }

        var largestShardBytes: Int {
            (plan.world.ranks.map { ShardBlocks(of: $0, under: plan).blockCount }.max() ?? 0) * layout.blockByteCount
        }
    }

    /// Maps and registers this rank's memory. `wire` must be connected already.
    public init(
        _ shape: Shape, wire: consuming Wire, pool: ComputePool, kernels: Kernels,
        isCancelled: @escaping @Sendable () -> Bool = { false }
    ) throws(EngineError) {
        precondition(wire.world == shape.plan.world, "the plan is for \(shape.plan.world) ranks, the wire for \(wire.world)")
        plan = shape.plan
        layout = shape.layout
        heads = shape.heads
        scale = shape.scale
        self.pool = pool
        self.kernels = kernels
        self.isCancelled = isCancelled
        shards = shape.plan.world.ranks.map { ShardBlocks(of: $0, under: shape.plan) }
        scratch = (0..<pool.threads).map { _ in AttentionScratch() }
        var wire = wire
        do throws(TransportError) {
            store = try KVStore(
                layout: shape.layout, layers: shape.layers, shard: shards[wire.rank.index], growthBlocks: shape.growthBlocks,
                registeredWith: &wire)
            var buffers: [AnonymousMemory] = []
            var regions: [RegionKey] = []
            for _ in 0..<min(shape.plan.world.count - 1, 2) {
                let buffer = try AnonymousMemory(byteCount: max(shape.largestShardBytes, 64))
                regions.append(try unsafe wire.register(buffer.bytes))
                buffers.append(buffer)
            }
            receiveBuffers = buffers
            receiveRegions = regions
            decode = try DecodeBuffers(heads: shape.heads, layout: shape.layout, world: shape.plan.world, registeredWith: &wire)
        } catch {
            throw .transport(error)
        }
        self.wire = wire
    }

    /// This rank.
    public var rank: Rank { wire.rank }
    /// This rank's tokens and where their blocks are.
    public var shard: ShardBlocks { store.shard }

    /// Ends the connections. Peers that still wait for this rank see it as lost.
    public mutating func close() { wire.close() }
}
