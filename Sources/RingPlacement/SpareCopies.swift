// Slots that a plan leaves empty get further copies of the hottest experts, without tokens under the planned load: when loads move, and
// from batch to batch, shares can flow there. Copies go to the expert with the largest load a copy, as in EPLB; hosts take turns, so that
// the copies of one expert lie on different hosts and every host gets some.

/// Fills the empty slots of one layer after the other; buffers are kept from layer to layer.
struct SpareCopies {
    private var copies: [Int] = []
    private var heap = MaxHeap(capacity: 0)
    private var aside: [(key: Double, name: Int)] = []

    /// Fills the empty slots of `row`; one stays empty only if its host holds every expert.
    mutating func fill(_ row: inout LayerPlan, _ demand: [Double], on hosts: HostTable) {
        guard row.experts.contains(-1) else { return }
        copies = Array(repeating: 0, count: demand.count)
        for expert in row.experts where expert >= 0 { copies[Int(expert)] += 1 }
        heap.removeAll()
        for expert in demand.indices { heap.push(demand[expert] / Double(max(1, copies[expert])), expert) }
        var isLeft = true
        while isLeft {
            isLeft = false
            for host in 0..<hosts.count {
                var slot = hosts.starts[host]
                while slot < hosts.starts[host + 1], row.experts[slot] >= 0 { slot += 1 }
                guard slot < hosts.starts[host + 1], fill(slot, of: host, &row, demand, hosts) else { continue }
                isLeft = true
            }
        }
    }

    /// Puts the expert with the largest load a copy that the host does not hold into its slot; false if it holds all.
    private mutating func fill(_ slot: Int, of host: Int, _ row: inout LayerPlan, _ demand: [Double], _ hosts: HostTable) -> Bool {
        aside.removeAll(keepingCapacity: true)
        var isFilled = false
        while let top = heap.top {
            var isHeld = false
            for other in hosts.starts[host]..<hosts.starts[host + 1] where row.experts[other] == Int32(top.name) { isHeld = true }
            if isHeld {
                aside.append(top)
                heap.pop()
                continue
            }
            row.experts[slot] = Int32(top.name)
            copies[top.name] += 1
            heap.replaceTop(demand[top.name] / Double(copies[top.name]))
            isFilled = true
            break
        }
        for place in aside.indices { heap.push(aside[place].key, aside[place].name) }
        return isFilled
    }
}
