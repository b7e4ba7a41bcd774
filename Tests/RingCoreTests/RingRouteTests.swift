// Routes against brute force: what every rank gets is what its queries see, block by block; it comes once, and nothing else moves.
import RingCore
import Testing

@Suite("Ring route")
struct RingRouteTests {
    static let seed: UInt64 = 1729

    /// For chunk `keys`, the runs of blocks of which some query of `chunks` sees something, one pair at a time.
    private func needed(_ test: MaskCase, _ keys: Chunk, by chunks: [Chunk]) -> [Range<Int>] {
        var runs: [Range<Int>] = []
        for key in keys.range where chunks.contains(where: { $0.range.contains { test.sees($0, key) } }) {
            let block = (key - keys.start) / Limits.tileTokens
            if let last = runs.last, block <= last.upperBound {
                runs[runs.count - 1] = last.lowerBound..<max(last.upperBound, block + 1)
            } else {
                runs.append(block..<block + 1)
            }
        }
        return runs
    }

    private func check(_ test: MaskCase, _ plan: ShardPlan, layer: Int, _ story: String) {
        let active = plan.active(inLayer: layer)
        let routes = plan.world.ranks.map { RingRoute(for: $0, under: plan, test.mask, active: active) }
        var (sent, received) = (0, 0)
        for rank in plan.world.ranks {
            let queries = zip(plan.chunks(of: rank), active?[rank.index] ?? plan.chunks(of: rank).map { _ in true }).filter(\.1).map(\.0)
            for step in routes[rank.index].steps {
                let wanted = plan.chunks(of: step.kvOwner).map { needed(test, $0, by: queries) }
                #expect(step.needed.map(\.blocks) == wanted.flatMap { $0 }, "\(story): \(rank) step \(step.index)")
                for run in step.needed { #expect(wanted[run.chunk].contains(run.blocks), "\(story)") }
                // Every needed block comes once: the sources' runs are those needed, and each is sent by who is said to send it.
                let coming = step.receives.flatMap(\.runs).sorted { ($0.chunk, $0.blocks.lowerBound) < ($1.chunk, $1.blocks.lowerBound) }
                #expect(coming == (step.index == 0 ? [] : step.needed), "\(story): \(rank) step \(step.index)")
                for transfer in step.receives {
                    let sender = routes[transfer.peer.index]
                    let origin = plan.tour.source(for: rank, atStep: step.index)?.step ?? 0
                    let onward = sender.steps[origin].onward.first { $0.transfer.peer == rank && $0.step == step.index }
                    let sending = transfer.peer == step.kvOwner ? sender.steps[step.index].serve?.runs : onward?.transfer.runs
                    #expect(sending == transfer.runs && transfer.peer != rank, "\(story): \(rank) step \(step.index)")
                    received += transfer.runs.reduce(0) { $0 + $1.blocks.count }
                }
                // Who passes something on has it.
                for run in step.onward.flatMap(\.transfer.runs) {
                    let held = step.needed.filter { $0.chunk == run.chunk }.map { $0.blocks.clamped(to: run.blocks) }
                    #expect(held.contains(run.blocks), "\(story): \(rank) step \(step.index)")
                }
                sent += (step.onward.flatMap(\.transfer.runs) + (step.serve?.runs ?? [])).reduce(0) { $0 + $1.blocks.count }
            }
        }
        #expect(sent == received, "\(story): \(sent) blocks sent, \(received) received")
    }

    @Test("10,000 random masks and plans: needed blocks come once, from one who has them, and nothing else moves")
    func exactlyOnce() throws {
        var generator = SeededGenerator(seed: Self.seed)
        for index in 0..<10_000 {
            let large = index % 25 == 0
            let tokens = Int.random(in: 1...(large ? 900 : 130), using: &generator)
            let world = Int.random(in: 1...9, using: &generator)
            let test = try MaskCase(tokens: tokens, using: &generator)
            var plan = try ShardPlan.random(tokens: tokens, world: world, using: &generator)
            plan.tour = .random(plan.world, using: &generator)
            check(test, plan, layer: Int.random(in: 0...1, using: &generator), "case \(index), seed \(Self.seed): \(world) ranks, \(test)")
        }
    }

    @Test("plans and routes together hold every visible pair exactly once")
    func pairs() throws {
        var generator = SeededGenerator(seed: Self.seed + 1)
        for index in 0..<2000 {
            let tokens = Int.random(in: 1...700, using: &generator)
            let test = try MaskCase(tokens: tokens, using: &generator)
            var plan = try ShardPlan.random(tokens: tokens, world: Int.random(in: 1...9, using: &generator), using: &generator)
            plan.tour = .random(plan.world, using: &generator)
            var (ofRoutes, ofPlan) = (0, 0)
            for rank in plan.world.ranks {
                for step in RingRoute(for: rank, under: plan, test.mask).steps {
                    for queries in plan.chunks(of: rank) {
                        for run in step.needed { ofRoutes += test.mask.pairs(queries: queries.range, keys: run.positions) }
                    }
                    ofPlan += plan.work(of: rank, on: step.kvOwner, under: test.mask)
                }
            }
            let whole = test.mask.pairs(queries: 0..<tokens, keys: 0..<tokens)
            #expect(ofRoutes == whole && ofPlan == whole, "case \(index), seed \(Self.seed + 1): \(test)")
        }
    }

    @Test("under the causal mask exactly three quarters of the plain ring's blocks move, whatever the number of ranks")
    func threeQuarters() throws {
        for world in 1...33 {
            let tokens = 2 * world * Limits.tileTokens * 3
            let plan = try ShardPlan(.zigzag, tokens: tokens, over: WorldSize(world))
            var moved = 0
            for rank in plan.world.ranks { moved += RingRoute(for: rank, under: plan, .causal).steps.reduce(0) { $0 + $1.blocksReceived } }
            // The plain ring moves each rank's 6 blocks to all others.
            #expect(4 * moved == 3 * world * (world - 1) * 6, "world \(world)")
            for rank in plan.world.ranks {
                for step in RingRoute(for: rank, under: plan, .causal).steps {
                    // The high chunk goes to rank 0 from its owner, and on from there.
                    let isHigh = step.kvOwner > rank
                    #expect(step.needed.count == (isHigh || step.index == 0 ? 2 : 1) || world == 1)
                }
            }
        }
    }

    @Test("under the full mask everything goes round the ring, and only from neighbour to neighbour")
    func full() throws {
        for world in 2...9 {
            let plan = try ShardPlan(.contiguous, tokens: 1000 + world, over: WorldSize(world))
            for rank in plan.world.ranks {
                for step in RingRoute(for: rank, under: plan, .full).steps.dropFirst() {
                    #expect(step.receives.map(\.peer) == [plan.world.previous(before: rank)])
                    #expect((step.serve != nil) == (step.index == 1))
                }
            }
        }
    }

    @Test("a window over contiguous shards moves what lies within reach of an edge, and the sinks")
    func window() throws {
        let (world, shard) = (8, 64 * 100)
        let plan = try ShardPlan(.contiguous, tokens: world * shard, over: WorldSize(world))
        let mask = try Mask(.window(size: 641, sinks: 4), tokens: plan.tokens)
        for rank in plan.world.ranks {
            let steps = RingRoute(for: rank, under: plan, mask).steps
            // The first query of a shard sees 640 keys before it: 10 blocks. The sinks are one block of rank 0, whoever is next to it.
            #expect(steps[1].blocksReceived == (rank.index == 0 ? 0 : rank.index == 1 ? 11 : 10))
            for step in steps.dropFirst(2) { #expect(step.blocksReceived == (step.index == rank.index ? 1 : 0)) }
        }
    }
}
