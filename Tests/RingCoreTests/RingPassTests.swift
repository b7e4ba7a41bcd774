// The ring pass under every order of completions that a seed can think of: no hang, no buffer reused too soon, no block twice.
import RingCore
import Testing

/// A world of passes whose messages arrive in an order that a seed decides.
private struct SimulatedRing {
    /// What a buffer holds of one owner, by chunk.
    struct Held: Hashable {
        var owner: Rank
        var runs: [BlockRun]
    }
    enum Pending: Hashable {
        case attend(Int, step: Int)
        case deliver(Int, step: Int, from: Int)
        case acknowledge(Int, step: Int, to: Int)
    }

    let plan: ShardPlan
    var passes: [RingPass]
    var attendedOwners: [[Int]]
    var buffers: [[Held?]]
    /// By receiver, (step, sender) of posted receives and of offered sends.
    var expecting: [Set<[Int]>], offered: [Set<[Int]>]
    var finished: [Bool]
    var sendsOut: [Int]
    /// By rank and step, sends onward that are not acknowledged.
    var onwardLeft: [[Int]]
    var pending: [Pending] = []

    init(_ plan: ShardPlan, _ mask: Mask, layer: Int) {
        self.plan = plan
        let count = plan.world.count
        passes = plan.world.ranks.map { RingPass(along: RingRoute(for: $0, under: plan, mask, active: plan.active(inLayer: layer))) }
        attendedOwners = Array(repeating: [], count: count)
        buffers = Array(repeating: Array(repeating: nil, count: plan.tour.buffersMax), count: count)
        onwardLeft = Array(repeating: Array(repeating: 0, count: count), count: count)
        (expecting, offered) = (Array(repeating: [], count: count), Array(repeating: [], count: count))
        finished = Array(repeating: false, count: count)
        sendsOut = Array(repeating: 0, count: count)
    }

    func step(_ step: Int, of rank: Int) -> RingRoute.Step { passes[rank].route.steps[step] }

    /// What lies ready at `rank` for its step.
    func held(_ rank: Int, _ step: Int) -> Held? {
        if step == 0 { return Held(owner: Rank(rank), runs: self.step(0, of: rank).needed) }
        return passes[rank].buffer(ofStep: step).flatMap { buffers[rank][$0] }
    }

    private mutating func meet(_ receiver: Int, _ step: Int, _ sender: Int) {
        if expecting[receiver].contains([step, sender]) && offered[receiver].contains([step, sender]) {
            pending.append(.deliver(receiver, step: step, from: sender))
        }
    }

    private mutating func offer(from rank: Int, to peer: Rank, step: Int) {
        sendsOut[rank] += 1
        #expect(sendsOut[rank] <= RingPass.servesMax + (plan.tour.isGrouped ? 7 : 3), "rank \(rank) has \(sendsOut[rank]) sends under way")
        offered[peer.index].insert([step, rank])
        meet(peer.index, step, rank)
    }

    mutating func apply(_ event: RingPass.Event, to rank: Int) throws {
        var directives: [RingPass.Directive] = []
        passes[rank].handle(event, into: &directives)
        for directive in directives {
            switch directive {
            case .receive(let step, let buffer):
                buffers[rank][buffer] = Held(owner: self.step(step, of: rank).kvOwner, runs: [])
                for transfer in self.step(step, of: rank).receives {
                    expecting[rank].insert([step, transfer.peer.index])
                    meet(rank, step, transfer.peer.index)
                }
            case .serve(let step): offer(from: rank, to: try #require(self.step(step, of: rank).serve?.peer), step: step)
            case .forward(let step):
                for onward in self.step(step, of: rank).onward {
                    onwardLeft[rank][step] += 1
                    offer(from: rank, to: onward.transfer.peer, step: onward.step)
                }
            case .attend(let step, let owner):
                #expect(owner == self.step(step, of: rank).kvOwner)
                pending.append(.attend(rank, step: step))
            case .finish: finished[rank] = true
            case .abort: Issue.record("nobody was lost")
            }
        }
    }

    /// What `rank` attends to at the END of a step must be what it needs there, no more and no less.
    mutating func attended(_ rank: Int, _ step: Int, _ story: String) throws {
        let needed = self.step(step, of: rank).needed
        if !needed.isEmpty {
            let there = held(rank, step)
            #expect(
                there?.owner == self.step(step, of: rank).kvOwner, "\(story): rank \(rank) step \(step) reads a buffer that was overwritten"
            )
            let runs = there?.runs.sorted { ($0.chunk, $0.blocks.lowerBound) < ($1.chunk, $1.blocks.lowerBound) }
            #expect(runs == needed, "\(story): rank \(rank) step \(step)")
        }
        attendedOwners[rank].append(self.step(step, of: rank).kvOwner.index)
        try apply(.attended(step: step), to: rank)
    }

