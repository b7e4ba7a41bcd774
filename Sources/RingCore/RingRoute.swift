// Who needs which keys and values, and from whom it gets them. Every rank works this out for itself, from the plan and the mask that
// all know, so that nothing is said about it on the wire.
//
// The KV blocks of a chunk of which some active query of a rank sees something are what the rank needs of it: runs of blocks. In which
// order it attends to shards the tour says, and who was there before it: what that one needed too it passes on, the rest the
// owner gives itself. So each needed block comes exactly once, nobody carries what it does not need, and a rank serves at
// most one other at a step. Docs/MATH.md has the proof that this ends.

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

    /// What goes on from a rank to one that attends to it later.
    public struct Onward: Hashable, Sendable {
        /// To whom, and what.
        public let transfer: Transfer
        /// The receiver's step at which it attends to it.
        public let step: Int
    }

    /// One step of the rank's trip.
    public struct Step: Hashable, Sendable {
        /// Counted from zero; step 0 is the rank's own shard.
        public let index: Int
        /// Whose keys and values are attended to.
        public let kvOwner: Rank
        /// What of them is attended to, in order of chunk; in the receive buffer they lie one after another.
        public let needed: [BlockRun]
        /// Where they come from: nobody, one who attends to them before, the owner, or those two in this order.
        public let receives: [Transfer]
        /// What goes on from here: to the next rank, to another group, to both in this order or to nobody.
        public let onward: [Onward]
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
    /// The order of steps.
    public let tour: RingTour
    /// Ranks in the ring.
    public var world: WorldSize { tour.world }
    /// As many as ranks.
    public let steps: [Step]

    /// The part of `rank` under `plan`, in the order of its tour, and `mask`. `active` says, by rank and place in its shard, which chunks
    /// have queries; `nil` is all. O(ranks x chunks of a rank squared).
    public init(for rank: Rank, under plan: ShardPlan, _ mask: Mask, active: [[Bool]]? = nil) {
        let needs = Needs(plan: plan, mask: mask, active: active)
        let tour = plan.tour
        self.rank = rank
        self.tour = tour
        steps = (0..<plan.world.count).map { index in
            let owner = tour.kvOwner(for: rank, atStep: index)
            let mine = needs.runs(of: owner, for: rank)
            let onward = tour.takers(of: rank, atStep: index).compactMap { taker -> Onward? in
                // What is a rank's own it serves.
                let runs = owner == rank ? [] : Needs.covered(needs.runs(of: owner, for: taker.rank), by: mine)
                return runs.isEmpty ? nil : Onward(transfer: Transfer(peer: taker.rank, runs: runs), step: taker.step)
            }
            guard let source = tour.source(for: rank, atStep: index) else {
                return Step(index: 0, kvOwner: rank, needed: mine, receives: [], onward: [], serve: nil)
            }
            let before = source.rank == owner ? [] : needs.runs(of: owner, for: source.rank)
            let passedOn = Needs.covered(mine, by: before)
            let receives = [
                Transfer(peer: source.rank, runs: passedOn),
                Transfer(peer: owner, runs: mine.filter { !passedOn.contains($0) }),
            ]
            let direct = Self.direct(from: rank, atStep: index, tour, needs)
            return Step(
                index: index, kvOwner: owner, needed: mine, receives: receives.filter { !$0.runs.isEmpty }, onward: onward,
                serve: direct.runs.isEmpty ? nil : direct)
        }
    }

    /// What `rank` gives of its own to the one who attends to it at its step `index`: what that one's source cannot pass on.
    private static func direct(from rank: Rank, atStep index: Int, _ tour: RingTour, _ needs: Needs) -> Transfer {
        let served = tour.reader(of: rank, atStep: index)
        let theirs = needs.runs(of: rank, for: served)
        var source = tour.source(for: served, atStep: index)?.rank
        if source == rank { source = nil }
        let held = source.map { Needs.covered(theirs, by: needs.runs(of: rank, for: $0)) } ?? []
        return Transfer(peer: served, runs: theirs.filter { !held.contains($0) })
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
            // With a grain, blocks come by whole tiles of it: a tile is attended to in one piece.
            let tile = plan.grain ?? Limits.tileTokens
            let (ofTile, ofChunk) = (tile / Limits.tileTokens, (chunk.length + Limits.tileTokens - 1) / Limits.tileTokens)
            let blocks = seen.map { seen in
                let tiles = (seen.lowerBound - chunk.start) / tile..<(seen.upperBound - 1 - chunk.start) / tile + 1
                return tiles.lowerBound * ofTile..<min(tiles.upperBound * ofTile, ofChunk)
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
