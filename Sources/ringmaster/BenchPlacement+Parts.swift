// The parts of `bench placement`: plans from nothing, drifting loads, batches, deaths, unequal hosts, many hosts.

import RingFormats
import RingPlacement

extension BenchPlacement {
    /// Plans from nothing, beside EPLB.
    func cold(_ settings: [Setting]) throws -> Section {
        var section = Section(
            title: "From nothing",
            table: Table(["setting", "loads", "balance", "bound", "gap %", "eplb", "ms", "eplb ms", "moves %"], textual: [0, 1]))
        var baseline = PlacementOptions()
        baseline.policy = .eplb
        for setting in settings {
            for distribution in LoadDistribution.allCases {
                let loads = try setting.loads(distribution)
                let ours = try fastest { try plan(loads, setting.shapes) }
                let theirs = try fastest { try plan(loads, setting.shapes, baseline) }
                try confirm(ours.result, loads)
                try confirm(theirs.result, loads)
                var moves: Double?
                if distribution == .drift {
                    let next = try plan(try setting.loads(.drift, step: 1), setting.shapes, previous: ours.result.plan)
                    moves = next.migration.map { Double($0.moves) / Double(max(1, $0.slots)) }
                }
                let totals = ours.result.totals
                section.table.add([
                    setting.label, distribution.rawValue, fixed(totals.balance, 4), fixed(totals.bound, 4), fixed(100 * totals.gap, 3),
                    fixed(theirs.result.totals.balance, 4), fixed(ours.seconds * 1e3, 2), fixed(theirs.seconds * 1e3, 2),
                    moves.map { fixed(100 * $0, 2) } ?? "",
                ])
                section.rows.append([
                    "model": .string(setting.model.name), "hosts": .integer(Int64(setting.hosts)), "slots": .integer(Int64(setting.slots)),
                    "distribution": .string(distribution.rawValue), "balance": .real(totals.balance), "bound": .real(totals.bound),
                    "gap": .real(totals.gap), "eplb_balance": .real(theirs.result.totals.balance), "seconds": .real(ours.seconds),
                    "eplb_seconds": .real(theirs.seconds), "moves_fraction": moves.map { .real($0) } ?? .null,
                ])
            }
        }
        return section
    }

    /// Loads that drift: each step planned from the plan of the step before.
    func drift(_ settings: [Setting]) throws -> Section {
        var section = Section(
            title: "Drift, \(steps) steps, each planned from the one before",
            table: Table(["setting", "fresh", "stale", "split anew", "replanned", "of fresh %", "moves %", "ms a step"]))
        for setting in settings {
            var before = try plan(try setting.loads(.drift), setting.shapes).plan
            var sums = [Double](repeating: 0, count: 6)
            for step in 1...steps {
                let loads = try setting.loads(.drift, step: step)
                let fresh = try plan(loads, setting.shapes).totals.balance
                let timed = try fastest { try plan(loads, setting.shapes, previous: before) }
                try confirm(timed.result, loads)
                guard let choice = timed.result.choice, let migration = timed.result.migration else { continue }
                let figures = [
                    fresh, choice.staleBalance, choice.offers[0].balance, timed.result.totals.balance,
                    Double(migration.moves) / Double(migration.slots), timed.seconds,
                ]
                for (place, figure) in figures.enumerated() { sums[place] += figure / Double(steps) }
                before = timed.result.plan
            }
            section.table.add(
                [setting.label] + sums[..<4].map { fixed($0, 4) }
                    + [fixed(100 * sums[3] / sums[0], 2), fixed(100 * sums[4], 2), fixed(1e3 * sums[5], 1)])
            section.rows.append([
                "model": .string(setting.model.name), "hosts": .integer(Int64(setting.hosts)), "slots": .integer(Int64(setting.slots)),
                "fresh_balance": .real(sums[0]), "stale_balance": .real(sums[1]), "resplit_balance": .real(sums[2]),
                "balance": .real(sums[3]),
                "of_fresh": .real(sums[3] / sums[0]), "moves_fraction": .real(sums[4]), "seconds": .real(sums[5]),
            ])
        }
        return section
    }

