// Hosts die: with copies in two domains nothing is lost, without them what is lost is named.

import RingPlacement
import Testing

@Suite("Survival")
struct SurvivalTests {
    private func loads(_ draws: inout Draws, _ experts: Int) throws -> ExpertLoads {
        try ExpertLoads(layers: 2, experts: experts, values: draws.loads(experts, kind: 2) + draws.loads(experts, kind: 4))
    }

    @Test("with copies in two nodes any node may die and every expert lives", arguments: [2, 3, 5, 8])
    func twoNodes(nodes: Int) throws {
        var draws = Draws(seed: 51)
        for perNode in [1, 2, 4] {
            let hosts = nodes * perNode
            let experts = 6 * hosts
            let loads = try loads(&draws, experts)
            for slots in [12, 14, 20] {
                var options = PlacementOptions()
                options.twoDomains = true
                let shapes = alike(hosts, slots: slots, perNode: perNode)
                let placement = try place(loads, on: shapes, options: options)
                confirm(placement, loads, twoDomains: true)
                if slots > 13 { #expect(placement.totals.gap < 0.001, "\(hosts) hosts of \(slots)") }
                for node in 0..<nodes where (hosts - perNode) * slots >= experts {
                    let survival = try survive(placement.plan, loads, losing: Array(node * perNode..<(node + 1) * perNode))
                    #expect(survival.reloads.isEmpty)
                    let wrong = faults(of: survival.plan, for: loads, certificates: survival.certificates)
                    #expect(wrong.isEmpty, "\(wrong)")
                }
            }
        }
    }

    @Test("racks are the domains where there are several")
    func racks() throws {
        var draws = Draws(seed: 52)
        let loads = try loads(&draws, 24)
        let shapes = (0..<8).map { HostShape(slots: 7, node: $0, rack: $0 / 4) }
        var options = PlacementOptions()
        options.twoDomains = true
        let placement = try place(loads, on: shapes, options: options)
        confirm(placement, loads, twoDomains: true)
        #expect(try survive(placement.plan, loads, losing: [0, 1, 2, 3]).reloads.isEmpty)
    }

    @Test("experts without a living copy are named and get slots")
    func reloads() throws {
        var draws = Draws(seed: 53)
        for turn in 0..<40 {
            let loads = try loads(&draws, 30)
            let shapes = alike(6, slots: 7 + turn % 3)
            let placement = try place(loads, on: shapes)
            let survival = try survive(placement.plan, loads, losing: [turn % 6])
            let wrong = faults(of: survival.plan, for: loads, certificates: survival.certificates)
            #expect(wrong.isEmpty, "case \(turn): \(wrong)")
            for layer in 0..<2 {
                let alive = Set(
                    (0..<6).filter { $0 != turn % 6 }.flatMap { placement.plan.slots(layer: layer, host: $0).compactMap { $0?.expert } })
                let named = Set(survival.reloads.filter { $0.layer == layer }.map(\.expert))
                #expect(named == Set(0..<30).subtracting(alive), "case \(turn)")
            }
        }
    }

    @Test("what cannot survive is refused")
    func refusals() throws {
        var draws = Draws(seed: 54)
        let loads = try loads(&draws, 12)
        let plan = try place(loads, on: alike(3, slots: 5)).plan
        #expect(refusal { _ = try survive(plan, loads, losing: [0, 1]) }.contains("7 are missing"))
        #expect(refusal { _ = try survive(plan, loads, losing: [3]) }.contains("no host 3"))
        var options = PlacementOptions()
        options.twoDomains = true
        #expect(refusal { _ = try place(loads, on: alike(3, slots: 8, perNode: 3), options: options) }.contains("two nodes"))
        #expect(refusal { _ = try place(loads, on: alike(3, slots: 7), options: options) }.contains("add 3"))
    }
}
