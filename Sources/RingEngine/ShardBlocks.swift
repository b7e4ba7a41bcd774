// Where a shard's tokens lie in KV blocks. Every rank can work this out for every other rank from the plan alone, so the
// wire never has to say how many bytes a shard has.
import RingCore
import RingKernels

/// The blocks of one rank's shard of one layer: each chunk starts on a block edge, its last block may be partly filled.
public struct ShardBlocks: Hashable, Sendable {
    /// One chunk and where its blocks are.
    public struct Run: Hashable, Sendable {
        /// The tokens.
        public let chunk: Chunk
        /// Index of the chunk's first block in the shard.
        public let firstBlock: Int
        /// Number of blocks.
        public let blockCount: Int
        /// Index of the chunk's first token among the rank's own tokens.
        public let firstRow: Int
    }

    /// The chunks, in order of position.
    public let runs: [Run]
    /// Blocks of the whole shard.
    public let blockCount: Int
    /// Tokens of the whole shard.
    public let tokenCount: Int

    /// The blocks of `rank`'s shard under `plan`.
    public init(of rank: Rank, under plan: ShardPlan) {
        var runs: [Run] = []
        var (block, row) = (0, 0)
        for chunk in plan.chunks(of: rank) {
            let blocks = KVLayout.blocks(forTokens: chunk.length)
            runs.append(Run(chunk: chunk, firstBlock: block, blockCount: blocks, firstRow: row))
            block += blocks
            row += chunk.length
        }
        self.runs = runs
        blockCount = block
        tokenCount = row
    }
}
