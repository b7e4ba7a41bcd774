// Plays measured expert loads, step after step, through the planner, its hysteresis and the moves that follow, in virtual time: what a
// cluster would have had of it before anybody moves a byte. It reads no clock.
//
// A decision sees the loads up to its step only, as a running mean; its plan is judged by the loads of the steps that follow. Weights move
// layer by layer at a capped rate, and a layer's new copies take tokens when all of them are there.

import RingPlacement

/// A replay under way.
public struct PlacementReplay: Sendable {
    private let options: ReplayOptions
    private let hosts: [HostShape]
    private let table: HostTable
    private let experts: Int
    /// The first plan, as it was made and with its copies split anew.
    private let first: [LayerPlan]
    private var firstSplit: [Split]
    /// What is installed.
    private var installed: [LayerPlan]
    private var split: [Split]
    /// What comes, and when each of its layers is there.
    private var coming: (layers: [LayerPlan], readyAt: [Double], stalls: Double)?
    private var mean: [Double]
    private var now = 0.0
    private var played = 0
    /// All steps so far.
    public private(set) var totals = ReplayTotals()

    /// Plans for `loads`, the first step of the trace, on `hosts`. Throws what the planner throws, and `.impossible` for rules that
    /// contradict themselves.
    public init(_ loads: ExpertLoads, on hosts: [HostShape], options: ReplayOptions) throws(PlacementError) {
        for (name, value, range) in [
            ("seconds of a step", options.stepSeconds, 1e-6...1e9), ("half-life", options.halfLifeSteps, 0...1e6),
            ("bytes a second for moves", options.moveBytesPerSecond, 1...1e15), ("share of experts in a step", options.expertShare, 0...1),
            ("slowdown while weights move", options.moveSlowdown, 0...1), ("horizon", options.horizonSeconds, 0...1e9),
            ("hysteresis", options.hysteresis, 0...1e6),
        ] where !range.contains(value) {
            throw .impossible("the \(name) is from \(range.lowerBound) to \(range.upperBound), got \(value)")
        }
        guard options.everySteps >= 1, options.staging >= 0, options.expertBytes >= 0 else {
            throw .impossible("steps between looks are at least 1, staging and the size of an expert at least 0")
        }
        var options = options
        options.planner.expertBytes = options.expertBytes
        options.planner.linkBytesPerSecond = options.moveBytesPerSecond
        (self.options, self.hosts, experts) = (options, hosts, loads.experts)
        table = try HostTable(hosts)
        first = try place(loads, on: hosts, options: options.planner).plan.layers
        installed = first
        firstSplit = Self.splitters(first, loads.experts, table)
        split = firstSplit
        mean = loads.values
    }

    private static func splitters(_ layers: [LayerPlan], _ experts: Int, _ table: HostTable) -> [Split] {
        layers.map { Split($0, experts, table) }
    }

    /// Plays one step of `loads` and decides at its end. Throws `.loads` for another shape than the first step's.
    public mutating func step(_ loads: ExpertLoads) throws(PlacementError) -> ReplayStep {
        guard loads.layers == installed.count, loads.experts == experts else {
            throw .loads("a step has \(loads.layers) layers of \(loads.experts) experts, the first had \(installed.count) of \(experts)")
        }
        let began = now
        let end = now + options.stepSeconds
        let moving = coming.map { min(end, $0.readyAt.max() ?? began) - began } ?? 0
        let stalled = coming?.stalls ?? 0
        coming?.stalls = 0
        install(at: began)
        let balances = balances(loads, from: began)
        note(loads)
        now = end
        played += 1
        install(at: end)
        let (decision, bytes) = try decide()
        let step = ReplayStep(
            seconds: end, fixed: balances.fixed, resplit: balances.resplit, live: balances.live, bound: balances.bound, decision: decision,
            bytes: bytes, movingSeconds: moving, stalledSeconds: min(stalled, options.stepSeconds))
        totals.add(step)
        totals.slots = table.totalSlots * installed.count
        return step
    }

    /// Takes over the layers whose copies are all there.
    private mutating func install(at moment: Double) {
        guard let coming else { return }
        for layer in installed.indices where coming.readyAt[layer] <= moment && installed[layer] != coming.layers[layer] {
            installed[layer] = coming.layers[layer]
            split[layer] = Split(installed[layer], experts, table)
        }
        if coming.readyAt.allSatisfy({ $0 <= moment }) { self.coming = nil }
    }

