// Who needs which keys and values, and from whom it gets them. Every rank works this out for itself, from the plan and the mask that
// all know, so that nothing is said about it on the wire.
//
// The KV blocks of a chunk of which some active query of a rank sees something are what the rank needs of it: runs of blocks. It attends
// to the shard of rank - s at step s. The rank before it was there one step earlier: what that one needed too it passes on, the rest the
// owner gives itself. So each needed block comes exactly once, nobody carries what it does not need, and a rank serves at
// most one other at a step: step s of rank owner + s. Docs/MATH.md has the proof that this ends.

/// A run of KV blocks of one chunk of an owner.
public struct BlockRun: Hashable, Sendable {
    /// The chunk, by place in its owner's shard.
    public let chunk: Int
    /// Blocks of `Limits.tileTokens` tokens, counted from the chunk's start; never empty.
    public let blocks: Range<Int>
    /// The positions they hold; the chunk's last block may be partly filled.
    public let positions: Range<Int>

    /// Whether all of `other` lies in it.
    func holds(_ other: BlockRun) -> Bool {
        chunk == other.chunk && blocks.lowerBound <= other.blocks.lowerBound && other.blocks.upperBound <= blocks.upperBound
    }

    init(chunk: Int, of whole: Chunk, blocks: Range<Int>) {
        self.chunk = chunk
        self.blocks = blocks
        positions =
            whole.start + blocks.lowerBound * Limits.tileTokens..<min(whole.end, whole.start + blocks.upperBound * Limits.tileTokens)
    }
}

/// One rank's part in the exchange of keys and values.
public struct RingRoute: Hashable, Sendable {
    /// Block runs that go from or to one peer at one step, in order of chunk.
    public struct Transfer: Hashable, Sendable {
        /// The other rank.
        public let peer: Rank
        /// What goes; not empty.
        public let runs: [BlockRun]

        /// A transfer of its parts.
        public init(peer: Rank, runs: [BlockRun]) { (self.peer, self.runs) = (peer, runs) }
    }

    /// One step of the rank's trip.
    public struct Step: Hashable, Sendable {
        /// Counted from zero; step 0 is the rank's own shard.
        public let index: Int
        /// Whose keys and values are attended to.
        public let kvOwner: Rank
        /// What of them is attended to, in order of chunk; in the receive buffer they lie one after another.
        public let needed: [BlockRun]
        /// Where they come from: nobody, the previous rank, the owner, or those two in this order.
        public let receives: [Transfer]
        /// What goes on from here to the next rank, which attends to it at its next step.
        public let forward: [BlockRun]
        /// Own blocks for the rank that attends to them at the step of this number.
        public let serve: Transfer?

        /// Blocks that arrive.
        public var blocksReceived: Int { receives.isEmpty ? 0 : needed.reduce(0) { $0 + $1.blocks.count } }

        /// Where a part of `needed` begins among all of it, in blocks.
        public func firstBlock(of part: BlockRun) -> Int {
            var first = 0
            for run in needed {
                if run.holds(part) { return first + part.blocks.lowerBound - run.blocks.lowerBound }
                first += run.blocks.count
            }
            preconditionFailure("blocks \(part.blocks) of chunk \(part.chunk) are not at step \(index)")
        }
    }

    /// The rank whose part this is.
    public let rank: Rank
    /// Ranks in the ring.
    public let world: WorldSize
    /// As many as ranks.
    public let steps: [Step]

    /// The part of `rank` under `plan` and `mask`. `active` says, by rank and place in its shard, which chunks have queries; `nil` is
    /// all. O(ranks x chunks of a rank squared).
    public init(for rank: Rank, under plan: ShardPlan, _ mask: Mask, active: [[Bool]]? = nil) {
        let needs = Needs(plan: plan, mask: mask, active: active)
        let (world, count) = (plan.world, plan.world.count)
        let (next, previous) = (world.next(after: rank), world.previous(before: rank))
        self.rank = rank
        self.world = world
        steps = (0..<count).map { index in
            let owner = world.kvOwner(for: rank, atStep: index)
            let mine = needs.runs(of: owner, for: rank)
            if index == 0 {
                return Step(index: 0, kvOwner: rank, needed: mine, receives: [], forward: [], serve: nil)
            }
            let before = previous == owner ? [] : needs.runs(of: owner, for: previous)
            let after = next == owner ? [] : needs.runs(of: owner, for: next)
            let served = Rank((rank.index + index) % count)
            let theirs = needs.runs(of: rank, for: served)
            let servedBefore = index == 1 ? [] : needs.runs(of: rank, for: world.previous(before: served))
            let passedOn = Needs.covered(mine, by: before)
            let receives = [
                Transfer(peer: previous, runs: passedOn),
                Transfer(peer: owner, runs: mine.filter { !passedOn.contains($0) }),
            ]
            let direct = theirs.filter { !Needs.covered(theirs, by: servedBefore).contains($0) }
            return Step(
                index: index, kvOwner: owner, needed: mine, receives: receives.filter { !$0.runs.isEmpty },
                forward: Needs.covered(after, by: mine), serve: direct.isEmpty ? nil : Transfer(peer: served, runs: direct))
        }
    }
}

/// What ranks need of each other's chunks.
private struct Needs {
    let plan: ShardPlan
    let mask: Mask
    let active: [[Bool]]?

    /// The blocks of `owner` that `rank` needs, in order of position.
    func runs(of owner: Rank, for rank: Rank) -> [BlockRun] {
        let queries = plan.chunks(of: rank).enumerated().filter { active?[rank.index][$0.offset] ?? true }.map(\.element)
        return plan.chunks(of: owner).enumerated().flatMap { place, chunk -> [BlockRun] in
            let seen = queries.flatMap { mask.runs(of: chunk.range, seenBy: $0.range) }
            let blocks = seen.map { seen in
                (seen.lowerBound - chunk.start) / Limits.tileTokens..<(seen.upperBound - 1 - chunk.start) / Limits.tileTokens + 1
            }
            return Self.joined(blocks).map { BlockRun(chunk: place, of: chunk, blocks: $0) }
        }
    }

    /// What `ranges` cover, in order, those that touch as one.
    private static func joined(_ ranges: [Range<Int>]) -> [Range<Int>] {
        var joined: [Range<Int>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = joined.last, range.lowerBound <= last.upperBound {
                joined[joined.count - 1] = last.lowerBound..<max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        return joined
    }

    /// Those of `wanted` that one who holds `held` can pass on.
    static func covered(_ wanted: [BlockRun], by held: [BlockRun]) -> [BlockRun] {
        wanted.filter { wanted in held.contains { $0.holds(wanted) } }
    }
}
