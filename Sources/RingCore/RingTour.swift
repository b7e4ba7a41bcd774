// In which order ranks attend to each other's shards, and from whom they take them over.
//
// Ranks that are near each other (one machine, one rack) are a group: ranks 0 ..< n, n ..< 2n and so on. A rank first goes round the
// shards of its own group, then round those of the group before it, and so on. The first shard of another group comes from the rank
// in the same place of the group before, which has had it a whole round earlier; the others come from the neighbour in the group. So
// each shard enters each group once, over the slow links between groups, while a round inside the group goes on. One group of all
// is the plain ring. Docs/MATH.md, section 3, has the bytes and the proof that it ends.

/// The order of a world's ring steps.
public struct RingTour: Hashable, Sendable {
    /// Ranks in the ring.
    public let world: WorldSize
    /// Ranks of a group: a divisor of the world's, at least two unless the world is one rank. All of them, where it is one ring.
    public let groupSize: Int

    /// One ring of all ranks.
    public init(_ world: WorldSize) { (self.world, groupSize) = (world, world.count) }

    /// Groups of `groupSize` ranks each; groups of one are the plain ring. Nil where the size does not divide the world.
    public init?(_ world: WorldSize, groupSize: Int) {
        guard groupSize >= 1, world.count % groupSize == 0 else { return nil }
        self.world = world
        self.groupSize = groupSize == 1 ? world.count : groupSize
    }

    /// Whether there is more than one group.
    public var isGrouped: Bool { groupSize < world.count }

    /// Receive buffers that a trip uses: two for what comes from the neighbour, two for what comes from other groups, as far as there
    /// is so much to come.
    public var buffersMax: Int { isGrouped ? 2 + min(world.count / groupSize - 1, 2) : min(world.count - 1, 2) }

    /// The rank to whose shard `rank` attends at a step: its own at step 0.
    public func kvOwner(for rank: Rank, atStep step: Int) -> Rank { moved(rank, by: step, sign: -1) }

    /// The rank that attends to the shard of `rank` at its step `step`.
    public func reader(of rank: Rank, atStep step: Int) -> Rank { moved(rank, by: step, sign: 1) }

    /// The step at which `rank` attends to the shard of `owner`.
    public func step(of rank: Rank, attendingTo owner: Rank) -> Int {
        let (groups, n) = (world.count / groupSize, groupSize)
        let round = (rank.index / n - owner.index / n + groups) % groups
        return round * n + (rank.index % n - owner.index % n + n) % n
    }

    /// Whether what is attended to at a step comes from another group, a whole round before it is needed.
    public func entersGroup(atStep step: Int) -> Bool { isGrouped && step > 0 && step % groupSize == 0 }

    /// Who attends to a step's shard before `rank` does and so can pass it on, and at which of its own steps; nil at step 0.
    public func source(for rank: Rank, atStep step: Int) -> (rank: Rank, step: Int)? {
        if step == 0 { return nil }
        return entersGroup(atStep: step)
            ? (moved(rank, by: groupSize, sign: -1), step - groupSize) : (moved(rank, by: 1, sign: -1), step - 1)
    }

    /// Who takes over what `rank` attends to at a step, and at which of their own steps: the neighbour, and another group's rank.
    public func takers(of rank: Rank, atStep step: Int) -> [(rank: Rank, step: Int)] {
        var takers: [(rank: Rank, step: Int)] = []
        if (step + 1) % groupSize != 0 { takers.append((moved(rank, by: 1, sign: 1), step + 1)) }
        if isGrouped, step % groupSize == 0, step + groupSize < world.count {
            takers.append((moved(rank, by: groupSize, sign: 1), step + groupSize))
        }
        return takers
    }

    /// The rank that lies whole rounds of groups, and then places within the group, before or after another.
    private func moved(_ rank: Rank, by step: Int, sign: Int) -> Rank {
        precondition(rank.index < world.count && step >= 0 && step < world.count, "\(rank), step \(step) is outside a ring of \(world)")
        let (groups, n) = (world.count / groupSize, groupSize)
        let group = (rank.index / n + sign * (step / n) + groups) % groups
        return Rank(group * n + (rank.index % n + sign * (step % n) + n) % n)
    }
}
