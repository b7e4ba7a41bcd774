// The theorems of Docs/PLACEMENT.md on random and adversarial loads, and the counterexample to the order that looks natural.

import RingPlacement
import Testing

@Suite("Wrap-around packing")
struct WrapAroundTests {
    /// The greatest load over the mean, less one, if packing at the mean succeeds in this order.
    private func excess(_ loads: [Double], _ hosts: HostTable, order: [Int]) -> Double? {
        var wrap = WrapAround()
        var row = LayerPlan(slots: hosts.totalSlots)
        let mean = loads.reduce(0, +) / hosts.totalSpeed
        let pieces = loads.indices.sorted { loads[$0] < loads[$1] }.map { Piece(load: loads[$0], expert: Int32($0)) }
        guard wrap.pack(pieces[...], on: order[...], of: hosts, level: mean, into: &row) else { return nil }
        var worst = 0.0
        for host in 0..<hosts.count {
            let tokens = hosts.row(host).reduce(0.0) { row.experts[$1] < 0 ? $0 : $0 + row.shares[$1] }
            worst = max(worst, tokens / hosts.speeds[host] / mean - 1)
        }
        return worst
    }

    @Test("hosts alike with G (S - 1) >= E - 1 are exact, in 4,000 random cases of seed 11")
    func equalSpeeds() throws {
        var draws = Draws(seed: 11)
        for turn in 0..<4000 {
            let hosts = 1 + draws.below(20)
            let experts = 1 + draws.below(5 * hosts)
            let slots = 1 + (experts - 1 + hosts - 1) / hosts
            let table = try HostTable(alike(hosts, slots: slots))
            let loads = draws.loads(experts, kind: turn)
            let worst = excess(loads, table, order: table.wrapOrder)
            #expect(worst ?? 1 < 1e-7, "case \(turn): \(experts) experts on \(hosts) hosts of \(slots) slots")
        }
    }

    @Test("unequal hosts with S - 1 >= (E - 1) v / V are exact, in 4,000 random cases of seed 12")
    func unequalSpeeds() throws {
        var draws = Draws(seed: 12)
        for turn in 0..<4000 {
            let hosts = 1 + draws.below(16)
            let experts = 1 + draws.below(5 * hosts)
            let speeds = (0..<hosts).map { _ in Double(1 + draws.below(8)) / Double(1 + draws.below(4)) }
            let total = speeds.reduce(0, +)
            // Some hosts have more slots than they need, which must not hurt.
            let shapes = speeds.map { speed in
                HostShape(slots: 1 + Int((Double(experts - 1) * speed / total - 1e-9).rounded(.up)) + draws.below(3) / 2, speed: speed)
            }
            let table = try HostTable(shapes)
            let worst = excess(draws.loads(experts, kind: turn), table, order: table.wrapOrder)
            #expect(worst ?? 1 < 1e-7, "case \(turn): \(experts) experts on \(shapes)")
        }
    }

    @Test("filling the fastest hosts first fails where the planner's order is exact")
    func counterexample() throws {
        let speeds = [Double](repeating: 2.5, count: 4) + [Double](repeating: 1, count: 12)
        let loads = [Double](repeating: 0.834, count: 21) + [4.486]
        let table = try HostTable(speeds.map { HostShape(slots: Int((22 * $0 / 22).rounded(.up)) + 1, speed: $0) })
        #expect(excess(loads, table, order: Array(0..<16)) == nil)
        #expect(excess(loads, table, order: table.wrapOrder) ?? 1 < 1e-9)
    }

    @Test("one expert more than the theorem allows makes exact balance impossible")
    func sharp() throws {
        // 2 hosts of 2 slots and 4 experts: 4 slots, where 5 copies would be needed.
        let loads = [1.0, 2, 4, 8]
        let best = leastLevelOfAnyPlan(loads, slots: [2, 2], speeds: [1, 1])
        #expect(best > 7.5 * 1.01)
        let placement = try place(oneLayer(loads), on: alike(2, slots: 2))
        #expect(abs(placement.certificates[0].max - best) < 1e-9)
    }

    @Test("a layer has at most E + G - 1 copies and they form a forest")
    func forest() throws {
        var draws = Draws(seed: 13)
        var options = PlacementOptions()
        options.fillsSpareSlots = false
        for turn in 0..<300 {
            let (hosts, experts) = (2 + draws.below(12), 2 + draws.below(40))
            let shapes = alike(hosts, slots: (experts + hosts - 1) / hosts + 2)
            let placement = try place(oneLayer(draws.loads(experts, kind: turn)), on: shapes, options: options)
            #expect(placement.plan.layers[0].experts.count { $0 >= 0 } <= experts + hosts - 1)
            #expect(try Resplitter(placement.plan.layers[0], experts: experts, on: shapes).isForest)
        }
    }
}
