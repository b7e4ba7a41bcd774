// Copies of every expert in two failure domains, so that the death of a machine (or of a rack, where there are several) leaves every expert
// somewhere. Part of each host's slots takes the plan that balances; the rest takes a second copy of whatever that plan keeps in one
// domain; then shares are settled over all copies together.

/// Plans layers with copies in two domains.
struct TwoDomains {
    private let hosts: HostTable
    private let reduced: HostTable
    private var planner: LayerPlanner
    private var spare = SpareCopies()
    /// The domain of each host, numbered from 0.
    private let domains: [Int]
    private let domainCount: Int

    /// Throws `.impossible` where there are not two domains, or not two slots for every expert.
    init(_ hosts: HostTable, experts: Int) throws(PlacementError) {
        self.hosts = hosts
        domains = hosts.domains
        domainCount = (domains.max() ?? 0) + 1
        guard domainCount > 1 else {
            throw .impossible("copies in two failure domains need hosts on two nodes at least: say how many nodes there are")
        }
        guard hosts.totalSlots >= 2 * experts else {
            throw .impossible(
                "two copies of each of \(experts) experts need \(2 * experts) slots a layer, there are \(hosts.totalSlots): add "
                    + "\(2 * experts - hosts.totalSlots)")
        }
        // Each host keeps back its part of one slot an expert, as far as the other copies leave it.
        var shapes = hosts.shapes
        var open = hosts.totalSlots - experts
        for host in shapes.indices {
            let reserve = (experts * hosts.slots[host] + hosts.totalSlots - 1) / hosts.totalSlots
            shapes[host].slots = max(0, hosts.slots[host] - reserve)
            open -= shapes[host].slots
        }
        // Rounding up may have kept back too much.
        for host in shapes.indices where open > 0 && shapes[host].slots < hosts.slots[host] {
            if shapes.reduce(0, { $0 + $1.slots }) >= experts { break }
            shapes[host].slots += 1
            open -= 1
        }
        reduced = try HostTable(shapes)
        planner = LayerPlanner(hosts: reduced, policy: .auto, expertGroups: 1)
    }

    /// Plans one layer; `row` comes empty.
    mutating func plan(_ demand: [Double], fills: Bool, into row: inout LayerPlan) throws(PlacementError) {
        var small = LayerPlan(slots: reduced.totalSlots)
        planner.plan(demand, into: &small)
        for host in 0..<hosts.count {
            for (slot, source) in zip(hosts.row(host), reduced.row(host)) {
                row.experts[slot] = small.experts[source]
                row.shares[slot] = small.shares[source]
            }
        }
        try addSecondCopies(demand, &row)
        if fills { spare.fill(&row, demand, on: hosts) }
        var flow = ShareFlow(row, demand, on: hosts)
        flow.settle()
        flow.write(into: &row)
    }

    /// Which domain each expert lies in if it is one only, else -1.
    private func loneDomains(_ demand: [Double], _ row: LayerPlan) -> [Int] {
        var found = [Int](repeating: -2, count: demand.count)
        for host in 0..<hosts.count {
            for slot in hosts.row(host) where row.experts[slot] >= 0 {
                let expert = Int(row.experts[slot])
                found[expert] = found[expert] == -2 || found[expert] == domains[host] ? domains[host] : -1
            }
        }
        return found
    }

    /// The tightest domain goes first: the one whose needy experts and empty slots together are most. An expert of it goes elsewhere, or an
    /// empty slot of it takes another's. That order never runs into a dead end that could have been avoided.
    private func addSecondCopies(_ demand: [Double], _ row: inout LayerPlan) throws(PlacementError) {
        let lone = loneDomains(demand, row)
        var needy = [[Int]](repeating: [], count: domainCount)
        // The hottest last, so that they are taken first.
        for expert in demand.indices.sorted(by: { demand[$0] < demand[$1] || (demand[$0] == demand[$1] && $0 > $1) })
        where lone[expert] >= 0 {
            needy[lone[expert]].append(expert)
        }
        var empty = [[Int]](repeating: [], count: domainCount)
        for host in 0..<hosts.count {
            for slot in hosts.row(host).reversed() where row.experts[slot] < 0 { empty[domains[host]].append(slot) }
        }
        while needy.contains(where: { !$0.isEmpty }) {
            var tight = 0
            for domain in 0..<domainCount where needy[domain].count + empty[domain].count > needy[tight].count + empty[tight].count {
                tight = domain
            }
            var (source, target) = (-1, -1)
            for domain in 0..<domainCount where domain != tight {
                if target < 0 || needy[domain].count + empty[domain].count > needy[target].count + empty[target].count,
                    !(needy[tight].isEmpty ? needy[domain].isEmpty : empty[domain].isEmpty)
                {
                    target = domain
                }
            }
            (source, target) = needy[tight].isEmpty ? (target, tight) : (tight, target)
            guard source >= 0, target >= 0, let expert = needy[source].popLast(), let slot = empty[target].popLast() else {
                throw .impossible(
                    "the slots outside some failure domain are too few for second copies of what lies in it: spread slots evenly over nodes"
                )
            }
            row.experts[slot] = Int32(expert)
        }
    }
}
