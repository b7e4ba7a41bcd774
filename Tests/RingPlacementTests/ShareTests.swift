// Shares over copies that exist: as good as the theorem of max-flow and min-cut says, by flow and by walk.

import RingPlacement
import Testing

@Suite("Shares over copies that exist")
struct ShareTests {
    @Test("both ways reach the least level, in 3,000 random plans of seed 31")
    func optimal() throws {
        var draws = Draws(seed: 31)
        var walks = 0
        for turn in 0..<3000 {
            let hosts = 1 + draws.below(5)
            let experts = 1 + draws.below(7)
            let speeds = (0..<hosts).map { _ in turn % 2 == 0 ? 1 : Double(1 + draws.below(4)) }
            var holders = (0..<experts).map { _ in 1 << draws.below(hosts) }
            for _ in 0..<draws.below(6) { holders[draws.below(experts)] |= 1 << draws.below(hosts) }
            var shapes: [HostShape] = []
            var row = LayerPlan(slots: 0)
            for host in 0..<hosts {
                let held = (0..<experts).filter { holders[$0] & (1 << host) != 0 }
                shapes.append(HostShape(slots: held.count + draws.below(2), speed: speeds[host]))
                for slot in 0..<shapes[host].slots {
                    row.experts.append(slot < held.count ? Int32(held[slot]) : -1)
                    row.shares.append(slot < held.count ? 1 / Double(holders[held[slot]].nonzeroBitCount) : 0)
                }
            }
            let loads = draws.loads(experts, kind: turn)
            let best = leastLevel(loads, holders: holders, speeds: speeds)
            var splitter = try Resplitter(row, experts: experts, on: shapes)
            walks += splitter.isForest ? 1 : 0
            var shares = row.shares
            let level = splitter.split(loads, into: &shares)
            #expect(abs(level - best) <= best * 1e-7, "case \(turn): \(level) where \(best) is possible")
            let plan = PlacementPlan(experts: experts, hosts: shapes, layers: [LayerPlan(experts: row.experts, shares: shares)])
            let wrong = try faults(of: plan, for: oneLayer(loads))
            #expect(wrong.isEmpty, "case \(turn): \(wrong)")
            #expect(try plan.layers[0].level(loads, on: HostTable(shapes)) <= best * (1 + 1e-7), "case \(turn)")
            var flow = try ShareFlow(row, loads, on: HostTable(shapes))
            flow.settle()
            #expect(abs(flow.level - best) <= best * 1e-7, "flow, case \(turn)")
        }
        // Both kinds were met.
        #expect(walks > 300 && walks < 2900)
    }

    @Test("no split of the plan's own loads is better than the plan")
    func settled() throws {
        var draws = Draws(seed: 32)
        for turn in 0..<200 {
            let loads = draws.loads(40, kind: turn)
            let shapes = alike(8, slots: 6)
            let placement = try place(oneLayer(loads), on: shapes)
            var splitter = try Resplitter(placement.plan.layers[0], experts: 40, on: shapes)
            var shares = placement.plan.layers[0].shares
            #expect(abs(splitter.split(loads, into: &shares) / placement.certificates[0].max - 1) < 1e-6)
        }
    }
}