    /// Batches of few tokens: shares split anew for each.
    func batches(_ settings: [Setting]) throws -> Section {
        let sizes = [32, 128, 1024]
        var section = Section(
            title: "Batches, shares split anew, drift loads",
            table: Table(["setting", "at 32 a host", "at 128", "at 1024", "us a layer", "walk %"]))
        for setting in settings {
            let placement = try plan(try setting.loads(.drift), setting.shapes)
            var (balances, slowest, walks): ([Double], Double, Int) = ([], 0, 0)
            for size in sizes {
                let batch = SyntheticLoads(setting.model).batch(.drift, tokens: size * setting.hosts)
                let found = try resplit(placement.plan, batch)
                balances.append(found.balance)
                slowest = max(slowest, found.seconds / Double(setting.model.layers))
                walks = found.walks
            }
            let walked = Double(walks) / Double(setting.model.layers)
            section.table.add([setting.label] + balances.map { fixed($0, 4) } + [fixed(slowest * 1e6, 1), fixed(100 * walked, 0)])
            section.rows.append([
                "model": .string(setting.model.name), "hosts": .integer(Int64(setting.hosts)), "slots": .integer(Int64(setting.slots)),
                "balance_32": .real(balances[0]), "balance_128": .real(balances[1]), "balance_1024": .real(balances[2]),
                "resplit_seconds": .real(slowest), "walked": .real(walked),
            ])
        }
        return section
    }

    /// One batch over every layer of a plan: balance, seconds of splitting, layers that a walk sufficed for.
    private func resplit(_ plan: PlacementPlan, _ batch: [Double]) throws -> (balance: Double, seconds: Double, walks: Int) {
        var splitters = try plan.layers.map { layer in
            try planning { () throws(PlacementError) in try Resplitter(layer, experts: plan.experts, on: plan.hosts) }
        }
        let speed = plan.hosts.reduce(0) { $0 + $1.speed }
        let demands = plan.layers.indices.map { Array(batch[$0 * plan.experts..<($0 + 1) * plan.experts]) }
        var tops = 0.0
        let timed = try fastest {
            tops = 0
            for layer in plan.layers.indices {
                var shares = plan.layers[layer].shares
                tops += splitters[layer].split(demands[layer], into: &shares)
            }
        }
        let means = demands.reduce(0) { $0 + $1.reduce(0, +) / speed }
        return (tops > 0 ? means / tops : 1, timed.seconds, splitters.count { $0.isForest })
    }

    /// Every node dies in turn.
    func survival() throws -> Section {
        var section = Section(
            title: "One node dies, copies of every expert in two nodes",
            table: Table(["setting", "nodes", "balance", "after, worst", "uncovered", "plan ms", "slowest ms"]))
        let settings = [
            (Setting("kimik3", 8, 230), 1), (Setting("dsv3", 72, 9), 8), (Setting("kimik3", 64, 29), 8), (Setting("kimik3", 128, 15), 1),
            (Setting("kimik3", 896, 3), 8),
        ]
        for (setting, perNode) in settings where (model ?? setting.model.name) == setting.model.name {
            let shapes = (0..<setting.hosts).map { HostShape(slots: setting.slots, node: $0 / perNode) }
            var options = PlacementOptions()
            options.twoDomains = true
            let loads = try setting.loads(.drift)
            let placement = try plan(loads, shapes, options)
            try confirm(placement, loads, twoDomains: true)
            let nodes = setting.hosts / perNode
            var (worst, uncovered, planning, slowest) = (1.0, 0, 0.0, 0.0)
            for node in 0..<nodes {
                let dead = Array(node * perNode..<(node + 1) * perNode)
                let timed = try fastest { try survivors(placement.plan, loads, dead) }
                worst = min(worst, timed.result.totals.balance)
                uncovered += timed.result.reloads.count
                slowest = max(slowest, timed.seconds)
                planning += timed.seconds / Double(nodes)
            }
            section.table.add([
                setting.label, "\(nodes)", fixed(placement.totals.balance, 4), fixed(worst, 4), "\(uncovered)", fixed(planning * 1e3, 2),
                fixed(slowest * 1e3, 2),
            ])
            section.rows.append([
                "model": .string(setting.model.name), "hosts": .integer(Int64(setting.hosts)), "slots": .integer(Int64(setting.slots)),
                "nodes": .integer(Int64(nodes)), "balance": .real(placement.totals.balance), "balance_after": .real(worst),
                "uncovered": .integer(Int64(uncovered)), "seconds": .real(planning), "seconds_max": .real(slowest),
            ])
        }
        return section
    }

