// Which rank owns which tokens. A plan is an explicit table of chunks: it never pads, any number of tokens goes with any
// number of ranks, and empty shards are legal. How the layouts balance is derived in Docs/MATH.md.

/// Why no plan could be made.
public enum PlanError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The number of tokens is below one or above `Limits.tokens`.
    case tokens(Int)
    /// A table of shares does not deal every token once.
    case shares(String)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .tokens(let count): "a context has 1 to \(Limits.tokens) tokens, got \(count)"
        case .shares(let why): "the table of shares does not deal every token once: \(why)"
        }
    }
}

/// The owner of every token of a context.
public struct ShardPlan: Hashable, Sendable {
    /// How tokens are dealt to ranks.
    public enum Layout: String, Hashable, Sendable, CaseIterable {
        /// Rank r holds the r-th of N equal runs. Balanced when every pair is visible.
        case contiguous
        /// Rank r holds runs r and 2N-1-r of 2N. Balanced under a causal mask, in total and in every hop.
        case zigzag
    }

    /// How the tokens are dealt; `nil` where a table says it.
    public let layout: Layout?
    /// Number of tokens, at least one.
    public let tokens: Int
    /// Number of ranks.
    public let world: WorldSize
    /// In which order ranks attend to each other's shards: one ring, unless somebody knows of groups.
    public var tour: RingTour
    /// Tokens of the tiles that no edge cuts, where results must not depend on the plan (ShardPlan+Grain.swift); `nil` where they may.
    public let grain: Int?
    /// For each rank its chunks, sorted, disjoint, none empty.
    private let owned: [[Chunk]]
    /// For each rank the layers that each of its chunks has been through; empty where none has.
    private let through: [[Int]]

    /// Deals `tokens` to `world` ranks. Edges fall on multiples of `Limits.tileTokens` when every run is at least one
    /// tile long, so that KV blocks of neighbouring chunks never share a tile; with a `grain` they always fall on multiples of it.
    public init(_ layout: Layout, tokens: Int, over world: WorldSize, grain: Int? = nil) throws(PlanError) {
        guard tokens >= 1, tokens <= Limits.tokens else { throw .tokens(tokens) }
        self.layout = layout
        self.tokens = tokens
        self.world = world
        tour = RingTour(world)
        self.grain = grain
        through = []
        let runs = layout == .zigzag ? 2 * world.count : world.count
        let edges = Self.edges(tokens: tokens, runs: runs, grain)
        owned = (0..<world.count).map { rank in
            let places = layout == .zigzag ? [rank, runs - 1 - rank] : [rank]
            return places.map { Chunk(start: edges[$0], length: edges[$0 + 1] - edges[$0]) }.filter { !$0.isEmpty }
        }
    }

    /// The plan of a table of shares, by rank and in order of position, which must deal every token once and cut no tile of `grain` tokens.
    public init(shares: [[Share]], tokens: Int, grain: Int? = nil) throws(PlanError) {
        guard tokens >= 1, tokens <= Limits.tokens else { throw .tokens(tokens) }
        guard (1...Limits.ranks).contains(shares.count) else { throw .shares("it has \(shares.count) ranks") }
        var end = 0
        for share in shares.flatMap({ $0 }).sorted(by: { $0.start < $1.start }) {
            guard share.start == end, share.length > 0, share.length <= tokens - end else {
                throw .shares("\(share.length) tokens at \(share.start) follow on \(end)")
            }
            if let grain, share.start % grain != 0 { throw .shares("\(share.start) is inside a tile of \(grain) tokens") }
            end = share.end
        }
        guard end == tokens else { throw .shares("it ends at \(end) of \(tokens)") }
        guard shares.allSatisfy({ zip($0, $0.dropFirst()).allSatisfy { $0.start < $1.start } }) else {
            throw .shares("a rank's are out of order")
        }
        layout = nil
        self.tokens = tokens
        world = WorldSize(shares.count)
        tour = RingTour(world)
        self.grain = grain
        through = shares.map { $0.map(\.layers) }
        owned = shares.map { $0.map { Chunk(start: $0.start, length: $0.length) } }
    }

    /// The `runs + 1` edges of runs that differ by at most one tile (or one token, when a run is shorter than a tile).
    private static func edges(tokens: Int, runs: Int, _ grain: Int?) -> [Int] {
        let tile = grain ?? (tokens / runs >= Limits.tileTokens ? Limits.tileTokens : 1)
        return (0...runs).map { place in
            if place == runs { return tokens }
            // Multiply in 128 bits' stead: tokens <= 2^32 and runs <= 2^11 keep the product below 2^43.
            let ideal = tokens * place / runs
            return tile == 1 ? ideal : min((ideal + tile / 2) / tile * tile, tokens)
        }
    }

    /// The chunks that `rank` owns, in order of position; none is empty, the list may be.
    public func chunks(of rank: Rank) -> [Chunk] { owned[rank.index] }

    /// How many tokens `rank` owns.
    public func tokens(of rank: Rank) -> Int { owned[rank.index].reduce(0) { $0 + $1.length } }

    /// Those of `positions`, which ascend, that `rank` owns.
    public func owned(_ positions: [Int], by rank: Rank) -> [Int] {
        let chunks = owned[rank.index]
        var place = 0
        return positions.filter { position in
            while place < chunks.count, chunks[place].end <= position { place += 1 }
            return place < chunks.count && chunks[place].range.contains(position)
        }
    }

    /// The most tokens any rank owns.
    public var tokensMax: Int { world.ranks.map { tokens(of: $0) }.max() ?? 0 }

    /// The rank that owns the token at `position`.
    public func owner(of position: Int) -> Rank {
        precondition(position >= 0 && position < tokens, "position \(position) is outside a context of \(tokens) tokens")
        for rank in world.ranks where owned[rank.index].contains(where: { $0.range.contains(position) }) { return rank }
        preconditionFailure("no rank owns position \(position) of \(self)")
    }

    /// By rank and place in its shard, which chunks have queries in `layer`: a chunk that has been through it before this ring began
    /// has keys and values only. `nil` is all.
    public func active(inLayer layer: Int) -> [[Bool]]? {
        if through.allSatisfy({ $0.allSatisfy { $0 <= layer } }) { return nil }
        return through.map { $0.map { $0 <= layer } }
    }

    /// Visible (query, key) pairs with queries of `rank` and keys of `owner`.
    public func work(of rank: Rank, on owner: Rank, under mask: Mask) -> Int {
        var pairs = 0
        for queries in chunks(of: rank) {
            for keys in chunks(of: owner) { pairs += mask.pairs(queries: queries.range, keys: keys.range) }
        }
        return pairs
    }
}
