// Shares on copies that exist, for any plan: the least level t such that every host's load is at most t times its speed. Tokens are pushed
// from hosts above t along chains of experts with several copies to hosts below it. Where no chain leads out, the hosts reached can give
// their load to nobody else, so their mean is a bound, and t rises to it. Each rise is a bound, so the last t is the optimum (max-flow,
// min-cut). Repair adds and drops copies in between (Repair.swift).

/// The tokens on every copy of a layer.
package struct ShareFlow {
    let hosts: HostTable
    private(set) var experts: [Int32]
    /// Tokens of each slot's copy.
    private(set) var tokens: [Double]
    /// Load of each host in tokens, not yet divided by its speed.
    private(set) var loads: [Double]
    /// The level that hosts are brought down to.
    package private(set) var level: Double
    private(set) var demand: [Double]
    /// The failure domain of each host, where copies must stay in two of them; empty where they need not.
    var domains: [Int] = []
    /// The copies of an expert: first slot, next slot; -1 ends the list.
    private(set) var firstSlot: [Int32]
    private(set) var nextSlot: [Int32]
    private(set) var hostOf: [Int32]

    // Of the last search: hosts in the order in which they were reached, the slots that led there, and what can flow to each.
    private(set) var reached: [Int32] = []
    private var from: [Int32]
    private var to: [Int32]
    private(set) var capacity: [Double]
    private var mark: [UInt32]
    private var expertMark: [UInt32]
    private var turn: UInt32 = 0

    /// The shares of `row` under other loads. Experts of which no share is known start on their first copy.
    package init(_ row: LayerPlan, _ demand: [Double], on hosts: HostTable) {
        self.hosts = hosts
        firstSlot = Array(repeating: -1, count: demand.count)
        nextSlot = Array(repeating: -1, count: row.experts.count)
        hostOf = nextSlot
        for host in 0..<hosts.count {
            for slot in hosts.row(host) { hostOf[slot] = Int32(host) }
        }
        (experts, tokens, level, self.demand) = ([], [], 0, [])
        loads = Array(repeating: 0, count: hosts.count)
        from = Array(repeating: -1, count: hosts.count)
        to = from
        capacity = loads
        mark = Array(repeating: 0, count: hosts.count)
        expertMark = Array(repeating: 0, count: demand.count)
        start(row, demand)
    }

    /// Begins anew with another layer of the same hosts and as many experts.
    mutating func start(_ row: LayerPlan, _ demand: [Double]) {
        self.demand = demand
        experts = row.experts
        tokens = row.shares
        level = demand.reduce(0, +) / hosts.totalSpeed
        for expert in firstSlot.indices { firstSlot[expert] = -1 }
        for host in stride(from: hosts.count - 1, through: 0, by: -1) {
            var sum = 0.0
            for slot in stride(from: hosts.starts[host + 1] - 1, through: hosts.starts[host], by: -1) {
                let expert = Int(experts[slot])
                guard expert >= 0 else { continue }
                nextSlot[slot] = firstSlot[expert]
                firstSlot[expert] = Int32(slot)
                let amount = tokens[slot] * demand[expert]
                tokens[slot] = amount
                sum += amount
            }
            loads[host] = sum
        }
    }

    /// Sets the level that hosts are to be brought down to; never below the mean.
    mutating func aim(at level: Double) { self.level = max(level, demand.reduce(0, +) / hosts.totalSpeed) }

    /// What a host may still take; negative above the level.
    func room(_ host: Int) -> Double { level * hosts.speeds[host] - loads[host] }

    var tiny: Double { level * PlacementLimits.tolerance }

    /// Brings every host down to the least level that the copies allow, from the present level upwards.
    package mutating func settle() {
        for host in 0..<hosts.count {
            while room(host) < -tiny * hosts.speeds[host] {
                if push(from: host) { continue }
                // Whoever was reached shares its load with nobody else.
                var (load, speed) = (0.0, 0.0)
                for other in reached {
                    load += loads[Int(other)]
                    speed += hosts.speeds[Int(other)]
                }
                level = max(load / speed, level * (1 + PlacementLimits.tolerance))
            }
        }
    }

    /// Pushes tokens from a host above the level to the nearest host with room. False, with `reached` filled, if there is none.
    mutating func push(from host: Int) -> Bool {
        search(from: host)
        guard let goal = reached.last.map(Int.init), goal != host, room(goal) > tiny * hosts.speeds[goal] else { return false }
        let amount = min(-room(host), room(goal), capacity[goal])
        move(amount, along: goal)
        return true
    }

    /// Moves tokens along the chain that the last search found to `goal`.
    mutating func move(_ amount: Double, along goal: Int) {
        var place = goal
        while from[place] >= 0 {
            let (source, sink) = (Int(from[place]), Int(to[place]))
            let previous = Int(hostOf[source])
            tokens[source] = max(0, tokens[source] - amount)
            tokens[sink] += amount
            loads[previous] -= amount
            loads[place] += amount
            place = previous
        }
    }

    /// Breadth first from `start` along experts with tokens on a reached host and a copy elsewhere; stops at the first host with room.
    private mutating func search(from start: Int) {
        turn += 1
        reached.removeAll(keepingCapacity: true)
        reached.append(Int32(start))
        mark[start] = turn
        from[start] = -1
        capacity[start] = max(0, -room(start))
        var next = 0
        while next < reached.count {
            let host = Int(reached[next])
            next += 1
            for slot in hosts.starts[host]..<hosts.starts[host + 1] {
                let expert = Int(experts[slot])
                guard expert >= 0, tokens[slot] > tiny, expertMark[expert] != turn else { continue }
                var other = firstSlot[expert]
                guard nextSlot[Int(other)] >= 0 else { continue }
                expertMark[expert] = turn
                while other >= 0 {
                    let neighbour = Int(hostOf[Int(other)])
                    if mark[neighbour] != turn {
                        mark[neighbour] = turn
                        from[neighbour] = Int32(slot)
                        to[neighbour] = other
                        capacity[neighbour] = min(capacity[host], tokens[slot])
                        reached.append(Int32(neighbour))
                        if room(neighbour) > tiny * hosts.speeds[neighbour] { return }
                    }
                    other = nextSlot[Int(other)]
                }
            }
        }
    }

    /// Whether the last search came to `host`.
    func wasReached(_ host: Int) -> Bool { mark[host] == turn }

    /// Whether a copy of `expert` lies on `host`.
    func holds(_ host: Int, _ expert: Int) -> Bool {
        var slot = firstSlot[expert]
        while slot >= 0 {
            if Int(hostOf[Int(slot)]) == host { return true }
            slot = nextSlot[Int(slot)]
        }
        return false
    }

    /// Whether the copies of a slot's expert that are left without it lie in two domains, if that is asked for.
    func maySpare(_ slot: Int) -> Bool {
        guard !domains.isEmpty else { return true }
        var known = -1
        var other = firstSlot[Int(experts[slot])]
        while other >= 0 {
            if Int(other) != slot {
                let domain = domains[Int(hostOf[Int(other)])]
                if known >= 0, domain != known { return true }
                known = domain
            }
            other = nextSlot[Int(other)]
        }
        return false
    }

    /// Puts a copy without tokens into an empty slot.
    mutating func add(_ expert: Int, at slot: Int) {
        experts[slot] = Int32(expert)
        tokens[slot] = 0
        nextSlot[slot] = firstSlot[expert]
        firstSlot[expert] = Int32(slot)
    }

    /// Empties a slot; its tokens go to another copy of the same expert.
    mutating func drop(_ slot: Int, to heir: Int?) {
        let expert = Int(experts[slot])
        if let heir { shift(tokens[slot], from: slot, to: heir) }
        if Int(firstSlot[expert]) == slot {
            firstSlot[expert] = nextSlot[slot]
        } else {
            var before = Int(firstSlot[expert])
            while Int(nextSlot[before]) != slot { before = Int(nextSlot[before]) }
            nextSlot[before] = nextSlot[slot]
        }
        experts[slot] = -1
        tokens[slot] = 0
        nextSlot[slot] = -1
    }

    /// Moves tokens of one expert between two of its copies.
    mutating func shift(_ amount: Double, from slot: Int, to other: Int) {
        tokens[slot] = max(0, tokens[slot] - amount)
        tokens[other] += amount
        loads[Int(hostOf[slot])] -= amount
        loads[Int(hostOf[other])] += amount
    }

    /// Tokens that come from nowhere: those of an expert that had no copy.
    mutating func assign(_ amount: Double, to slot: Int) {
        tokens[slot] += amount
        loads[Int(hostOf[slot])] += amount
    }

    /// Two experts with one copy each change places.
    mutating func exchange(_ one: Int, _ other: Int) {
        let (mine, theirs) = (Int(experts[one]), Int(experts[other]))
        let difference = tokens[one] - tokens[other]
        experts.swapAt(one, other)
        tokens.swapAt(one, other)
        firstSlot[mine] = Int32(other)
        firstSlot[theirs] = Int32(one)
        loads[Int(hostOf[one])] -= difference
        loads[Int(hostOf[other])] += difference
    }

    /// Writes copies and shares; an expert without tokens gives them all to its first copy.
    func write(into row: inout LayerPlan) {
        row.experts = experts
        write(shares: &row.shares)
    }

    /// Writes shares, one for each slot.
    func write(shares: inout [Double]) {
        for expert in demand.indices {
            var sum = 0.0
            var slot = firstSlot[expert]
            while slot >= 0 {
                sum += tokens[Int(slot)]
                slot = nextSlot[Int(slot)]
            }
            slot = firstSlot[expert]
            while slot >= 0 {
                shares[Int(slot)] = sum > 0 ? tokens[Int(slot)] / sum : slot == firstSlot[expert] ? 1 : 0
                slot = nextSlot[Int(slot)]
            }
        }
        for slot in experts.indices where experts[slot] < 0 { shares[slot] = 0 }
    }
}