    private func survivors(_ plan: PlacementPlan, _ loads: ExpertLoads, _ dead: [Int]) throws -> Survival {
        try planning { () throws(PlacementError) in try survive(plan, loads, losing: dead) }
    }

    /// Three classes of speed and memory.
    func mixed() throws -> Section {
        var section = Section(
            title: "Three classes of hosts: speeds 1, 2 and 1/2; memory as listed",
            table: Table(["setting", "slots", "loads", "balance", "bound", "gap %", "eplb", "ms"], textual: [0, 1, 2]))
        var baseline = PlacementOptions()
        baseline.policy = .eplb
        let memories: [[Double]] = [[1, 2, 0.5], [1, 1, 1], [2, 1, 1], [1, 0.7, 1.6]]
        for setting in [Setting("dsv3", 48, 0), Setting("kimik2", 60, 0), Setting("kimik3", 48, 0)]
        where (model ?? setting.model.name) == setting.model.name {
            for memory in memories {
                let total = Double(setting.hosts / 3) * memory.reduce(0, +)
                let shapes = (0..<setting.hosts).map { host in
                    let slots = 1.2 * Double(setting.model.experts) * memory[host % 3] / total
                    return HostShape(slots: Int(slots.rounded(.up)), speed: [1, 2, 0.5][host % 3], node: host / 8)
                }
                for distribution in [LoadDistribution.lognormal10, .zipf12, .drift] {
                    let loads = try setting.loads(distribution)
                    let ours = try fastest { try plan(loads, shapes) }
                    try confirm(ours.result, loads)
                    let theirs = try plan(loads, shapes, baseline)
                    let (totals, slots) = (ours.result.totals, shapes[..<3].map { "\($0.slots)" }.joined(separator: "/"))
                    section.table.add([
                        "\(setting.model.name) \(setting.hosts)", slots, distribution.rawValue, fixed(totals.balance, 4),
                        fixed(totals.bound, 4),
                        fixed(100 * totals.gap, 3), fixed(theirs.totals.balance, 4), fixed(ours.seconds * 1e3, 2),
                    ])
                    section.rows.append([
                        "model": .string(setting.model.name), "hosts": .integer(Int64(setting.hosts)), "slots": .string(slots),
                        "distribution": .string(distribution.rawValue), "balance": .real(totals.balance), "bound": .real(totals.bound),
                        "gap": .real(totals.gap), "eplb_balance": .real(theirs.totals.balance), "seconds": .real(ours.seconds),
                    ])
                }
            }
        }
        return section
    }

    /// Kimi-K3 on 10,000 hosts.
    func scale() throws -> Section {
        var section = Section(title: "Many hosts", table: Table(["setting", "balance", "gap %", "ms"]))
        let setting = Setting("kimik3", 10_000, 2)
        let loads = try setting.loads(.drift)
        let timed = try fastest { try plan(loads, setting.shapes) }
        try confirm(timed.result, loads)
        let totals = timed.result.totals
        section.table.add([setting.label, fixed(totals.balance, 4), fixed(100 * totals.gap, 3), fixed(timed.seconds * 1e3, 1)])
        section.rows.append([
            "model": .string(setting.model.name), "hosts": .integer(Int64(setting.hosts)), "slots": .integer(Int64(setting.slots)),
            "balance": .real(totals.balance), "gap": .real(totals.gap), "seconds": .real(timed.seconds),
        ])
        return section
    }
}
