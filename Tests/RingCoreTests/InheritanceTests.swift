// Who goes on with what: every token once, what is held stays where it is, and work stays balanced, over thousands of losses.
import RingCore
import Testing

@Suite("Inheritance")
struct InheritanceTests {
    static let seed: UInt64 = 20_261_128

    /// Shares of a ring of `world` in which `lost` went, those of the others as they were.
    private static func kept(_ layout: ShardPlan.Layout, tokens: Int, world: Int, lost: Set<Int>, layers: Int) throws -> [[Share]] {
        let plan = try ShardPlan(layout, tokens: tokens, over: WorldSize(world))
        return plan.world.ranks.filter { !lost.contains($0.index) }.map { rank in
            plan.chunks(of: rank).map { Share(start: $0.start, length: $0.length, layers: layers) }
        }
    }

    @Test("every token is dealt once and what is held stays, whoever is lost and whoever is new")
    func everyTokenOnce() throws {
        var generator = SeededGenerator(seed: Self.seed)
        for round in 0..<3000 {
            let (tokens, world) = (Int.random(in: 1...5000, using: &generator), Int.random(in: 2...12, using: &generator))
            let lost = Set((0..<Int.random(in: 1..<world, using: &generator)).map { _ in Int.random(in: 0..<world, using: &generator) })
            var kept = try Self.kept(round % 2 == 0 ? .zigzag : .contiguous, tokens: tokens, world: world, lost: lost, layers: 3)
            for _ in 0..<Int.random(in: 0...2, using: &generator) { kept.append([]) }
            guard let table = Inheritance.shares(tokens: tokens, kept: kept) else {
                let isNothingHeld = kept.allSatisfy { $0.isEmpty }
                #expect(isNothingHeld, "seed \(Self.seed), round \(round)")
                continue
            }
            _ = try ShardPlan(shares: table, tokens: tokens)
            for (old, new) in zip(kept, table) {
                #expect(new.filter { $0.layers > 0 } == old, "seed \(Self.seed), round \(round)")
            }
            // A second loss, of the ring that went on.
            let further = Array(table.dropLast())
            if !further.isEmpty, further.contains(where: { !$0.isEmpty }) {
                let deeper = further.map { $0.map { Share(start: $0.start, length: $0.length, layers: $0.layers + 1) } }
                let again = try #require(Inheritance.shares(tokens: tokens, kept: deeper))
                _ = try ShardPlan(shares: again, tokens: tokens)
            }
        }
    }

    @Test("after a loss the others have as much causal work as each other, and a new rank takes all that was lost")
    func balance() throws {
        for world in 3...9 {
            let tokens = 2 * world * 64 * 12
            for lost in 0..<world {
                let kept = try Self.kept(.zigzag, tokens: tokens, world: world, lost: [lost], layers: 1)
                let table = try #require(Inheritance.shares(tokens: tokens, kept: kept))
                let plan = try ShardPlan(shares: table, tokens: tokens)
                let work = plan.world.ranks.map { rank in plan.world.ranks.reduce(0) { $0 + plan.work(of: rank, on: $1, under: .causal) } }
                let mean = Double(work.reduce(0, +)) / Double(work.count)
                #expect(Double(work.max() ?? 0) <= 1.06 * mean, "\(lost) of \(world): \(work)")
                let replaced = try #require(Inheritance.shares(tokens: tokens, kept: kept + [[]]))
                #expect(
                    replaced.dropLast().allSatisfy { $0.allSatisfy { $0.layers == 1 } }
                        && replaced.last?.allSatisfy { $0.layers == 0 } == true)
            }
        }
    }

    @Test("what cannot be true is not gone on from")
    func hostile() {
        let good = Share(start: 0, length: 10, layers: 1)
        for bad in [
            Share(start: 5, length: 10, layers: 1), Share(start: 90, length: 11, layers: 1), Share(start: -1, length: 5, layers: 1),
            Share(start: 20, length: 0, layers: 1), Share(start: 20, length: -3, layers: 1), Share(start: 20, length: 5, layers: 0),
            Share(start: .max, length: .max, layers: 1), Share(start: 20, length: .max, layers: 1),
            Share(start: .min, length: .min, layers: 1),
        ] {
            #expect(Inheritance.shares(tokens: 100, kept: [[good], [bad]]) == nil, "\(bad)")
        }
        #expect(Inheritance.shares(tokens: 100, kept: []) == nil && Inheritance.shares(tokens: 100, kept: [[], []]) == nil)
        for table in [
            [[good]], [[good], [Share(start: 9, length: 91, layers: 0)]], [[Share(start: 10, length: 90, layers: 0), good]], [],
            [[good], [Share(start: 10, length: .max, layers: 0)]],
        ] {
            #expect(throws: PlanError.self) { try ShardPlan(shares: table, tokens: 100) }
        }
    }
}
