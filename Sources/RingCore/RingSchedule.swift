// Whose keys and values a rank holds at each step of a trip round the ring.

/// The steps of one rank's trip: step s attends to the shard of rank - s, which arrived from the previous rank.
public struct RingSchedule: RandomAccessCollection, Hashable, Sendable {
    /// One exchange and the attention under it.
    public struct Step: Hashable, Sendable {
        /// Counted from zero; step 0 is the rank's own shard.
        public let index: Int
        /// The rank whose keys and values are attended to.
        public let kvOwner: Rank
        /// Whether the shard is sent on to the next rank; the last one has been everywhere.
        public let forwards: Bool
    }

    /// The rank whose trip this is.
    public let rank: Rank
    /// Ranks in the ring.
    public let world: WorldSize

    /// The trip of `rank` in a ring of `world` ranks.
    public init(for rank: Rank, in world: WorldSize) {
        precondition(rank.index < world.count, "\(rank) is outside a world of \(world)")
        self.rank = rank
        self.world = world
    }

    /// The first step.
    public var startIndex: Int { 0 }
    /// One past the last step: as many steps as ranks.
    public var endIndex: Int { world.count }

    /// The step at `position`.
    public subscript(position: Int) -> Step {
        precondition(indices.contains(position), "step \(position) is outside a ring of \(world)")
        let owner = Rank((rank.index - position + world.count) % world.count)
        return Step(index: position, kvOwner: owner, forwards: position < world.count - 1)
    }
}
