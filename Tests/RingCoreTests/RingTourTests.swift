// Tours against their definition, and what crosses the links between groups against the least that must.
import RingCore
import Testing

extension RingTour {
    /// Groups of any size that divides the world.
    static func random(_ world: WorldSize, using generator: inout SeededGenerator) -> RingTour {
        let sizes = (1...world.count).filter { world.count % $0 == 0 }
        guard let size = sizes.randomElement(using: &generator), let tour = RingTour(world, groupSize: size) else { return RingTour(world) }
        return tour
    }
}

@Suite("Ring tour")
struct RingTourTests {
    /// Every world of up to 24 ranks in groups of every size that divides it.
    private var tours: [RingTour] {
        (1...24).flatMap { world in (1...world).compactMap { RingTour(WorldSize(world), groupSize: $0) } }
    }

    @Test("a rank attends to every shard once, its own group's first, and to a group's all in one round")
    func everyShardOnce() {
        for tour in tours {
            for rank in tour.world.ranks {
                let owners = (0..<tour.world.count).map { tour.kvOwner(for: rank, atStep: $0) }
                #expect(Set(owners).count == tour.world.count && owners[0] == rank, "\(tour) \(rank)")
                for (step, owner) in owners.enumerated() {
                    #expect(tour.step(of: rank, attendingTo: owner) == step && tour.reader(of: owner, atStep: step) == rank)
                    #expect(owner.index / tour.groupSize == owners[step / tour.groupSize * tour.groupSize].index / tour.groupSize)
                }
                #expect(owners.prefix(tour.groupSize).allSatisfy { $0.index / tour.groupSize == rank.index / tour.groupSize })
            }
        }
    }

    @Test("who passes a shard on has attended to it before, and knows for which step of whom")
    func sources() {
        for tour in tours {
            for rank in tour.world.ranks {
                for step in 1..<max(tour.world.count, 1) {
                    guard let source = tour.source(for: rank, atStep: step) else {
                        Issue.record("\(tour) \(rank) step \(step) comes from nobody")
                        continue
                    }
                    #expect(tour.kvOwner(for: source.rank, atStep: source.step) == tour.kvOwner(for: rank, atStep: step))
                    #expect(tour.takers(of: source.rank, atStep: source.step).contains { $0.rank == rank && $0.step == step })
                    let crosses = source.rank.index / tour.groupSize != rank.index / tour.groupSize
                    #expect(crosses == tour.entersGroup(atStep: step), "\(tour) \(rank) step \(step)")
                }
            }
            let taken = tour.world.ranks.flatMap { rank in (0..<tour.world.count).flatMap { tour.takers(of: rank, atStep: $0) } }
            #expect(taken.count == tour.world.count * (tour.world.count - 1), "\(tour)")
        }
    }

    @Test("one group of all, and groups of one, are the plain ring; a size that does not divide the world is none")
    func plain() {
        for world in 1...16 {
            let ring = RingTour(WorldSize(world))
            #expect(RingTour(WorldSize(world), groupSize: 1) == ring && RingTour(WorldSize(world), groupSize: world) == ring)
            #expect(!ring.isGrouped && ring.buffersMax == min(world - 1, 2))
            #expect(RingTour(WorldSize(world), groupSize: world + 1) == nil && RingTour(WorldSize(world), groupSize: 0) == nil)
            for rank in ring.world.ranks {
                for step in 0..<world { #expect(ring.kvOwner(for: rank, atStep: step) == ring.world.kvOwner(for: rank, atStep: step)) }
            }
        }
    }

    /// Blocks that enter each group, and the least that could: what any of its ranks needs of others, once.
    private func crossings(_ plan: ShardPlan, _ mask: Mask, groupSize: Int) -> (entering: Int, least: Int) {
        var entering = 0
        var wanted = [Set<[Int]>](repeating: [], count: plan.world.count / groupSize)
        for rank in plan.world.ranks {
            let group = rank.index / groupSize
            for step in RingRoute(for: rank, under: plan, mask).steps {
                for transfer in step.receives where transfer.peer.index / groupSize != group {
                    entering += transfer.runs.reduce(0) { $0 + $1.blocks.count }
                }
                guard step.kvOwner.index / groupSize != group else { continue }
                for run in step.needed { for block in run.blocks { wanted[group].insert([step.kvOwner.index, run.chunk, block]) } }
            }
        }
        return (entering, wanted.reduce(0) { $0 + $1.count })
    }

    @Test("between groups moves the least that must, under the full and the causal mask; in a plain ring more does")
    func leastBetweenGroups() throws {
        for (groups, size) in [(2, 4), (2, 2), (3, 4), (4, 2), (4, 8), (8, 4)] {
            let world = WorldSize(groups * size)
            for (layout, mask) in [(ShardPlan.Layout.contiguous, Mask.full), (.zigzag, .causal)] {
                var plan = try ShardPlan(layout, tokens: 2 * world.count * Limits.tileTokens * 2 + 17, over: world)
                let inRing = crossings(plan, mask, groupSize: size)
                plan.tour = try #require(RingTour(world, groupSize: size))
                let inGroups = crossings(plan, mask, groupSize: size)
                #expect(inGroups.entering == inGroups.least, "\(groups) groups of \(size), \(layout)")
                #expect(inRing.entering > inRing.least && inRing.least == inGroups.least, "\(groups) groups of \(size), \(layout)")
            }
        }
    }
}
