// The keys and values a rank keeps: for each layer the blocks of its shard of the prompt, then room for its part of
// what decoding adds. One registered region, so that the transport reads blocks where they lie.
import RingCore
import RingKernels
import RingTransport

/// A rank's KV blocks, `[layer][block]`, each block `layout.blockByteCount` bytes.
public struct KVStore: Sendable {
    /// Shape of a block.
    public let layout: KVLayout
    /// Number of layers.
    public let layers: Int
    /// The prompt's shard.
    public let shard: ShardBlocks
    /// Blocks for decoded tokens in each layer.
    public let growthBlocks: Int
    private let arena: Arena
    var memory: ByteRegion { arena.bytes }
    let region: RegionKey

    /// Bytes that a store of this shape takes.
    public static func byteCount(layout: KVLayout, layers: Int, shard: ShardBlocks, growthBlocks: Int) -> Int {
        layout.blockByteCount * (shard.blockCount + growthBlocks) * layers
    }

    /// Maps and registers the blocks; memory is given out by the system as it is touched.
    init<Wire: Transport & ~Copyable>(
        layout: KVLayout, layers: Int, shard: ShardBlocks, growthBlocks: Int, registeredWith wire: inout Wire
    ) throws(EngineError) {
        self.layout = layout
        self.layers = layers
        self.shard = shard
        self.growthBlocks = growthBlocks
        let bytes = Self.byteCount(layout: layout, layers: layers, shard: shard, growthBlocks: growthBlocks)
        // A rank without tokens still registers a block's worth, so that every path is the same.
        arena = try Arena(byteCount: max(bytes, layout.blockByteCount), for: wire)
        do throws(TransportError) { region = try arena.register(with: &wire) } catch { throw .transport(error) }
    }

    private var layerByteCount: Int { layout.blockByteCount * (shard.blockCount + growthBlocks) }

    /// Where the blocks of `layer` start in the region, in bytes.
    func offset(layer: Int) -> Int {
        precondition(layer >= 0 && layer < layers, "layer \(layer) of \(layers)")
        return layer * layerByteCount
    }

    /// The blocks of the prompt's shard in `layer`, all chunks one after another. Positions are per chunk: see `ShardBlocks`.
    public func prompt(layer: Int) -> KVBlocks {
        let start = offset(layer: layer)
        arena.settle(start..<start + shard.blockCount * layout.blockByteCount)
        return blocks(layer: layer, first: 0, count: shard.blockCount)
    }

    /// The blocks for decoded tokens in `layer`.
    public func growth(layer: Int) -> KVBlocks { blocks(layer: layer, first: shard.blockCount, count: growthBlocks) }

    /// Copies a chunk's blocks of a layer out of another store.
    public func copy(layer: Int, from other: KVStore, _ old: ShardBlocks.Run, to new: ShardBlocks.Run) {
        precondition(old.blockCount == new.blockCount && other.layout == layout, "blocks of another shape")
        let bytes = old.blockCount * layout.blockByteCount
        let start = other.offset(layer: layer) + old.firstBlock * layout.blockByteCount
        memory.copy(from: other.memory[start..<start + bytes], at: offset(layer: layer) + new.firstBlock * layout.blockByteCount)
    }

    /// Gives a layer's memory back to the system: its blocks are zero afterwards.
    public func discard(layer: Int) {
        let start = offset(layer: layer)
        memory[start..<start + layerByteCount].discard()
    }

    private func blocks(layer: Int, first: Int, count: Int) -> KVBlocks {
        let start = offset(layer: layer) + first * layout.blockByteCount
        return KVBlocks(layout: layout, region: memory[start..<start + count * layout.blockByteCount], tokens: 0, firstPosition: 0)
    }
}

extension KVBlocks {
    /// Blocks `firstBlock...` of this view as a run of `tokens` tokens that starts at `position`.
    func run(firstBlock: Int, tokens: Int, at position: Int) -> KVBlocks {
        let start = firstBlock * layout.blockByteCount
        return KVBlocks(
            layout: layout, region: region[start..<start + layout.byteCount(forTokens: tokens)], tokens: tokens, firstPosition: position)
    }

    /// Packs keys [tokens, kvHeads * headDim] and values [tokens, kvHeads * valueDim] from token `token` on; returns the first
    /// row that is not finite.
    public func pack(keys: FloatRows, values: FloatRows, at token: Int) -> Int? {
        var bad: Int?
        for head in 0..<layout.kvHeads {
            let key = packKeys(keys.columns(head * layout.headDim..<(head + 1) * layout.headDim), head: head, at: token)
            let value = packValues(values.columns(head * layout.valueDim..<(head + 1) * layout.valueDim), head: head, at: token)
            for row in [key, value] { if let row { bad = min(row, bad ?? row) } }
        }
        return bad
    }
}
