// The planner's figures against what is counted pair by pair and block by block, and its choice where theory says which one is right.
import RingCore
import Testing

@Suite("The planner of schedules")
struct PlannerTests {
    /// A rank of 100 GFLOP/s, links of 1 GB/s.
    private static let figures = ScheduleFigures(
        flopsPerSecond: 1e11, bytesPerSecond: 1e9, latencySeconds: 1e-4, mergeBytesPerSecond: 1e10, threads: 1)

    private func problem(_ plan: ShardPlan, _ mask: Mask, positions: [Int]?, heads: Int = 2, kvHeads: Int = 1) -> ScheduleProblem {
        ScheduleProblem(
            plan: plan, mask: mask, positions: positions, heads: heads, headDim: 64, valueDim: 64,
            blockBytes: Limits.tileTokens * kvHeads * 128 * 4)
    }

    private func candidate(_ choice: ScheduleChoice, _ schedule: Schedule) throws -> ScheduleEstimate {
        try #require(choice.candidates.first { $0.schedule == schedule })
    }

    @Test("300 random problems: operations are those of the visible pairs, bytes those of the routes")
    func random() throws {
        var generator = SeededGenerator(seed: 77)
        for index in 0..<300 {
            let tokens = Int.random(in: 1...300, using: &generator)
            let test = try MaskCase(tokens: tokens, using: &generator)
            let plan = try ShardPlan.random(tokens: tokens, world: Int.random(in: 1...6, using: &generator), using: &generator)
            let positions = index % 2 == 0 ? nil : (0..<tokens).filter { _ in Int.random(in: 0..<4, using: &generator) == 0 }
            let story = "case \(index), seed 77: \(test), \(plan)"
            let choice = ScheduleChoice(for: problem(plan, test.mask, positions: positions), on: Self.figures)
            var pairs = 0
            for query in positions ?? Array(0..<tokens) { pairs += (0..<tokens).count(where: { test.sees(query, $0) }) }
            let flops = Double(pairs) * 512
            for one in choice.candidates {
                #expect(one.flops == flops, "\(story), \(one)")
                #expect(one.flopsMax <= one.flops && one.flopsMax * Double(plan.world.count) >= one.flops, "\(story)")
                #expect(one.bytesMax <= one.bytes && one.seconds.isFinite && one.exposedSeconds >= -1e-12, "\(story), \(one)")
                #expect(one.seconds >= one.flopsMax / 1e11 * 0.999, "\(story), \(one)")
                #expect(!one.reason.isEmpty, "\(story)")
            }
            let active = positions.map { plan.active(at: $0) }
            let blocks = plan.world.ranks.map { rank in
                RingRoute(for: rank, under: plan, test.mask, active: active).steps.reduce(0) { $0 + $1.blocksReceived }
            }
            let keys = try candidate(choice, .passKV)
            let keyBytes: Int = blocks.reduce(0, +) * Limits.tileTokens * 512
            #expect(keys.bytes == keyBytes, "\(story)")
            let queries = plan.queryRuns(at: positions)
            var visits = 0
            for rank in plan.world.ranks {
                let route = QueryRoute(for: rank, under: plan, test.mask, queries: queries, roundRows: 1 << 20)
                visits += route.guests.reduce(0) { $0 + $1.rows.count }
            }
            // Rounds in which rows do not follow one another are cut, so that a part of them may see less.
            let queryBytes: Int = visits * 8 * 129
            #expect(try candidate(choice, .passQ).bytes <= queryBytes, "\(story)")
            let soonest: Double = choice.candidates.map(\.seconds).min() ?? 0
            #expect(choice.best.seconds <= soonest * 1.011, "\(story)")
        }
    }

    @Test("a short turn over a long past passes queries, a whole context keys and values")
    func turns() throws {
        let (tokens, world) = (1 << 17, WorldSize(4))
        let short = try ShardPlan(past: tokens - 256, tokens: tokens, by: .zigzag, over: world)
        let turn = ScheduleChoice(for: problem(short, .causal, positions: Array(tokens - 256..<tokens)), on: Self.figures)
        #expect(turn.chosen == .passQ)
        let (keys, queries) = (try candidate(turn, .passKV), try candidate(turn, .passQ))
        #expect(keys.bytes > 100 * queries.bytes && queries.exposedSeconds < keys.exposedSeconds)
        let whole = try ShardPlan(.zigzag, tokens: tokens, over: world)
        let all = ScheduleChoice(for: problem(whole, .causal, positions: nil, kvHeads: 1), on: Self.figures)
        #expect(all.chosen == .passKV)
        #expect(all.best.reason.contains("pass-q"))
    }

    @Test("a turn is dealt evenly, past and new tokens alike, and every token once")
    func dealing() throws {
        for (past, new, world) in [(1000, 100, 4), (64, 1, 3), (1, 700, 5), (129, 65, 2)] {
            for layout in ShardPlan.Layout.allCases {
                let plan = try ShardPlan(past: past, tokens: past + new, by: layout, over: WorldSize(world))
                let all = plan.world.ranks.flatMap { plan.chunks(of: $0).flatMap { Array($0.range) } }
                #expect(all.sorted() == Array(0..<past + new))
                let mine = plan.world.ranks.map { plan.owned(Array(past..<past + new), by: $0).count }
                #expect((mine.max() ?? 0) - (mine.min() ?? 0) <= 2 * Limits.tileTokens, "\(mine)")
                #expect((mine.max() ?? 0) <= new / world + Limits.tileTokens + 2, "\(mine)")
            }
        }
    }

    @Test("on one machine what moves bytes takes the cores from what computes")
    func sharedCores() throws {
        let plan = try ShardPlan(.zigzag, tokens: 1 << 14, over: WorldSize(2))
        var figures = Self.figures
        let apart = ScheduleChoice(for: problem(plan, .causal, positions: nil), on: figures)
        (figures.moveSecondsPerByte, figures.sharedCores) = (1e-9, 2)
        let together = ScheduleChoice(for: problem(plan, .causal, positions: nil), on: figures)
        let (one, other) = (try candidate(apart, .passKV), try candidate(together, .passKV))
        #expect(other.seconds > one.seconds)
        let busy: Double = other.flops / 1e11 + Double(other.bytes) * 1e-9
        #expect(abs(other.seconds - busy / 2) < 1e-3 * other.seconds)
    }

    @Test("one rank has nothing to choose")
    func alone() throws {
        let plan = try ShardPlan(.contiguous, tokens: 500, over: WorldSize(1))
        let choice = ScheduleChoice(for: problem(plan, .full, positions: [3, 4]), on: Self.figures)
        #expect(choice.chosen == .passKV && choice.candidates.allSatisfy { $0.bytes == 0 && $0.exposedSeconds == 0 })
    }
}
