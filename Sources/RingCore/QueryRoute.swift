// Whose queries go where when queries are passed instead of keys. Every rank works this out for itself from the plan, the mask and the
// positions of all queries, so that nothing is said about it on the wire.
//
// A rank's queries are cut into rounds of bounded size. A round goes to every rank that holds a key which one of its queries sees, and
// comes back from there as a partial. Every rank attends to the rounds of others in one order: all first rounds by distance round the ring,
// then all second ones. Docs/MATH.md says why this ends, and with how little memory.

/// One rank's part in the exchange of queries and partials.
public struct QueryRoute: Hashable, Sendable {
    /// Some consecutive query rows of one rank.
    public struct Round: Hashable, Sendable {
        /// Whose queries they are.
        public let owner: Rank
        /// Counted from zero among the owner's rounds.
        public let index: Int
        /// Rows among the owner's queries.
        public let rows: Range<Int>
        /// Where they stand; rows counted as the owner counts them.
        public let runs: [QueryRun]

        /// A round of its parts.
        public init(owner: Rank, index: Int, rows: Range<Int>, runs: [QueryRun]) {
            (self.owner, self.index, self.rows, self.runs) = (owner, index, rows, runs)
        }
    }

    /// A round of own queries and the others that attend to it.
    public struct Own: Hashable, Sendable {
        /// The queries.
        public let round: Round
        /// Who holds keys that they see, in order of rank, the owner left out.
        public let peers: [Rank]
    }

    /// The rank whose part this is.
    public let rank: Rank
    /// Ranks in the ring.
    public let world: WorldSize
    /// Rounds of own queries, in order.
    public let own: [Own]
    /// Rounds of others that see keys of this rank, in the order in which they are attended to.
    public let guests: [Round]

    /// The part of `rank` under `plan` and `mask`, where `queries` names every rank's queries and a round has at most `roundRows` rows.
    /// O(runs of queries x chunks), each with a few binary searches.
    public init(for rank: Rank, under plan: ShardPlan, _ mask: Mask, queries: [[QueryRun]], roundRows: Int) {
        self.rank = rank
        world = plan.world
        own = Self.rounds(of: rank, queries[rank.index], roundRows).map { round in
            Own(round: round, peers: plan.world.ranks.filter { $0 != rank && Self.sees(round, keysOf: $0, plan, mask) })
        }
        guests = plan.world.ranks.filter { $0 != rank }.flatMap { owner in
            Self.rounds(of: owner, queries[owner.index], roundRows).filter { Self.sees($0, keysOf: rank, plan, mask) }
        }.sorted {
            let (one, other) = (
                Self.distance(from: $0.owner, to: rank, in: plan.world), Self.distance(from: $1.owner, to: rank, in: plan.world)
            )
            return ($0.index, one) < ($1.index, other)
        }
    }

    /// The step at which a rank attends to the queries of `owner`, as it would to its keys: 0 is its own.
    public func step(of owner: Rank) -> Int { Self.distance(from: owner, to: rank, in: world) }

    private static func distance(from owner: Rank, to rank: Rank, in world: WorldSize) -> Int {
        (rank.index - owner.index + world.count) % world.count
    }

    private static func sees(_ round: Round, keysOf rank: Rank, _ plan: ShardPlan, _ mask: Mask) -> Bool {
        plan.chunks(of: rank).contains { chunk in
            round.runs.contains { !mask.span(of: chunk.range, seenBy: $0.chunk.range).isEmpty }
        }
    }

    /// Runs cut at `roundRows`; rows that do not follow each other never share a round, because a round is sent as it lies.
    private static func rounds(of owner: Rank, _ runs: [QueryRun], _ roundRows: Int) -> [Round] {
        precondition(roundRows >= 1, "a round has at least one row, got \(roundRows)")
        var (rounds, open): ([Round], [QueryRun]) = ([], [])
        func rows(_ runs: [QueryRun]) -> Range<Int> {
            guard let first = runs.first, let last = runs.last else { return 0..<0 }
            return first.firstRow..<last.firstRow + last.chunk.length
        }
        func close() {
            if !open.isEmpty { rounds.append(Round(owner: owner, index: rounds.count, rows: rows(open), runs: open)) }
            open = []
        }
        for run in runs {
            if !open.isEmpty, rows(open).upperBound != run.firstRow { close() }
            var done = 0
            while done < run.chunk.length {
                let count = min(roundRows - rows(open).count, run.chunk.length - done)
                open.append(QueryRun(chunk: Chunk(start: run.chunk.start + done, length: count), firstRow: run.firstRow + done))
                done += count
                if rows(open).count == roundRows { close() }
            }
        }
        close()
        return rounds
    }
}
