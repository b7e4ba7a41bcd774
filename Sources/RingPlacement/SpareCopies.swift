// Slots that a plan leaves empty get further copies of the hottest experts, without tokens under the planned load: when loads move, and
// from batch to batch, shares can flow there. Copies go to the expert with the largest load a copy, as in EPLB.

enum SpareCopies {
    /// Fills the empty slots of `row`; one stays empty only if its host holds every expert.
    static func fill(_ row: inout LayerPlan, _ demand: [Double], on hosts: HostTable) {
        var open: [Int] = []
        for host in 0..<hosts.count where hosts.row(host).contains(where: { row.experts[$0] < 0 }) { open.append(host) }
        guard !open.isEmpty else { return }
        var copies = [Int](repeating: 0, count: demand.count)
        for expert in row.experts where expert >= 0 { copies[Int(expert)] += 1 }
        var heap = MaxHeap(capacity: demand.count)
        for expert in demand.indices { heap.push(demand[expert] / Double(max(1, copies[expert])), expert) }
        var turn = 0
        while !open.isEmpty, let (_, expert) = heap.top {
            // Hosts take turns, so that the copies of one expert lie far apart and every host gets some.
            var place = -1
            for step in open.indices where place < 0 {
                let candidate = (turn + step) % open.count
                if !hosts.row(open[candidate]).contains(where: { row.experts[$0] == Int32(expert) }) { place = candidate }
            }
            guard place >= 0 else {
                heap.pop()
                continue
            }
            let slots = hosts.row(open[place])
            if let slot = slots.first(where: { row.experts[$0] < 0 }) { row.experts[slot] = Int32(expert) }
            copies[expert] += 1
            heap.replaceTop(demand[expert] / Double(copies[expert]))
            turn = place + 1
            if !slots.contains(where: { row.experts[$0] < 0 }) {
                open.remove(at: place)
                turn = place
            }
            if turn >= open.count { turn = 0 }
        }
    }
}
