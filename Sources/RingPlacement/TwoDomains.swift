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
        var empty = emptySlots(row)
        // Where each domain's experts went last: their copies are to lie far apart, so that the death of one domain burdens all others.
        var last = [Int](0..<domainCount)
        while needy.contains(where: { !$0.isEmpty }) {
            let tight = tightest(needy, empty, besides: -1) { _ in true }
            let source = needy[tight].isEmpty ? tightest(needy, empty, besides: tight) { !needy[$0].isEmpty } : tight
            var target = tight
            if source == tight {
                let total = empty.reduce(0) { $0 + $1.count }
                let second = tightest(needy, empty, besides: source) { !empty[$0].isEmpty }
                if second >= 0, needy[second].count + empty[second].count >= total {
                    target = second
                } else {
                    target = -1
                    for step in 1...domainCount {
                        let domain = (last[source] + step) % domainCount
                        if domain == source || empty[domain].isEmpty { continue }
                        if target < 0 || empty[domain].count > empty[target].count { target = domain }
                    }
                }
            }
            guard source >= 0, target >= 0, target != source, let expert = needy[source].popLast(), let slot = empty[target].popLast()
            else {
                throw .impossible(
                    "the slots outside some failure domain are too few for second copies of what lies in it: spread slots evenly over nodes"
                )
            }
            last[source] = target
            row.experts[slot] = Int32(expert)
        }
    }

    /// The domain, of those that `isMeant`, whose needy experts and empty slots together are most; -1 if there is none.
    private func tightest(_ needy: [[Int]], _ empty: [[Int]], besides: Int, _ isMeant: (Int) -> Bool) -> Int {
        var best = -1
        for domain in 0..<domainCount where domain != besides && isMeant(domain) {
            if best < 0 || needy[domain].count + empty[domain].count > needy[best].count + empty[best].count { best = domain }
        }
        return best
    }

    /// Empty slots by domain, the hosts of a domain taking turns.
    private func emptySlots(_ row: LayerPlan) -> [[Int]] {
        var empty = [[Int]](repeating: [], count: domainCount)
        var turn = 0
        var isLeft = true
        while isLeft {
            isLeft = false
            for host in 0..<hosts.count where turn < hosts.slots[host] {
                isLeft = true
                let slot = hosts.starts[host] + turn
                if row.experts[slot] < 0 { empty[domains[host]].append(slot) }
            }
            turn += 1
        }
        return empty
    }
}
