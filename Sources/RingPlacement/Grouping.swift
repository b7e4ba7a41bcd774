// Plans where slots are short. The copies of any plan can be thinned out to a forest without changing a host's load, and a tree over k
// hosts of S slots holds at most k (S - 1) + 1 experts; the other way round, wrap-around packing balances any such set of experts over k
// hosts exactly (Docs/PLACEMENT.md, theorems 1 and 2). So the whole problem is to divide experts and hosts into groups whose mean loads are
// as equal as can be. With E experts over fewer than E + G - 1 slots there are at least E - sum(S - 1) groups.

/// Finds groups for one layer after the other.
struct Grouping {
    /// A group: its hosts, and places of its experts in the ascending order of the layer.
    struct Group {
        var hosts: [Int] = []
        var members: [Int] = []
        var load = 0.0
        var speed = 0.0
        /// Experts that it can take beyond those it has.
        var free = 0
        var level: Double { load / speed }
    }

    /// So close to the bound no other number of groups is tried.
    private static let contentment = 0.001
    /// Work of one layer's local search, in comparisons: some 10 ms.
    private static let effort = 4_000_000

    private(set) var groups: [Group] = []
    private var loads: [Double] = []

    /// Divides the experts, whose loads ascend, over hosts with at least one slot each. `level` is the layer's lower bound: nothing is
    /// looked for once it is reached. The least number of groups leaves the most hosts to hot experts and no slot empty; more groups leave
    /// empty slots, which hot hosts may need. Which is better depends on the loads, so some numbers are tried.
    mutating func divide(_ loads: [Double], over order: [Int], of hosts: HostTable, level: Double) {
        self.loads = loads
        let bodies = order.reduce(0) { $0 + hosts.slots[$1] - 1 }
        let least = max(1, min(order.count, loads.count - bodies))
        let most = min(order.count, loads.count)
        let mean = loads.reduce(0, +) / order.reduce(0) { $0 + hosts.speeds[$1] }
        var best: (level: Double, groups: [Group])?
        var (count, step) = (least, 1)
        while count <= most {
            groups = Array(repeating: Group(), count: count)
            dealHosts(order, of: hosts)
            dealExperts(mean: mean)
            improve(of: hosts, until: level * (1 + 1e-6))
            let found = groups.reduce(0) { max($0, $1.level) }
            if found < best?.level ?? .infinity { best = (found, groups) }
            if found <= level * (1 + Self.contentment) { break }
            count += step
            step += (step + 1) / 2
        }
        if let best { groups = best.groups }
    }

    /// The hottest experts head a group each; hosts, the fastest first, go to the group whose head is hottest for its speed.
    private mutating func dealHosts(_ order: [Int], of hosts: HostTable) {
        for group in groups.indices {
            let place = loads.count - 1 - group
            groups[group].members.append(place)
            groups[group].load = loads[place]
            groups[group].free = 0
        }
        var heap = MaxHeap(capacity: groups.count)
        let fastest = order.sorted { hosts.speeds[$0] > hosts.speeds[$1] || (hosts.speeds[$0] == hosts.speeds[$1] && $0 < $1) }
        for (turn, host) in fastest.enumerated() {
            // The first round goes by heat of the heads, which descends with the group's number.
            let group = turn < groups.count ? turn : heap.top?.name ?? 0
            groups[group].hosts.append(host)
            groups[group].speed += hosts.speeds[host]
            groups[group].free += hosts.slots[host] - 1
            if turn < groups.count { heap.push(groups[group].level, group) } else { heap.replaceTop(groups[group].level) }
        }
    }

    /// The other experts, hottest first, each to the group that must take the largest ones to come to the mean.
    private mutating func dealExperts(mean: Double) {
        var heap = MaxHeap(capacity: groups.count)
        for group in groups.indices where groups[group].free > 0 { heap.push(need(group, mean), group) }
        for place in stride(from: loads.count - 1 - groups.count, through: 0, by: -1) {
            guard let (_, group) = heap.top else { return }
            add(place, to: group)
            if groups[group].free == 0 { heap.pop() } else { heap.replaceTop(need(group, mean)) }
        }
    }

    private func need(_ group: Int, _ mean: Double) -> Double {
        (mean * groups[group].speed - groups[group].load) / Double(groups[group].free)
    }

