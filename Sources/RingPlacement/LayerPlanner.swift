// One layer without a history: wrap-around packing where it is exact, groups of wrap-around where slots are short, and never worse than
// EPLB, because EPLB is tried too wherever the lower bound was not reached.

/// How a plan is made.
public enum PlacementPolicy: String, Hashable, Sendable, CaseIterable {
    case auto = "auto"
    case eplb = "eplb"
    case eplbHierarchical = "eplb-hierarchical"
    case wrap = "wrap"
}

/// Plans one layer after the other; buffers are kept from layer to layer.
struct LayerPlanner {
    let hosts: HostTable
    let policy: PlacementPolicy
    /// Groups of experts for the hierarchical baseline.
    let expertGroups: Int

    /// So close to the bound nothing is improved any more.
    private static let contentment = 0.001
    /// Attempts at improving a layer.
    private static let improvements = 8

    private var wrap = WrapAround()
    private var repair = Repair()
    private var eplb = EPLB()
    private var grouping = Grouping()
    private var keys: [UInt64] = []
    private var pieces: [Piece] = []
    private var scratch: LayerPlan
    /// Hosts with at least one slot in the order of wrap-around packing.
    private let order: [Int]
    private let bodies: Int

    init(hosts: HostTable, policy: PlacementPolicy, expertGroups: Int) {
        self.hosts = hosts
        self.policy = policy
        self.expertGroups = expertGroups
        scratch = LayerPlan(slots: hosts.totalSlots)
        order = hosts.wrapOrder.filter { hosts.slots[$0] > 0 }
        bodies = order.reduce(0) { $0 + hosts.slots[$1] - 1 }
    }

    /// Plans a layer; `row` comes empty. There are at least as many slots as experts.
    mutating func plan(_ demand: [Double], into row: inout LayerPlan) {
        switch policy {
        case .eplb: eplb.pack(demand, on: hosts, into: &row)
        case .eplbHierarchical: eplb.pack(demand, on: hosts, groups: expertGroups, into: &row)
        case .wrap, .auto: pack(demand, into: &row)
        }
    }

    private mutating func pack(_ demand: [Double], into row: inout LayerPlan) {
        sort(demand)
        let mean = demand.reduce(0, +) / hosts.totalSpeed
        let usable = order.reduce(0) { $0 + hosts.speeds[$1] }
        if demand.count - bodies <= 1, usable == hosts.totalSpeed,
            wrap.pack(pieces[...], on: order[...], of: hosts, level: mean, into: &row)
        {
            finish(demand, &row)
            return
        }
        let bound = LowerBound.of(demand, on: hosts).value
        clear(&row)
        if demand.count - bodies <= 1 || policy == .wrap {
            packWithSlack(pieces[...], on: order[...], from: bound, into: &row)
        } else {
            packGroups(bound, into: &row)
        }
        let isPacked = row.experts.contains { $0 >= 0 }
        if isPacked { finish(demand, &row) }
        guard policy == .auto || !isPacked else { return }
        var level = isPacked ? row.level(demand, on: hosts) : .infinity
        guard level > bound * (1 + PlacementLimits.tolerance) else { return }
        clear(&scratch)
        eplb.pack(demand, on: hosts, into: &scratch)
        var flow = ShareFlow(scratch, demand, on: hosts)
        flow.settle()
        flow.write(into: &scratch)
        let theirs = scratch.level(demand, on: hosts)
        if theirs < level {
            swap(&row, &scratch)
            level = theirs
        }
        improve(demand, from: level, to: bound, &flow, &row)
    }

    /// Copies change places while that lowers the greatest load by a thousandth of what could be won: repair, with moves that cost nothing.
    private mutating func improve(_ demand: [Double], from level: Double, to bound: Double, _ flow: inout ShareFlow, _ row: inout LayerPlan)
    {
        var (low, high) = (bound, level)
        for _ in 0..<Self.improvements where high > bound * (1 + Self.contentment) {
            let goal = (low + high) / 2
            flow.start(row, demand)
            flow.aim(at: goal)
            _ = repair.run(&flow, budget: hosts.totalSlots)
            flow.settle()
            guard flow.level < high * (1 - Self.contentment / 4) else {
                low = goal
                continue
            }
            flow.write(into: &row)
            high = flow.level
        }
    }

    /// Experts ascending by load; equal loads by number.
    private mutating func sort(_ demand: [Double]) {
        keys.removeAll(keepingCapacity: true)
        for expert in demand.indices { keys.append(demand[expert].bitPattern & ~0xFFFF | UInt64(expert)) }
        keys.sort()
        pieces.removeAll(keepingCapacity: true)
        for key in keys {
            let expert = Int(key & 0xFFFF)
            pieces.append(Piece(load: demand[expert], expert: Int32(expert)))
        }
    }

    private func clear(_ row: inout LayerPlan) {
        for slot in row.experts.indices {
            row.experts[slot] = -1
            row.shares[slot] = 0
        }
    }

    /// Tokens to shares.
    private func finish(_ demand: [Double], _ row: inout LayerPlan) {
        for slot in row.experts.indices where row.experts[slot] >= 0 {
            let load = demand[Int(row.experts[slot])]
            row.shares[slot] = load > 0 ? min(1, row.shares[slot] / load) : 1
        }
    }

    /// Every group by itself, from its own mean on.
    private mutating func packGroups(_ bound: Double, into row: inout LayerPlan) {
        let all = pieces
        grouping.divide(all.map(\.load), over: order, of: hosts, level: bound)
        for group in grouping.groups {
            let ranks = hosts.wrapRanks
            let members = group.hosts.sorted { ranks[$0] < ranks[$1] }
            let experts = group.members.sorted().map { all[$0] }
            if !wrap.pack(experts[...], on: members[...], of: hosts, level: group.level, into: &row) {
                clear(members, &row)
                packWithSlack(experts[...], on: members[...], from: group.level, into: &row)
            }
        }
    }

    private func clear(_ members: [Int], _ row: inout LayerPlan) {
        for host in members {
            for slot in hosts.row(host) {
                row.experts[slot] = -1
                row.shares[slot] = 0
            }
        }
    }

    /// The lowest level above `from` at which packing succeeds: by doubling a slack of 1/4096, then by bisection.
    private mutating func packWithSlack(_ experts: ArraySlice<Piece>, on order: ArraySlice<Int>, from: Double, into row: inout LayerPlan) {
        var (low, high) = (0.0, 1.0 / 4096)
        while !attempt(experts, on: order, level: from * (1 + high), into: &row) {
            low = high
            high *= 2
            if high > 0x1p20 { return }
        }
        for _ in 0..<10 {
            let middle = (low + high) / 2
            if attempt(experts, on: order, level: from * (1 + middle), into: &row) { high = middle } else { low = middle }
        }
        _ = attempt(experts, on: order, level: from * (1 + high), into: &row)
    }

    private mutating func attempt(
        _ experts: ArraySlice<Piece>, on order: ArraySlice<Int>, level: Double, into row: inout LayerPlan
    ) -> Bool {
        clear(Array(order), &row)
        if wrap.pack(experts, on: order, of: hosts, level: level, into: &row) { return true }
        clear(Array(order), &row)
        return false
    }
}
