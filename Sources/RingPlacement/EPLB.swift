// The baseline: replication and packing as DeepSeek's expert-parallel load balancer does them (deepseek-ai/EPLB), written from its
// description. Equal split between the copies of an expert; the old plan is forgotten. Global: copies go one by one to the expert with the
// largest load a copy, then all copies, largest first, to the host with the least load and a free slot. Hierarchical: groups of experts are
// packed onto nodes first, as many on each, and the rest happens within nodes.

/// Packs one layer after the other; buffers are kept from layer to layer.
struct EPLB {
    private var copies: [Int] = []
    /// The expert of each copy, first copies first.
    private var physical: [Int] = []
    private var heap = MaxHeap(capacity: 0)
    private var order: [UInt64] = []
    private var loads: [Double] = []
    private var filled: [Int] = []

    /// One layer in global mode.
    mutating func pack(_ demand: [Double], on hosts: HostTable, into row: inout LayerPlan) {
        pack(demand, experts: Array(demand.indices), hosts: Array(0..<hosts.count), of: hosts, into: &row)
        mergeDoubles(of: hosts, in: &row)
    }

    /// One layer, groups of experts to nodes first. Falls back to global mode where groups cannot be dealt evenly: the number of groups is
    /// no multiple of the number of nodes, or nodes differ in slots.
    mutating func pack(_ demand: [Double], on hosts: HostTable, groups: Int, into row: inout LayerPlan) {
        let members = Self.members(ofNodesIn: hosts)
        let nodeSlots = members.map { $0.reduce(0) { $0 + hosts.slots[$1] } }
        let isEven = groups > 0 && groups % members.count == 0 && demand.count % groups == 0 && nodeSlots.allSatisfy { $0 == nodeSlots[0] }
        guard isEven, members.count > 1 else {
            pack(demand, on: hosts, into: &row)
            return
        }
        let size = demand.count / groups
        let weights = (0..<groups).map { group in demand[group * size..<(group + 1) * size].reduce(0, +) }
        var nodeLoads = [Double](repeating: 0, count: members.count)
        var dealt = [[Int]](repeating: [], count: members.count)
        for group in (0..<groups).sorted(by: { weights[$0] > weights[$1] || (weights[$0] == weights[$1] && $0 < $1) }) {
            var best = -1
            for node in members.indices where dealt[node].count < demand.count / members.count {
                if best < 0 || nodeLoads[node] < nodeLoads[best] { best = node }
            }
            nodeLoads[best] += weights[group]
            dealt[best] += Array(group * size..<(group + 1) * size)
        }
        for node in members.indices { pack(demand, experts: dealt[node], hosts: members[node], of: hosts, into: &row) }
        mergeDoubles(of: hosts, in: &row)
    }

    private static func members(ofNodesIn hosts: HostTable) -> [[Int]] {
        let nodes = hosts.shapes.indices.sorted {
            hosts.shapes[$0].node < hosts.shapes[$1].node || (hosts.shapes[$0].node == hosts.shapes[$1].node && $0 < $1)
        }
        var members: [[Int]] = []
        for (place, host) in nodes.enumerated() {
            if place > 0, hosts.shapes[nodes[place - 1]].node == hosts.shapes[host].node {
                members[members.count - 1].append(host)
            } else {
                members.append([host])
            }
        }
        return members
    }

    /// Replication and packing of some experts onto some hosts.
    private mutating func pack(
        _ demand: [Double], experts: [Int], hosts some: [Int], of hosts: HostTable, into row: inout LayerPlan
    ) {
        let slots = some.reduce(0) { $0 + hosts.slots[$1] }
        copies = Array(repeating: 1, count: experts.count)
        heap.removeAll()
        for (place, expert) in experts.enumerated() { heap.push(demand[expert], place) }
        physical = Array(experts.indices)
        for _ in experts.count..<max(experts.count, slots) {
            guard let (_, place) = heap.top else { return }
            copies[place] += 1
            physical.append(place)
            heap.replaceTop(demand[experts[place]] / Double(copies[place]))
        }
        // Copies by load; among equals first copies come before further ones, each in the order in which they were made. A key's low bits
        // hold that order, inverted, since keys descend.
        order.removeAll(keepingCapacity: true)
        for (number, place) in physical.enumerated() {
            let load = demand[experts[place]] / Double(copies[place])
            order.append(load.bitPattern & ~0xFF_FFFF | UInt64(0xFF_FFFF - number))
        }
        order.sort(by: >)
        heap.removeAll()
        loads = Array(repeating: 0, count: some.count)
        filled = Array(repeating: 0, count: some.count)
        for (place, host) in some.enumerated() where hosts.slots[host] > 0 { heap.push(0, place) }
        for key in order {
            let place = physical[0xFF_FFFF - Int(key & 0xFF_FFFF)]
            guard let (_, host) = heap.top else { return }
            let slot = hosts.starts[some[host]] + filled[host]
            row.experts[slot] = Int32(experts[place])
            row.shares[slot] = 1 / Double(copies[place])
            loads[host] += demand[experts[place]] / Double(copies[place]) / hosts.speeds[some[host]]
            filled[host] += 1
            if filled[host] == hosts.slots[some[host]] { heap.pop() } else { heap.replaceTop(-loads[host]) }
        }
    }

    /// Two copies of an expert on one host are one copy with both shares: the second slot is empty and says so.
    private func mergeDoubles(of hosts: HostTable, in row: inout LayerPlan) {
        for host in 0..<hosts.count {
            let slots = hosts.row(host)
            for slot in slots where row.experts[slot] >= 0 {
                for earlier in slots.lowerBound..<slot where row.experts[earlier] == row.experts[slot] {
                    row.shares[earlier] = min(1, row.shares[earlier] + row.shares[slot])
                    row.experts[slot] = -1
                    row.shares[slot] = 0
                    break
                }
            }
        }
    }
}
