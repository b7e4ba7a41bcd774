// Shard plans over thousands of sizes: every token once, balance, the tile grid.
import RingCore
import Testing

@Suite("Shard plan")
struct ShardPlanTests {
    static let seed: UInt64 = 20_261_128

    /// Thousands of (tokens, world) pairs: the sizes that break things, then random ones.
    static func cases() -> [(tokens: Int, world: Int)] {
        var generator = SeededGenerator(seed: seed)
        var list: [(Int, Int)] = []
        for world in [1, 2, 3, 4, 5, 7, 8, 16] {
            for tokens in [1, 2, world - 1, world, world + 1, 2 * world - 1, 2 * world, 2 * world + 1, 63, 64, 65, 127, 1009]
            where tokens > 0 {
                list.append((tokens, world))
            }
        }
        for _ in 0..<3000 {
            list.append((Int.random(in: 1...20_000, using: &generator), Int.random(in: 1...24, using: &generator)))
        }
        return list
    }

    @Test("every token has exactly one owner, nothing is padded", arguments: ShardPlan.Layout.allCases)
    func everyTokenOnce(layout: ShardPlan.Layout) throws {
        for (tokens, world) in Self.cases() {
            let plan = try ShardPlan(layout, tokens: tokens, over: WorldSize(world))
            let chunks = plan.world.ranks.flatMap { plan.chunks(of: $0) }.sorted { $0.start < $1.start }
            var next = 0
            for chunk in chunks {
                #expect(!chunk.isEmpty)
                #expect(chunk.start == next, "\(layout) tokens \(tokens) world \(world), seed \(Self.seed)")
                next = chunk.end
            }
            #expect(next == tokens, "\(layout) tokens \(tokens) world \(world), seed \(Self.seed)")
            for position in [0, tokens / 2, tokens - 1] {
                #expect(plan.chunks(of: plan.owner(of: position)).contains { $0.range.contains(position) })
            }
        }
    }

    @Test("zigzag gives every rank the same causal work, in total and in every hop")
    func zigzagBalance() throws {
        for world in 2...16 {
            // A multiple of 2N tiles, so that all widths are equal and the balance is exact.
            let tokens = 2 * world * Limits.tileTokens * 3
            let plan = try ShardPlan(.zigzag, tokens: tokens, over: WorldSize(world))
            let ranks = plan.world.ranks
            let totals = ranks.map { rank in ranks.reduce(0) { $0 + plan.work(of: rank, on: $1, under: .causal) } }
            #expect(Set(totals).count == 1)
            #expect(totals.reduce(0, +) == tokens * (tokens + 1) / 2)
            for rank in ranks {
                let hops = ranks.filter { $0 != rank }.map { plan.work(of: rank, on: $0, under: .causal) }
                #expect(Set(hops).count == 1, "world \(world) \(rank)")
            }
        }
    }

    // A snapped edge is off by half a tile at most, so a run is within one tile of its ideal width and a rank's two runs
    // within two; two ranks therefore differ by less than four tiles.
    @Test("ragged zigzag stays within four tiles of balance")
    func raggedBalance() throws {
        var generator = SeededGenerator(seed: Self.seed)
        for _ in 0..<500 {
            let world = Int.random(in: 2...16, using: &generator)
            let tokens = Int.random(in: 2 * world * 640...200_000, using: &generator)
            let plan = try ShardPlan(.zigzag, tokens: tokens, over: WorldSize(world))
            let owned = plan.world.ranks.map { plan.tokens(of: $0) }
            let spread = (owned.max() ?? 0) - (owned.min() ?? 0)
            #expect(spread < 4 * Limits.tileTokens, "tokens \(tokens) world \(world) seed \(Self.seed)")
        }
    }

    @Test("chunk edges fall on the tile grid once a run holds a tile")
    func edgesOnGrid() throws {
        for (tokens, world) in Self.cases() where tokens / (2 * world) >= Limits.tileTokens {
            let plan = try ShardPlan(.zigzag, tokens: tokens, over: WorldSize(world))
            for rank in plan.world.ranks {
                for chunk in plan.chunks(of: rank) {
                    #expect(chunk.start % Limits.tileTokens == 0)
                    #expect(chunk.end % Limits.tileTokens == 0 || chunk.end == tokens)
                }
            }
        }
    }

    @Test("a context without tokens is refused")
    func noTokens() {
        #expect(throws: PlanError.tokens(0)) { try ShardPlan(.zigzag, tokens: 0, over: WorldSize(2)) }
        #expect(throws: PlanError.tokens(-5)) { try ShardPlan(.contiguous, tokens: -5, over: WorldSize(2)) }
    }
}

@Suite("Ownership of positions")
struct OwnedPositionsTests {
    @Test("positions are dealt to those who own them", arguments: ShardPlan.Layout.allCases)
    func ownedPositions(layout: ShardPlan.Layout) throws {
        var random = SeededGenerator(seed: 3)
        for world in [1, 2, 3, 7] {
            let plan = try ShardPlan(layout, tokens: 1000, over: WorldSize(world))
            let positions = (0..<1000).filter { _ in Bool.random(using: &random) }
            let dealt = plan.world.ranks.map { plan.owned(positions, by: $0) }
            #expect(dealt.flatMap { $0 }.sorted() == positions)
            for (rank, mine) in zip(plan.world.ranks, dealt) {
                #expect(mine.allSatisfy { plan.owner(of: $0) == rank } && mine == mine.sorted())
            }
        }
    }
}
