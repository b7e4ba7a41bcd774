// What an engine is made of and the memory it needs, mapped and registered before the engine begins: the sizes are known
// from the plan alone, so a job that does not fit can be refused before any work.
import RingCore
import RingKernels
import RingTransport

/// What an engine is made of.
public struct EngineShape: Sendable {
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
        let blocks = KVLayout.blocks(forTokens: decodeTokensMax)
        return (blocks + plan.world.count - 1) / plan.world.count
    }

    /// Bytes that `rank`'s engine maps: KV of all layers, receive buffers of one layer.
    public func byteCount(of rank: Rank) -> Int {
        let own = KVStore.byteCount(layout: layout, layers: layers, shard: ShardBlocks(of: rank, under: plan), growthBlocks: growthBlocks)
        return own + plan.tour.buffersMax * largestShardBytes
    }

    var largestShardBytes: Int {
        (plan.world.ranks.map { ShardBlocks(of: $0, under: plan).blockCount }.max() ?? 0) * layout.blockByteCount
    }
}

/// Memory of one rank: its KV, its receive buffers, its messages and its threads' scratch.
public struct EngineMemory: Sendable {
    let shape: EngineShape
    let shards: [ShardBlocks]
    let store: KVStore
    let receiveBuffers: [Arena]
    let receiveRegions: [RegionKey]
    let scratch: [AttentionScratch]
    let tileStates: [AttentionState]
    let decode: DecodeBuffers

    /// Maps memory for `shape` and registers it with `wire`, for a pool of `threads` threads.
    public init<Wire: Transport & ~Copyable>(_ shape: EngineShape, for wire: inout Wire, threads: Int) throws(EngineError) {
        precondition(wire.world == shape.plan.world, "the plan is for \(shape.plan.world) ranks, the wire for \(wire.world)")
        self.shape = shape
        shards = shape.plan.world.ranks.map { ShardBlocks(of: $0, under: shape.plan) }
        store = try KVStore(
            layout: shape.layout, layers: shape.layers, shard: shards[wire.rank.index], growthBlocks: shape.growthBlocks,
            registeredWith: &wire)
        decode = try DecodeBuffers(heads: shape.heads, layout: shape.layout, world: shape.plan.world, registeredWith: &wire)
        var (buffers, regions): ([Arena], [RegionKey]) = ([], [])
        var (scratch, tileStates): ([AttentionScratch], [AttentionState]) = ([], [])
        for _ in 0..<shape.plan.tour.buffersMax { buffers.append(try Arena(byteCount: max(shape.largestShardBytes, 64), for: wire)) }
        do throws(KernelError) {
            for _ in 0..<threads { scratch.append(try AttentionScratch()) }
            for _ in 0..<threads where shape.plan.grain != nil {
                tileStates.append(try .allocate(rows: EngineLimits.taskRows, valueDim: shape.layout.valueDim))
            }
        } catch { throw .memory(error) }
        do throws(TransportError) {
            for buffer in buffers { regions.append(try buffer.register(with: &wire)) }
        } catch { throw .transport(error) }
        (receiveBuffers, receiveRegions, self.scratch, self.tileStates) = (buffers, regions, scratch, tileStates)
    }
}