    mutating func deliver(_ receiver: Int, _ step: Int, from sender: Int, _ story: String) throws {
        let transfer = try #require(self.step(step, of: receiver).receives.first { $0.peer.index == sender })
        let owner = self.step(step, of: receiver).kvOwner
        if owner.index != sender {
            let origin = plan.tour.step(of: Rank(sender), attendingTo: owner)
            let source = held(sender, origin)
            #expect(source?.owner == owner, "\(story): rank \(sender) reused a buffer before its send of step \(origin) was done")
            for run in transfer.runs {
                let there = source?.runs.filter { $0.chunk == run.chunk }.map { $0.blocks.clamped(to: run.blocks) } ?? []
                #expect(there.contains(run.blocks), "\(story): rank \(sender) has no \(run) to pass on")
            }
        }
        let buffer = try #require(passes[receiver].buffer(ofStep: step))
        buffers[receiver][buffer]?.runs += transfer.runs
        expecting[receiver].remove([step, sender])
        offered[receiver].remove([step, sender])
        pending.append(.acknowledge(sender, step: step, to: receiver))
        if !expecting[receiver].contains(where: { $0[0] == step }) { try apply(.received(step: step), to: receiver) }
    }

    mutating func acknowledge(_ sender: Int, _ step: Int, to receiver: Int) throws {
        sendsOut[sender] -= 1
        let owner = self.step(step, of: receiver).kvOwner
        guard owner.index != sender else { return try apply(.served(step: step), to: sender) }
        let origin = plan.tour.step(of: Rank(sender), attendingTo: owner)
        onwardLeft[sender][origin] -= 1
        if onwardLeft[sender][origin] == 0 { try apply(.forwarded(step: origin), to: sender) }
    }
}

@Suite("Ring pass")
struct RingPassTests {
    /// Runs a whole ring with completions in random order; returns the owners each rank attended to.
    private func run(_ plan: ShardPlan, _ mask: Mask, layer: Int = 0, using generator: inout SeededGenerator, _ story: String) throws
        -> [[Int]]
    {
        var ring = SimulatedRing(plan, mask, layer: layer)
        let world = plan.world.count
        // Ranks begin in any order, and late ones when others have gone as far as they can.
        var idle = Array(0..<world).shuffled(using: &generator)
        var events = 0
        while !ring.pending.isEmpty || !idle.isEmpty {
            events += 1
            try #require(events < 10 * world * world + 100, "\(story): the ring does not terminate")
            if let rank = idle.last, ring.pending.isEmpty || Int.random(in: 0..<4, using: &generator) == 0 {
                idle.removeLast()
                try ring.apply(.begin, to: rank)
                continue
            }
            switch ring.pending.remove(at: Int.random(in: ring.pending.indices, using: &generator)) {
            case .attend(let rank, let step): try ring.attended(rank, step, story)
            case .deliver(let rank, let step, let sender): try ring.deliver(rank, step, from: sender, story)
            case .acknowledge(let rank, let step, let receiver): try ring.acknowledge(rank, step, to: receiver)
            }
        }
        #expect(ring.finished.allSatisfy { $0 }, "\(story): a rank hangs")
        return ring.attendedOwners
    }

    @Test("every rank attends to every shard exactly once, in order, under any order of completions")
    func exactlyOnce() throws {
        for seed in 0..<1500 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let world = Int(seed % 9) + 1
            let plan = try ShardPlan(seed % 2 == 0 ? .zigzag : .contiguous, tokens: 128 * world + Int(seed % 64), over: WorldSize(world))
            let owners = try run(plan, seed % 2 == 0 ? .causal : .full, using: &generator, "seed \(seed) world \(world)")
            for rank in 0..<world { #expect(owners[rank] == (0..<world).map { (rank - $0 + world) % world }, "seed \(seed)") }
        }
    }

    @Test("under 10,000 random masks, plans and resumptions no rank hangs and no buffer is reused too soon")
    func masks() throws {
        for seed in 0..<10_000 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let tokens = Int.random(in: 1...2000, using: &generator)
            let test = try MaskCase(tokens: tokens, using: &generator)
            var plan = try ShardPlan.random(tokens: tokens, world: Int.random(in: 1...12, using: &generator), using: &generator)
            plan.tour = .random(plan.world, using: &generator)
            _ = try run(plan, test.mask, layer: Int(seed % 2), using: &generator, "seed \(seed): \(plan.world) ranks, \(test)")
        }
    }

    @Test("a lost rank aborts the pass once, and later news is dropped")
    func lost() throws {
        let plan = try ShardPlan(.zigzag, tokens: 600, over: WorldSize(3))
        var pass = RingPass(along: RingRoute(for: Rank(0), under: plan, .causal))
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
