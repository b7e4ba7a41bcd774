// Plans with a grain: no edge cuts a tile, every token is still dealt once, and what travels are whole tiles.
import RingCore
import Testing

@Suite("Plans on a grid of tiles")
struct GrainTests {
    static let seed: UInt64 = 1129

    /// A plan of some way of dealing, with a grain.
    private func plan(_ index: Int, _ test: MaskCase, world: Int, grain: Int, using generator: inout SeededGenerator) throws -> ShardPlan {
        let world = WorldSize(world)
        switch index % 4 {
        case 0: return try ShardPlan(ShardPlan.Layout.allCases[index / 4 % 2], tokens: test.tokens, over: world, grain: grain)
        case 1: return try ShardPlan(for: test.mask, tokens: test.tokens, over: world, grain: grain)
        case 2:
            let speeds = world.ranks.map { _ in Double.random(in: 0.1...4, using: &generator) }
            return try ShardPlan(for: test.mask, tokens: test.tokens, over: world, speeds: speeds, grain: grain)
        default:
            if test.tokens < 2 { return try ShardPlan(.zigzag, tokens: test.tokens, over: world, grain: grain) }
            let past = Int.random(in: 1..<test.tokens, using: &generator)
            return try ShardPlan(past: past, tokens: test.tokens, by: .zigzag, over: world, grain: grain)
        }
    }

    @Test("every way of dealing puts every edge on the grid and deals every token once; empty shards are legal")
    func edges() throws {
        var generator = SeededGenerator(seed: Self.seed)
        for index in 0..<1200 {
            let tokens = Int.random(in: 1...5000, using: &generator)
            let (test, grain) = (try MaskCase(tokens: tokens, using: &generator), [64, 256, 1024][index % 3])
            let plan = try plan(index, test, world: Int.random(in: 1...17, using: &generator), grain: grain, using: &generator)
            let chunks = plan.world.ranks.flatMap { plan.chunks(of: $0) }.sorted { $0.start < $1.start }
            #expect(plan.grain == grain)
            #expect(
                chunks.allSatisfy { $0.start % grain == 0 && ($0.end % grain == 0 || $0.end == tokens) && !$0.isEmpty }, "case \(index)")
            #expect(chunks.first?.start == 0 && chunks.last?.end == tokens, "case \(index), seed \(Self.seed)")
            #expect(zip(chunks, chunks.dropFirst()).allSatisfy { $0.end == $1.start }, "case \(index), seed \(Self.seed)")
        }
    }

    @Test("a rank gets whole tiles, all of those of which a query of its own sees something, and each from one place")
    func routes() throws {
        var generator = SeededGenerator(seed: Self.seed)
        for index in 0..<200 {
            let tokens = Int.random(in: 1...2500, using: &generator)
            let (test, grain) = (try MaskCase(tokens: tokens, using: &generator), [256, 128][index % 2])
            let plan = try plan(index, test, world: Int.random(in: 1...5, using: &generator), grain: grain, using: &generator)
            for rank in plan.world.ranks {
                let queries = plan.chunks(of: rank)
                for step in RingRoute(for: rank, under: plan, test.mask).steps {
                    for run in step.needed {
                        let (start, end) = (run.positions.lowerBound, run.positions.upperBound)
                        #expect(start % grain == 0 && (end % grain == 0 || end == tokens), "case \(index): \(run.positions)")
                    }
                    for tile in plan.chunks(of: step.kvOwner).flatMap({ chunk in
                        stride(from: chunk.start, to: chunk.end, by: grain).map { $0..<min($0 + grain, chunk.end) }
                    }) {
                        let isSeen = queries.contains { !test.mask.span(of: tile, seenBy: $0.range).isEmpty }
                        let isThere = step.needed.contains {
                            $0.positions.lowerBound <= tile.lowerBound && $0.positions.upperBound >= tile.upperBound
                        }
                        #expect(!isSeen || isThere, "case \(index), seed \(Self.seed): \(test), \(tile)")
                    }
                    #expect(step.index == 0 || step.receives.flatMap(\.runs).count == step.needed.count)
                }
            }
        }
    }

    @Test("a table whose edges are off the grid is refused, and the grain is a function of the context alone")
    func refusals() throws {
        let table = [[Share(start: 0, length: 300, layers: 0)], [Share(start: 300, length: 200, layers: 0)]]
        #expect(throws: PlanError.self) { try ShardPlan(shares: table, tokens: 500, grain: 256) }
        #expect(try ShardPlan(shares: table, tokens: 500).grain == nil)
        #expect([1, 65_535, 65_536, 131_072, 1 << 20].map(ShardPlan.grain(ofTokens:)) == [256, 256, 512, 1024, 4096])
        #expect(ShardPlan.grain(ofTokens: 1) % Limits.tileTokens == 0)
    }

    @Test("a deterministic problem leaves no choice of schedule, and says why")
    func schedule() throws {
        let figures = ScheduleFigures(
            flopsPerSecond: 1e11, bytesPerSecond: 1e9, latencySeconds: 1e-4, mergeBytesPerSecond: 1e9, threads: 1)
        func choice(_ grain: Int?) throws -> ScheduleChoice {
            let plan = try ShardPlan(past: 65_520, tokens: 65_536, by: .contiguous, over: WorldSize(4), grain: grain)
            let problem = ScheduleProblem(
                plan: plan, mask: .causal, positions: Array(65_520..<65_536), heads: 8, headDim: 128, valueDim: 128, blockBytes: 524_288)
            return ScheduleChoice(for: problem, on: figures)
        }
        #expect(try choice(nil).chosen == .passQ)
        let bound = try choice(256)
        #expect(bound.chosen == .passKV)
        #expect(bound.candidates.map(\.reason).allSatisfy { $0.contains("bits") })
    }
}
