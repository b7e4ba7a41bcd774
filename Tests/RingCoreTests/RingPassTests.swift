// The ring pass under every order of completions that a seed can think of: no hang, no buffer reused too soon.
import RingCore
import Testing

/// A world of passes whose messages arrive in an order that a seed decides.
private struct SimulatedRing {
    var passes: [RingPass]
    var attendedOwners: [[Int]]
    /// The owner of what each rank's two buffers hold, and where a rank's send of a step is read from.
    var buffers: [[Int?]]
    var expecting: [[Int: Int]]  // rank -> step -> buffer
    var offered: [[Int: Int]]  // receiving rank -> step -> owner of the payload
    var finished: [Bool]

    init(world: Int) {
        let size = WorldSize(world)
        passes = size.ranks.map { RingPass(along: RingSchedule(for: $0, in: size)) }
        attendedOwners = Array(repeating: [], count: world)
        buffers = Array(repeating: [nil, nil], count: world)
        expecting = Array(repeating: [:], count: world)
        offered = Array(repeating: [:], count: world)
        finished = Array(repeating: false, count: world)
    }
}

@Suite("Ring pass")
struct RingPassTests {
    private enum Pending: Hashable { case attend(Int, step: Int), deliver(Int, step: Int), acknowledge(Int, step: Int) }

    /// Runs a whole ring with completions in random order; returns the owners each rank attended to.
    private func run(world: Int, seed: UInt64) throws -> [[Int]] {
        var generator = SeededGenerator(seed: seed)
        var ring = SimulatedRing(world: world)
        var pending: [Pending] = []
        func held(_ rank: Int, _ step: Int, _ ring: SimulatedRing) -> Int? {
            step == 0 ? rank : ring.buffers[rank][RingPass.buffer(ofStep: step)]
        }
        func apply(_ event: RingPass.Event, to rank: Int) throws {
            var directives: [RingPass.Directive] = []
            ring.passes[rank].handle(event, into: &directives)
            for directive in directives {
                switch directive {
                case .receive(let step, let source, let buffer):
                    #expect(source.index == (rank + world - 1) % world)
                    ring.expecting[rank][step] = buffer
                    if ring.offered[rank][step] != nil { pending.append(.deliver(rank, step: step)) }
                case .send(let step, let target):
                    let owner = try #require(held(rank, step, ring))
                    ring.offered[target.index][step + 1] = owner
                    if ring.expecting[target.index][step + 1] != nil { pending.append(.deliver(target.index, step: step + 1)) }
                case .attend(let step, let owner):
                    #expect(held(rank, step, ring) == owner.index, "rank \(rank) step \(step) reads a buffer that was overwritten")
                    pending.append(.attend(rank, step: step))
                case .finish: ring.finished[rank] = true
                case .abort: Issue.record("nobody was lost")
                }
            }
        }
        for rank in 0..<world { try apply(.begin, to: rank) }
        var events = 0
        while !pending.isEmpty {
            events += 1
            try #require(events < 10 * world * world + 100, "seed \(seed): the ring does not terminate")
            switch pending.remove(at: Int.random(in: pending.indices, using: &generator)) {
            case .attend(let rank, let step):
                // The buffer must still hold the same owner at the END of the attention.
                let owner = try #require(held(rank, step, ring))
                #expect(owner == (rank - step + world) % world)
                ring.attendedOwners[rank].append(owner)
                try apply(.attended(step: step), to: rank)
            case .deliver(let rank, let step):
                let buffer = try #require(ring.expecting[rank][step])
                let owner = try #require(ring.offered[rank][step])
                #expect(held((rank + world - 1) % world, step - 1, ring) == owner, "the sender reused a buffer before its send was done")
                ring.buffers[rank][buffer] = owner
                pending.append(.acknowledge((rank + world - 1) % world, step: step - 1))
                try apply(.received(step: step), to: rank)
            case .acknowledge(let rank, let step):
                try apply(.sent(step: step), to: rank)
            }
        }
        #expect(ring.finished.allSatisfy { $0 }, "seed \(seed) world \(world): a rank hangs")
        return ring.attendedOwners
    }

    @Test("every rank attends to every shard exactly once, in schedule order, under any order of completions")
    func exactlyOnce() throws {
        for seed in 0..<1500 as Range<UInt64> {
            let world = Int(seed % 9) + 1
            let owners = try run(world: world, seed: seed)
            for rank in 0..<world {
                #expect(owners[rank] == (0..<world).map { (rank - $0 + world) % world }, "seed \(seed)")
            }
        }
    }

    @Test("plans and schedules together compute every visible pair exactly once")
    func pairsExactlyOnce() throws {
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<400 {
            let tokens = Int.random(in: 1...700, using: &generator)
            let world = WorldSize(Int.random(in: 1...9, using: &generator))
            for layout in ShardPlan.Layout.allCases {
                let plan = try ShardPlan(layout, tokens: tokens, over: world)
                var pairs = 0
                for rank in world.ranks {
                    for step in RingSchedule(for: rank, in: world) { pairs += plan.work(of: rank, on: step.kvOwner, causal: true) }
                }
                #expect(pairs == tokens * (tokens + 1) / 2)
            }
        }
    }

    @Test("a lost rank aborts the pass once, and later news is dropped")
    func lost() {
        var pass = RingPass(along: RingSchedule(for: Rank(0), in: WorldSize(3)))
        var directives: [RingPass.Directive] = []
        pass.handle(.begin, into: &directives)
        directives.removeAll()
        pass.handle(.lost(Rank(2)), into: &directives)
        pass.handle(.attended(step: 0), into: &directives)
        pass.handle(.lost(Rank(1)), into: &directives)
        #expect(directives == [.abort(lost: Rank(2))])
        #expect(pass.phase == .aborted)
    }
}

@Suite("Message tag")
struct MessageTagTests {
    @Test("every field survives the trip through 64 bits")
    func roundTrip() throws {
        let tag = MessageTag(.partials, layer: 4095, step: (1 << 20) - 1, piece: (1 << 24) - 1)
        let back = try #require(MessageTag(bits: tag.bits))
        #expect(back == tag && back.kind == .partials && back.layer == 4095 && back.step == (1 << 20) - 1 && back.piece == (1 << 24) - 1)
        #expect(MessageTag(bits: 0) == nil)
        #expect(MessageTag(bits: UInt64.max) == nil)
    }
}
