// From plan to plan: budgets, schedules, and what repair is worth.

import RingPlacement
import Testing

@Suite("Migration")
struct MigrationTests {
    /// Loads of several layers and the same after a drift of every expert by up to a factor.
    private func drifting(_ draws: inout Draws, layers: Int, experts: Int, by factor: Double) throws -> (ExpertLoads, ExpertLoads) {
        let before = (0..<layers).flatMap { _ in draws.loads(experts, kind: 2) }
        let after = before.map { $0 * (1 + (factor - 1) * draws.unit()) }
        return (
            try ExpertLoads(layers: layers, experts: experts, values: before),
            try ExpertLoads(layers: layers, experts: experts, values: after)
        )
    }

    @Test("a budget is never overdrawn, whatever it is", arguments: [0, 0.005, 0.02, 0.1, 1])
    func budgets(budget: Double) throws {
        var draws = Draws(seed: 41)
        for turn in 0..<12 {
            let (before, after) = try drifting(&draws, layers: 3, experts: 48, by: 4)
            let hosts = alike(8 + turn, slots: 48 / (8 + turn) + 2, perNode: 2)
            let old = try place(before, on: hosts)
            var options = PlacementOptions()
            options.moveBudget = budget
            let new = try place(after, on: hosts, previous: old.plan, options: options)
            confirm(new, after, "case \(turn)")
            let migration = try #require(new.migration)
            #expect(Double(migration.moves) <= budget * Double(migration.slots), "case \(turn)")
            let choice = try #require(new.choice)
            #expect(new.totals.balance >= choice.staleBalance * (1 - 1e-9), "case \(turn): worse than doing nothing")
            if budget == 1 { #expect(new.totals.balance > 0.98 * new.totals.bound, "case \(turn): \(new.totals)") }
        }
    }

    @Test("the transfers lead from the old plan to the new one, each from a host that holds the expert")
    func transfers() throws {
        var draws = Draws(seed: 42)
        for turn in 0..<20 {
            let (before, after) = try drifting(&draws, layers: 2, experts: 40, by: 6)
            let hosts = alike(10, slots: 5 + turn % 3)
            let old = try place(before, on: hosts)
            let new = try place(after, on: hosts, previous: old.plan)
            let migration = try #require(new.migration)
            for layer in 0..<2 {
                var held = (0..<10).map { host in Set(old.plan.slots(layer: layer, host: host).compactMap { $0?.expert }) }
                for transfer in migration.transfers where transfer.layer == layer {
                    let source = try #require(transfer.source)
                    #expect(old.plan.slots(layer: layer, host: source).contains { $0?.expert == transfer.expert })
                    #expect(held[transfer.target].insert(transfer.expert).inserted)
                }
                for host in 0..<10 {
                    #expect(new.plan.slots(layer: layer, host: host).allSatisfy { $0.map { held[host].contains($0.expert) } ?? true })
                }
            }
        }
    }

    @Test("in a round no host sends twice or receives twice, and there are as many rounds as the busiest needs, 500 graphs of seed 43")
    func colours() {
        var draws = Draws(seed: 43)
        for turn in 0..<500 {
            let nodes = 2 + draws.below(12)
            let edges = (0..<draws.below(60)).map { _ in (draws.below(10) == 0 ? -1 : draws.below(nodes), draws.below(nodes)) }
            let colouring = EdgeColouring(edges, nodes: nodes)
            var seen = Set<[Int]>()
            for (edge, colour) in zip(edges, colouring.colours) {
                if edge.0 >= 0 { #expect(seen.insert([0, edge.0, colour]).inserted, "case \(turn)") }
                #expect(seen.insert([1, edge.1, colour]).inserted, "case \(turn)")
            }
            #expect(colouring.count <= colouring.degreeMax, "case \(turn)")
        }
    }

    @Test("loads that stay as they were move nothing")
    func unchanged() throws {
        var draws = Draws(seed: 44)
        let (loads, _) = try drifting(&draws, layers: 3, experts: 60, by: 2)
        for slots in [6, 7, 12] {
            let hosts = alike(10, slots: slots)
            let old = try place(loads, on: hosts)
            let new = try place(loads, on: hosts, previous: old.plan)
            #expect(new.migration?.moves == 0 && new.choice?.chosen.way == .resplit)
        }
    }
}