    /// What comes in the midst of the step counts from then on.
    private mutating func balances(_ loads: ExpertLoads, from began: Double) -> (
        fixed: Double, resplit: Double, live: Double, bound: Double
    ) {
        var (mean, fixed, resplit, live, bound) = (0.0, 0.0, 0.0, 0.0, 0.0)
        for layer in installed.indices {
            let demand = Array(loads.layer(layer))
            mean += demand.reduce(0, +) / table.totalSpeed
            fixed += first[layer].level(demand, on: table)
            resplit += firstSplit[layer].level(demand)
            var level = split[layer].level(demand)
            if let coming, coming.readyAt[layer] > began, coming.readyAt[layer] < began + options.stepSeconds {
                var next = Split(coming.layers[layer], experts, table)
                let late = (coming.readyAt[layer] - began) / options.stepSeconds
                level = late * level + (1 - late) * next.level(demand)
            }
            live += level
            bound += LowerBound.of(demand, on: table).value
        }
        // Steps without tokens are balanced, whatever the plan.
        func balance(_ top: Double) -> Double { top > 0 ? mean / top : 1 }
        return (balance(fixed), balance(resplit), balance(live), balance(bound))
    }

    /// Adds a step to the running mean.
    private mutating func note(_ loads: ExpertLoads) {
        let keep = played == 0 || options.halfLifeSteps <= 0 ? 0 : exp2(-1 / options.halfLifeSteps)
        for place in mean.indices { mean[place] = keep * mean[place] + (1 - keep) * loads.values[place] }
    }

    private mutating func decide() throws(PlacementError) -> (ReplayDecision, bytes: Int) {
        guard coming == nil, played % options.everySteps == 0 else { return (.none, 0) }
        let expected = try ExpertLoads(layers: installed.count, experts: experts, values: mean)
        let before = PlacementPlan(experts: experts, hosts: hosts, layers: installed)
        let found = try place(expected, on: hosts, previous: before, options: options.planner)
        guard let migration = found.migration, let choice = found.choice, migration.moves > 0 else { return (.kept, 0) }
        let kept = choice.offers.first { $0.way == .resplit }?.balance ?? choice.staleBalance
        // Time of a step with balance b: 1 - s + s / b of what it would be with perfect balance.
        func time(_ balance: Double) -> Double { 1 - options.expertShare + options.expertShare / max(balance, 1e-9) }
        let gain = options.horizonSeconds * (1 - time(choice.chosen.balance) / time(kept))
        let stalls = stalls(migration, to: found.plan.layers)
        let cost = (migration.seconds ?? 0) * options.moveSlowdown + stalls
        guard gain > options.hysteresis * cost else { return (.unpaid(gain: gain, cost: cost), 0) }
        begin(found.plan.layers, migration, stalls)
        return (.moved(choice.chosen.way, moves: migration.moves, gain: gain, cost: cost), migration.bytes ?? 0)
    }

    private mutating func begin(_ layers: [LayerPlan], _ migration: Migration, _ stalls: Double) {
        var last = [Int](repeating: 0, count: layers.count)
        for transfer in migration.transfers { last[transfer.layer] = max(last[transfer.layer], transfer.round + 1) }
        let round = (migration.seconds ?? 0) / Double(max(migration.rounds, 1))
        coming = (layers, last.map { now + Double($0) * round }, stalls)
        install(at: now)
    }

    /// Seconds for which layers stand still: an expert that no host keeps is nowhere between the moment at which its slots are emptied and
    /// the one at which it arrives. None where a host can hold an arriving expert beside its slots.
    private func stalls(_ migration: Migration, to layers: [LayerPlan]) -> Double {
        guard options.staging == 0 else { return 0 }
        let moved = Dictionary(grouping: migration.transfers, by: \.layer)
        var stalled = 0
        for layer in layers.indices {
            guard let transfers = moved[layer] else { continue }
            var isKept = [Bool](repeating: false, count: experts)
            for host in hosts.indices {
                let row = table.row(host)
                for slot in row
                where layers[layer].experts[slot] >= 0 && installed[layer].experts[row].contains(layers[layer].experts[slot]) {
                    isKept[Int(layers[layer].experts[slot])] = true
                }
            }
            if transfers.contains(where: { !isKept[$0.expert] }) { stalled += 1 }
        }
        return Double(stalled) * (migration.seconds ?? 0) / Double(max(migration.rounds, 1))
    }
}

/// The tokens of one layer's batches on its copies; each split starts from the one before it.
private struct Split: Sendable {
    private var resplitter: Resplitter
    private var shares: [Double]

    init(_ layer: LayerPlan, _ experts: Int, _ table: HostTable) {
        resplitter = Resplitter(layer, experts: experts, table: table)
        shares = layer.shares
    }

    /// The least greatest load that the copies allow.
    mutating func level(_ demand: [Double]) -> Double { resplitter.split(demand, into: &shares) }
}

/// Two to a power, by the series that the standard library lacks without Foundation: exact to 1e-12 for -1 ... 0, halved outside.
private func exp2(_ power: Double) -> Double {
    var (rest, scale) = (power, 1.0)
    while rest < -1 { (rest, scale) = (rest + 1, scale / 2) }
    let x = rest * 0.693147180559945309
    var (term, sum) = (1.0, 1.0)
    for n in 1..<20 {
        term *= x / Double(n)
        sum += term
    }
    return sum * scale
}
