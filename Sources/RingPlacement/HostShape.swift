// Where experts can lie: hosts with a number of slots, a speed and a place in the cluster, and what the planner derives from them once.

/// One host as the planner sees it: a worker with the memory for some experts of every layer.
public struct HostShape: Hashable, Sendable {
    /// Experts of a layer that it holds at most.
    public var slots: Int
    /// Tokens a second relative to the others; 1 is the usual host.
    public var speed: Double
    /// Bytes for expert weights, if they are known.
    public var memory: Int?
    /// The machine: the smaller failure domain.
    public var node: Int
    /// The rack: the larger one.
    public var rack: Int

    /// A host with `slots` slots a layer.
    public init(slots: Int, speed: Double = 1, memory: Int? = nil, node: Int = 0, rack: Int = 0) {
        self.slots = slots
        self.speed = speed
        self.memory = memory
        self.node = node
        self.rack = rack
    }
}

/// Hosts, examined once for all layers.
package struct HostTable: Hashable, Sendable {
    package let shapes: [HostShape]
    package let slots: [Int]
    package let speeds: [Double]
    /// First slot of each host in a layer's row of slots; one more entry for the end.
    package let starts: [Int]
    package let totalSlots: Int
    package let totalSpeed: Double
    /// Whether all have the same slots and speed.
    package let areAlike: Bool
    /// The order in which wrap-around packing fills hosts: slots beyond the first per speed, ascending (Docs/PLACEMENT.md, theorem 1).
    package let wrapOrder: [Int]
    /// Each host's place in that order.
    package let wrapRanks: [Int]
    /// Sum of the c greatest speeds at index c: what c copies of one expert can use at best.
    package let fastest: [Double]

    package var count: Int { slots.count }

    package init(_ shapes: [HostShape]) throws(PlacementError) {
        guard !shapes.isEmpty, shapes.count <= PlacementLimits.hosts else {
            throw .hosts("a plan needs 1 to \(PlacementLimits.hosts) hosts, got \(shapes.count)")
        }
        for (host, shape) in shapes.enumerated() {
            guard shape.slots >= 0, shape.slots <= PlacementLimits.slotsOfHost else {
                throw .hosts("host \(host) has \(shape.slots) slots: give 0 to \(PlacementLimits.slotsOfHost)")
            }
            guard shape.speed >= 1e-6, shape.speed <= 1e6 else {
                throw .hosts("host \(host) has the speed \(shape.speed): give 0.000001 to 1000000, 1 being the usual host")
            }
        }
        self.shapes = shapes
        slots = shapes.map(\.slots)
        speeds = shapes.map(\.speed)
        var starts = [0]
        for shape in shapes { starts.append(starts[starts.count - 1] + shape.slots) }
        self.starts = starts
        totalSlots = starts[shapes.count]
        guard totalSlots <= PlacementLimits.slotsOfLayer else {
            throw .hosts("the hosts have \(totalSlots) slots together: plans take at most \(PlacementLimits.slotsOfLayer) a layer")
        }
        totalSpeed = speeds.reduce(0, +)
        areAlike = shapes.allSatisfy { $0.speed == shapes[0].speed && $0.slots == shapes[0].slots }
        let ratios = shapes.map { Double($0.slots - 1) / $0.speed }
        wrapOrder = shapes.indices.sorted { ratios[$0] < ratios[$1] || (ratios[$0] == ratios[$1] && $0 < $1) }
        var ranks = wrapOrder
        for (rank, host) in wrapOrder.enumerated() { ranks[host] = rank }
        wrapRanks = ranks
        var sums = [0.0]
        for speed in speeds.sorted(by: >) { sums.append(sums[sums.count - 1] + speed) }
        fastest = sums
    }

    /// Whether wrap-around packing balances any loads of so many experts exactly (Docs/PLACEMENT.md, theorem 1).
    package func isExact(for experts: Int) -> Bool {
        let ratio = Double(experts - 1) / totalSpeed
        return shapes.allSatisfy { Double($0.slots - 1) >= ratio * $0.speed * (1 - 1e-12) }
    }

    /// The failure domain of each host, numbered from 0: its rack if there are several, else its node.
    package var domains: [Int] {
        let byRack = shapes.contains { $0.rack != shapes[0].rack }
        let names = shapes.map { byRack ? $0.rack : $0.node }
        var distinct: [Int] = []
        for name in names.sorted() where distinct.last != name { distinct.append(name) }
        return names.map { name in
            var (low, high) = (0, distinct.count - 1)
            while low < high {
                let middle = (low + high) / 2
                if distinct[middle] < name { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    /// The slots of a host in a layer's row.
    package func row(_ host: Int) -> Range<Int> { starts[host]..<starts[host + 1] }
}
