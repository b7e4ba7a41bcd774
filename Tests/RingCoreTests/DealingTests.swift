// Plans of any mask on ranks of any speed: every token is dealt once, work and tokens balance, and neighbours stay together where they may.
import RingCore
import Testing

@Suite("Dealing")
struct DealingTests {
    static let seed: UInt64 = 20_260

    private func isWhole(_ plan: ShardPlan) -> Bool {
        let chunks = plan.world.ranks.flatMap { plan.chunks(of: $0) }.sorted { $0.start < $1.start }
        return chunks.first?.start == 0 && chunks.last?.end == plan.tokens
            && zip(chunks, chunks.dropFirst()).allSatisfy { $0.end == $1.start }
    }

    /// Lengths of `count` documents of about `tokens` in all; `spread` 0 is all alike, large is a few giants among dwarfs.
    private func documents(_ count: Int, of tokens: Int, spread: Int, using generator: inout SeededGenerator) -> [Int] {
        let sizes = (0..<count).map { _ in
            1 << Int.random(in: 0...spread, using: &generator) * 16 + Int.random(in: 0...31, using: &generator)
        }
        let sum = sizes.reduce(0, +)
        var lengths = sizes.map { max(1, $0 * (tokens - count) / sum) }
        lengths[count - 1] += tokens - lengths.reduce(0, +)
        return lengths
    }

    @Test("1,000 random documents in 1M tokens: work within 2% of even, tokens within 5%", arguments: [2, 3, 4, 8, 16])
    func thousandDocuments(world: Int) throws {
        var generator = SeededGenerator(seed: Self.seed + UInt64(world))
        let rules: [Mask.Rule] = [.causal, .full, .window(size: 700, sinks: 4), .prefix(length: 90), .chunked(length: 512)]
        for index in 0..<30 {
            let tokens = (1 << 20) - Int.random(in: 0...1000, using: &generator)
            let lengths = documents(1000, of: tokens, spread: index % 10, using: &generator)
            let mask = try Mask(rules[index % rules.count], documents: lengths, tokens: tokens)
            let plan = try ShardPlan(for: mask, tokens: tokens, over: WorldSize(world))
            let story = "\(world) ranks, \(mask), case \(index), seed \(Self.seed + UInt64(world))"
            #expect(isWhole(plan), "\(story)")
            #expect(plan.imbalance(under: mask) <= 1.02, "\(story)")
            #expect(Double(plan.tokensMax * world) <= 1.05 * Double(tokens), "\(story): \(plan.tokensMax)")
        }
    }

    @Test("the imbalance is what brute force counts")
    func imbalance() throws {
        var generator = SeededGenerator(seed: Self.seed)
        for index in 0..<300 {
            let tokens = Int.random(in: 1...400, using: &generator)
            let (world, test) = (Int.random(in: 1...5, using: &generator), try MaskCase(tokens: tokens, using: &generator))
            let speeds = (0..<world).map { _ in Double(Int.random(in: 1...4, using: &generator)) }
            let plan = try ShardPlan(for: test.mask, tokens: tokens, over: WorldSize(world), speeds: speeds)
            #expect(isWhole(plan), "case \(index), seed \(Self.seed): \(test)")
            let work = plan.world.ranks.map { rank in
                plan.chunks(of: rank).reduce(0) { sum, chunk in
                    sum + chunk.range.reduce(0) { sum, query in sum + (0..<tokens).count { test.sees(query, $0) } }
                }
            }
            let ideal = Double(work.reduce(0, +)) / speeds.reduce(0, +)
            let expected = (zip(work, speeds).map { Double($0) / $1 }.max() ?? 0) / ideal
            #expect(abs(plan.imbalance(under: test.mask, speeds: speeds) - expected) < 1e-9, "case \(index): \(test)")
        }
    }

    @Test("plain masks on equal ranks keep their layouts, and a window keeps neighbours together")
    func simple() throws {
        for world in [1, 2, 5] {
            #expect(try ShardPlan(for: .causal, tokens: 9000, over: WorldSize(world)).layout == .zigzag)
            #expect(
                try ShardPlan(for: .full, tokens: 9000, over: WorldSize(world), speeds: Array(repeating: 2, count: world)).layout
                    == .contiguous)
        }
        let window = try Mask(.window(size: 512, sinks: 4), tokens: 1 << 18)
        let plan = try ShardPlan(for: window, tokens: 1 << 18, over: WorldSize(4))
        #expect(plan.world.ranks.allSatisfy { plan.chunks(of: $0).count == 1 })
    }

    @Test("causal work goes by speed, whatever the speeds", arguments: [[1.0, 0.5, 0.25], [3, 1], [1, 1, 1, 0.1], [0.2, 1, 0.2, 1, 5]])
    func speeds(speeds: [Double]) throws {
        let (tokens, world) = (1 << 19, WorldSize(speeds.count))
        for mask in [Mask.causal, .full] {
            let plan = try ShardPlan(for: mask, tokens: tokens, over: world, speeds: speeds)
            #expect(isWhole(plan) && plan.imbalance(under: mask, speeds: speeds) <= 1.02)
            for rank in world.ranks {
                let fair = Double(tokens) * speeds[rank.index] / speeds.reduce(0, +)
                #expect(abs(Double(plan.tokens(of: rank)) - fair) <= 2 * Double(Limits.tileTokens))
            }
        }
    }

    @Test("fewer tokens than ranks, and speeds that cannot be meant")
    func corners() throws {
        var generator = SeededGenerator(seed: Self.seed + 9)
        for tokens in 1...40 {
            let test = try MaskCase(tokens: tokens, using: &generator)
            let plan = try ShardPlan(for: test.mask, tokens: tokens, over: WorldSize(16))
            #expect(isWhole(plan), "\(test)")
        }
        for speeds in [[1.0, 0], [1, -1], [1, .nan], [1, .infinity], [1, 2, 3]] {
            #expect(throws: PlanError.self) { try ShardPlan(for: .causal, tokens: 100, over: WorldSize(2), speeds: speeds) }
        }
        #expect(throws: PlanError.tokens(0)) { try ShardPlan(for: .causal, tokens: 0, over: WorldSize(2), speeds: [1, 2]) }
    }
}
