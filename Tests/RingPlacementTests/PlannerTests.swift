// Plans from nothing: valid, certified, never worse than EPLB, and optimal where that can be tried out.

import RingPlacement
import Testing

@Suite("Plans from nothing")
struct PlannerTests {
    @Test("plans are valid and certified, and never worse than EPLB, in 3,000 random cases of seed 21")
    func valid() throws {
        var draws = Draws(seed: 21)
        var baseline = PlacementOptions()
        baseline.policy = .eplb
        for turn in 0..<3000 {
            let hosts = 1 + draws.below(9)
            let experts = 1 + draws.below(24)
            let isEqual = draws.below(2) == 0
            var shapes = (0..<hosts).map { host in
                HostShape(slots: draws.below(2 * experts / hosts + 3), speed: isEqual ? 1 : Double(1 + draws.below(4)) / 2, node: host / 2)
            }
            while shapes.reduce(0, { $0 + $1.slots }) < experts { shapes[draws.below(hosts)].slots += 1 }
            if isEqual, turn % 3 == 0 { shapes = alike(hosts, slots: (experts + hosts - 1) / hosts + draws.below(2)) }
            let loads = try oneLayer(draws.loads(experts, kind: turn))
            let ours = try place(loads, on: shapes)
            let theirs = try place(loads, on: shapes, options: baseline)
            confirm(ours, loads, "case \(turn)")
            confirm(theirs, loads, "EPLB, case \(turn)")
            #expect(ours.certificates[0].max <= theirs.certificates[0].max * (1 + 1e-9), "case \(turn)")
            #expect(ours.plan.layers[0].experts.allSatisfy { $0 >= 0 } || shapes.contains { $0.slots > experts })
        }
    }

    @Test("tiny layers are as good as the best of all plans, in 400 cases of seed 22")
    func tiny() throws {
        var draws = Draws(seed: 22)
        for turn in 0..<400 {
            let hosts = 2 + draws.below(2)
            let experts = 2 + draws.below(4)
            let slots = (experts + hosts - 1) / hosts + draws.below(2)
            let loads = draws.loads(experts, kind: turn)
            let best = leastLevelOfAnyPlan(
                loads, slots: Array(repeating: slots, count: hosts), speeds: Array(repeating: 1, count: hosts))
            let found = try place(oneLayer(loads), on: alike(hosts, slots: slots)).certificates[0]
            #expect(found.max <= best * (1 + 1e-9), "case \(turn): \(loads) on \(hosts) hosts of \(slots)")
            #expect(found.lowerBound <= best * (1 + 1e-9), "case \(turn): the bound is above the best plan")
        }
    }

    @Test("with one slot a host the plan is the optimal number of copies")
    func oneSlot() throws {
        let placement = try place(oneLayer([9, 3, 3, 1]), on: alike(7, slots: 1))
        #expect(placement.certificates[0].max == 3)
        #expect(placement.certificates[0].lowerBound == 3)
        #expect(placement.certificates[0].active == .largestCopy)
    }

    @Test("the same input gives the same plan")
    func deterministic() throws {
        var draws = Draws(seed: 23)
        let loads = try ExpertLoads(layers: 3, experts: 64, values: (0..<3).flatMap { draws.loads(64, kind: $0 + 2) })
        let next = try ExpertLoads(layers: 3, experts: 64, values: (0..<3).flatMap { draws.loads(64, kind: $0 + 1) })
        for slots in [4, 5, 9] {
            let hosts = alike(16, slots: slots, perNode: 4)
            let (one, other) = (try place(loads, on: hosts), try place(loads, on: hosts))
            #expect(one == other)
            #expect(try place(next, on: hosts, previous: one.plan) == place(next, on: hosts, previous: other.plan))
        }
    }

    @Test("a layer without tokens is spread evenly and weighs nothing")
    func silent() throws {
        let loads = try ExpertLoads(layers: 2, experts: 4, values: [0, 0, 0, 0, 1, 2, 3, 4])
        let placement = try place(loads, on: alike(2, slots: 3))
        confirm(placement, loads)
        #expect(placement.totals.balance == 1 && placement.certificates[0].max == 0)
        #expect((0..<2).allSatisfy { host in placement.plan.slots(layer: 0, host: host).compactMap { $0 }.count >= 2 })
    }

    @Test("what cannot be planned is refused with the figure at fault")
    func refusals() throws {
        let loads = try oneLayer([1, 2, 3, 4, 5])
        #expect(refusal { _ = try place(loads, on: alike(2, slots: 2)) }.contains("1 are missing"))
        #expect(refusal { _ = try place(loads, on: []) }.contains("1 to"))
        #expect(refusal { _ = try place(loads, on: [HostShape(slots: 9, speed: .nan)]) }.contains("speed nan"))
        #expect(refusal { _ = try place(loads, on: [HostShape(slots: -1)]) }.contains("-1 slots"))
        #expect(refusal { _ = try ExpertLoads(layers: 0, experts: 4, values: []) }.contains("0 layers"))
        #expect(refusal { _ = try ExpertLoads(layers: 1, experts: 2, values: [1]) }.contains("got 1"))
        #expect(refusal { _ = try ExpertLoads(layers: 1, experts: 2, values: [1, .nan]) }.contains("expert 1 is nan"))
        #expect(refusal { _ = try ExpertLoads(layers: 2, experts: 1, values: [1, -2]) }.contains("layer 1, expert 0 is -2"))
        #expect(refusal { _ = try ExpertLoads(layers: 1, experts: 2, values: [0, 0]) }.contains("all loads are zero"))
        let other = try place(oneLayer([1, 2, 3]), on: alike(2, slots: 3)).plan
        #expect(refusal { _ = try place(loads, on: alike(2, slots: 3), previous: other) }.contains("1 layers of 3 experts"))
        let fewer = try place(loads, on: alike(3, slots: 3)).plan
        #expect(refusal { _ = try place(loads, on: alike(2, slots: 3), previous: fewer) }.contains("3 hosts"))
    }

    @Test("the checker sees a lost expert, a double, a wrong share and a wrong certificate")
    func checker() throws {
        let loads = try oneLayer([4, 3, 2, 1])
        let good = try place(loads, on: alike(2, slots: 3))
        confirm(good, loads)
        var broken = good.plan
        broken.layers[0].shares[0] *= 0.5
        #expect(!faults(of: broken, for: loads).isEmpty)
        broken = good.plan
        broken.layers[0].experts[1] = broken.layers[0].experts[0]
        #expect(!faults(of: broken, for: loads).isEmpty)
        broken = good.plan
        broken.layers[0].experts[0] = 4
        #expect(!faults(of: broken, for: loads).isEmpty)
        let proof = good.certificates[0]
        let wrong = [
            Certificate(mean: proof.mean * 1.01, max: proof.max, lowerBound: proof.lowerBound, active: .mean),
            Certificate(mean: proof.mean, max: proof.max * 1.01, lowerBound: proof.lowerBound, active: .mean),
            Certificate(mean: proof.mean, max: proof.max, lowerBound: proof.max * 1.01, active: .largestCopy),
            Certificate(mean: proof.mean, max: .nan, lowerBound: proof.lowerBound, active: .mean),
        ]
        for certificate in wrong { #expect(!faults(of: good.plan, for: loads, certificates: [certificate]).isEmpty) }
    }
}