    private mutating func add(_ place: Int, to group: Int) {
        groups[group].members.append(place)
        groups[group].load += loads[place]
        groups[group].free -= 1
    }

    /// Exchanges experts, or moves a host with the coldest experts of its group, as long as the hottest group gets cooler.
    private mutating func improve(of hosts: HostTable, until goal: Double) {
        var effort = Self.effort
        while effort > 0, groups.count > 1 {
            var hottest = 0
            for group in groups.indices where groups[group].level > groups[hottest].level { hottest = group }
            effort -= groups.count + groups[hottest].members.count * loads.count
            if groups[hottest].level <= goal { return }
            if exchange(with: hottest) { continue }
            if !takeHost(to: hottest, of: hosts) { return }
        }
    }

    /// The exchange of two experts, or the move of one into a free place, after which the worse of both groups is coolest.
    private mutating func exchange(with hottest: Int) -> Bool {
        let level = groups[hottest].level
        var best = (level: level * (1 - 1e-9), mine: -1, other: -1, theirs: -1)
        for other in groups.indices where other != hottest && groups[other].level < best.level {
            for mine in groups[hottest].members.indices {
                let load = loads[groups[hottest].members[mine]]
                if groups[other].free > 0 {
                    weigh(load, hottest, mine, other, -1, &best)
                }
                for theirs in groups[other].members.indices {
                    let difference = load - loads[groups[other].members[theirs]]
                    if difference > 0 { weigh(difference, hottest, mine, other, theirs, &best) }
                }
            }
        }
        guard best.mine >= 0 else { return false }
        let mine = groups[hottest].members[best.mine]
        if best.theirs < 0 {
            groups[hottest].members.remove(at: best.mine)
            groups[hottest].free += 1
            groups[hottest].load -= loads[mine]
            add(mine, to: best.other)
        } else {
            let theirs = groups[best.other].members[best.theirs]
            groups[hottest].members[best.mine] = theirs
            groups[best.other].members[best.theirs] = mine
            groups[hottest].load += loads[theirs] - loads[mine]
            groups[best.other].load += loads[mine] - loads[theirs]
        }
        return true
    }

    private func weigh(
        _ difference: Double, _ hottest: Int, _ mine: Int, _ other: Int, _ theirs: Int,
        _ best: inout (level: Double, mine: Int, other: Int, theirs: Int)
    ) {
        let level = max(
            (groups[hottest].load - difference) / groups[hottest].speed, (groups[other].load + difference) / groups[other].speed)
        if level < best.level { best = (level, mine, other, theirs) }
    }

    /// A host of another group, with as many of that group's coldest experts as it has slots beyond the first.
    private mutating func takeHost(to hottest: Int, of hosts: HostTable) -> Bool {
        var best = (level: groups[hottest].level * (1 - 1e-9), donor: -1, host: -1)
        for donor in groups.indices where donor != hottest && groups[donor].hosts.count > 1 {
            groups[donor].members.sort()
            for (place, host) in groups[donor].hosts.enumerated() {
                let taken = min(hosts.slots[host] - 1, groups[donor].members.count - 1)
                let load = groups[donor].members[..<taken].reduce(0) { $0 + loads[$1] }
                let speed = hosts.speeds[host]
                let level = max(
                    (groups[hottest].load + load) / (groups[hottest].speed + speed),
                    (groups[donor].load - load) / (groups[donor].speed - speed))
                if level < best.level { best = (level, donor, place) }
            }
        }
        guard best.donor >= 0 else { return false }
        let host = groups[best.donor].hosts.remove(at: best.host)
        let taken = min(hosts.slots[host] - 1, groups[best.donor].members.count - 1)
        let members = groups[best.donor].members.prefix(taken)
        groups[best.donor].members.removeFirst(taken)
        let load = members.reduce(0) { $0 + loads[$1] }
        groups[best.donor].load -= load
        groups[best.donor].speed -= hosts.speeds[host]
        groups[best.donor].free -= hosts.slots[host] - 1 - taken
        groups[hottest].hosts.append(host)
        groups[hottest].members += members
        groups[hottest].load += load
        groups[hottest].speed += hosts.speeds[host]
        groups[hottest].free += hosts.slots[host] - 1 - taken
        return true
    }
}
