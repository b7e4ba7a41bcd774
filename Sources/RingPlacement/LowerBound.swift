// What no plan can undercut. Three terms: the mean, the largest copy, and slots. A copy of an expert that has c copies carries at least w/c
// of its tokens on hosts of equal speed, w over the sum of the c greatest speeds in general, so the least possible maximum over all ways to
// give out copies bounds every plan, however tokens are split. Giving each further copy to the expert whose bound is greatest is optimal.
// And any set of hosts takes at most the load of as many of the hottest experts as it has slots, so the others carry the rest; sets are
// tried in the order of slots per speed. With hosts alike that term is never above the mean.

package enum LowerBound {
    /// The bound of one layer and the term that decides it.
    package static func of(_ demand: [Double], on hosts: HostTable) -> (value: Double, active: Certificate.Bound) {
        let mean = demand.reduce(0, +) / hosts.totalSpeed
        let copy = largestCopy(demand, on: hosts, above: mean)
        let slots = hosts.areAlike ? 0 : leftByFewSlots(demand, on: hosts)
        if slots > copy, slots > mean { return (slots, .slots) }
        return copy > mean ? (copy, .largestCopy) : (mean, .mean)
    }

    /// The greatest mean of the hosts beyond a set whose slots are all filled with the hottest experts.
    private static func leftByFewSlots(_ demand: [Double], on hosts: HostTable) -> Double {
        let hottest = demand.sorted(by: >)
        let ratios = (0..<hosts.count).map { Double(hosts.slots[$0]) / hosts.speeds[$0] }
        let order = (0..<hosts.count).sorted { ratios[$0] < ratios[$1] || (ratios[$0] == ratios[$1] && $0 < $1) }
        var (rest, speed, taken, best) = (demand.reduce(0, +), hosts.totalSpeed, 0, 0.0)
        for host in order.dropLast() {
            for _ in 0..<hosts.slots[host] where taken < hottest.count {
                rest -= hottest[taken]
                taken += 1
            }
            speed -= hosts.speeds[host]
            best = max(best, rest / speed)
        }
        return best
    }

    /// The least over all copy counts of the largest bound of an expert; anything at or below `floor` is not told apart.
    private static func largestCopy(_ demand: [Double], on hosts: HostTable, above floor: Double) -> Double {
        // No copy runs on a host faster than the fastest, so hosts without slots do no harm: the bound only gets weaker.
        var copies: [(expert: Int, count: Int)] = []
        for expert in demand.indices where demand[expert] / hosts.fastest[1] > floor { copies.append((expert, 1)) }
        var spare = hosts.totalSlots - demand.count
        var heap = MaxHeap(capacity: copies.count)
        for place in copies.indices { heap.push(demand[copies[place].expert] / hosts.fastest[1], place) }
        while let (bound, place) = heap.top {
            if bound <= floor { return floor }
            if spare == 0 || copies[place].count == hosts.count { return bound }
            spare -= 1
            copies[place].count += 1
            heap.replaceTop(demand[copies[place].expert] / hosts.fastest[copies[place].count])
        }
        return floor
    }
}

/// A heap of numbered keys, greatest first; among equals the lower number comes first, so that a plan never depends on chance.
struct MaxHeap {
    private var keys: [Double] = []
    private var names: [Int] = []

    init(capacity: Int) {
        keys.reserveCapacity(capacity)
        names.reserveCapacity(capacity)
    }

    var isEmpty: Bool { keys.isEmpty }
    var top: (key: Double, name: Int)? { keys.isEmpty ? nil : (keys[0], names[0]) }

    mutating func removeAll() {
        keys.removeAll(keepingCapacity: true)
        names.removeAll(keepingCapacity: true)
    }

    mutating func push(_ key: Double, _ name: Int) {
        keys.append(key)
        names.append(name)
        var place = keys.count - 1
        while place > 0 {
            let parent = (place - 1) / 2
            guard isBefore(place, parent) else { return }
            exchange(place, parent)
            place = parent
        }
    }

    /// Gives the top another key and puts it where it belongs.
    mutating func replaceTop(_ key: Double) {
        keys[0] = key
        sink()
    }

    mutating func pop() {
        exchange(0, keys.count - 1)
        keys.removeLast()
        names.removeLast()
        if !keys.isEmpty { sink() }
    }

    private mutating func sink() {
        var place = 0
        while true {
            var best = place
            let child = 2 * place + 1
            if child < keys.count, isBefore(child, best) { best = child }
            if child + 1 < keys.count, isBefore(child + 1, best) { best = child + 1 }
            guard best != place else { return }
            exchange(place, best)
            place = best
        }
    }

    private func isBefore(_ one: Int, _ other: Int) -> Bool {
        keys[one] > keys[other] || (keys[one] == keys[other] && names[one] < names[other])
    }

    private mutating func exchange(_ one: Int, _ other: Int) {
        keys.swapAt(one, other)
        names.swapAt(one, other)
    }
}
