// The keys and values a rank keeps: for each layer the blocks of its shard of the prompt, then room for its part of
// what decoding adds. One registered region, so that the transport reads blocks where they lie.
import RingCore
import RingKernels
import RingTransport

/// A rank's KV blocks, `[layer][block]`, each block `layout.blockByteCount` bytes.
@safe
public struct KVStore: ~Copyable {
    /// Shape of a block.
    public let layout: KVLayout
    /// Number of layers.
    public let layers: Int
    /// The prompt's shard.
    public let shard: ShardBlocks
    /// Blocks for decoded tokens in each layer.
    public let growthBlocks: Int
    let memory: AnonymousMemory
    let region: RegionKey

    /// Bytes that a store of this shape takes.
    public static func byteCount(layout: KVLayout, layers: Int, shard: ShardBlocks, growthBlocks: Int) -> Int {
        layout.blockByteCount * (shard.blockCount + growthBlocks) * layers
    }

    /// Maps and registers the blocks; memory is given out by the system as it is touched.
    init<Wire: Transport & ~Copyable>(
        layout: KVLayout, layers: Int, shard: ShardBlocks, growthBlocks: Int, registeredWith wire: inout Wire
    ) throws(TransportError) {
        self.layout = layout
        self.layers = layers
        self.shard = shard
        self.growthBlocks = growthBlocks
        let bytes = Self.byteCount(layout: layout, layers: layers, shard: shard, growthBlocks: growthBlocks)
        memory = try AnonymousMemory(byteCount: max(bytes, layout.blockByteCount))
        region = try unsafe wire.register(memory.bytes)
    }

    private var layerByteCount: Int { layout.blockByteCount * (shard.blockCount + growthBlocks) }

    /// Where block `block` of `layer` starts in the region, in bytes.
    func offset(layer: Int, block: Int) -> Int {
        precondition(layer >= 0 && layer < layers && block >= 0 && block <= shard.blockCount + growthBlocks, "no such KV block")
        return layer * layerByteCount + block * layout.blockByteCount
    }

    /// The blocks of the prompt's shard in `layer`.
    public func prompt(layer: Int) -> KVBlocks { blocks(layer: layer, first: 0, count: shard.blockCount) }

    /// The blocks for decoded tokens in `layer`.
    public func growth(layer: Int) -> KVBlocks { blocks(layer: layer, first: shard.blockCount, count: growthBlocks) }

    private func blocks(layer: Int, first: Int, count: Int) -> KVBlocks {
        unsafe KVBlocks(
            layout: layout, bytes: memory.bytes.slice(at: offset(layer: layer, block: first), count: count * layout.blockByteCount))
    }
}
