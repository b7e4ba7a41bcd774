// Shares from batch to batch. Copies stay where they are; what each takes of the next batch is computed anew, which costs no move. Under
// wrap-around packing hosts and experts with several copies form a forest, and one walk over it from the leaves to the roots decides
// whether a level t suffices: each host takes what only it can take, and then as much as fits of the expert that leads to the root. Where
// that is too much, the hosts that are full below have a mean that no split undercuts, and t rises to it; a few walks reach the optimum.
// Copies that close a circle are left to ShareFlow on few hosts, and left out on many, where they are few beside the forest. Prepared once
// for a layer.

/// Splits the batches of one layer over its copies.
public struct Resplitter: Sendable {
    private let hosts: HostTable
    private let experts: Int
    private let layer: LayerPlan
    /// Whether the copies form a forest, so that the walk finds the least level that they allow.
    public let isForest: Bool
    /// Slots whose copies the walk leaves out.
    private var unused: [Int] = []
    /// Splits in place of the walk; nil where there is a walk.
    private var flow: ShareFlow?

    /// With more hosts copies that close a circle are left out: pushing tokens would take longer than a batch can wait.
    private static let flowHosts = 32

    // Hosts from the leaves to the roots; entry p of each array belongs to the p-th.
    private var speeds: [Double] = []
    /// Experts of which the host has the only copy, flat, and where each host's begin.
    private var own: [Int32] = []
    private var ownSlots: [Int32] = []
    private var ownStarts: [Int32] = [0]
    /// Experts whose copies below the host have been filled, flat, and where each host's begin; numbers among experts with several copies.
    private var below: [Int32] = []
    private var belowStarts: [Int32] = [0]
    private var belowSlots: [Int32] = []
    /// The expert that leads to the root, and the slot of this host's copy; -1 at a root.
    private var upward: [Int32] = []
    private var upwardSlots: [Int32] = []
    /// Experts with several copies.
    private var shared: [Int32] = []

    private var base: [Double] = []
    private var rest: [Double] = []
    private var clusterLoad: [Double] = []
    private var clusterSpeed: [Double] = []

    /// Prepares for the copies of `layer`, of `experts` experts on `shapes`. Throws `.hosts`.
    public init(_ layer: LayerPlan, experts: Int, on shapes: [HostShape]) throws(PlacementError) {
        try self.init(layer, experts: experts, table: HostTable(shapes))
    }

    package init(_ layer: LayerPlan, experts: Int, table hosts: HostTable) {
        self.hosts = hosts
        self.experts = experts
        self.layer = layer
        var walk = ForestWalk(layer, experts: experts, on: hosts)
        unused = layer.experts.indices.filter { layer.experts[$0] >= 0 && !walk.isUsed[$0] }
        isForest = unused.isEmpty
        guard isForest || hosts.count > Self.flowHosts else {
            flow = ShareFlow(layer, Array(repeating: 0, count: experts), on: hosts)
            return
        }
        walk.run()
        shared = walk.shared
        for host in walk.order {
            speeds.append(hosts.speeds[host])
            for slot in hosts.row(host) where walk.isUsed[slot] {
                let expert = Int(layer.experts[slot])
                let number = walk.numbers[expert]
                if number < 0 {
                    ownSlots.append(Int32(slot))
                    own.append(Int32(expert))
                } else if walk.upward[host] != number {
                    below.append(number)
                    belowSlots.append(Int32(slot))
                } else {
                    upwardSlots.append(Int32(slot))
                }
            }
            upward.append(walk.upward[host])
            if walk.upward[host] < 0 { upwardSlots.append(-1) }
            ownStarts.append(Int32(own.count))
            belowStarts.append(Int32(below.count))
        }
        base = Array(repeating: 0, count: speeds.count)
        rest = Array(repeating: 0, count: shared.count)
        clusterLoad = rest
        clusterSpeed = rest
    }

    /// The least level for a batch of `loads` tokens by expert; `shares`, one for each slot of the layer's row, is set to the fractions
    /// that reach it.
    public mutating func split(_ loads: [Double], into shares: inout [Double]) -> Double {
        precondition(loads.count == experts && shares.count == layer.experts.count, "one load an expert, one share a slot")
        if flow != nil { return settle(loads, into: &shares) }
        for slot in unused { shares[slot] = 0 }
        for slot in ownSlots { shares[Int(slot)] = 1 }
        var total = 0.0
        for place in speeds.indices {
            var sum = 0.0
            for entry in Int(ownStarts[place])..<Int(ownStarts[place + 1]) { sum += loads[Int(own[entry])] }
            base[place] = sum
            total += sum
        }
        for number in shared.indices { total += loads[Int(shared[number])] }
        var level = total / hosts.totalSpeed
        // Each walk but the last raises the level to the mean of a set of hosts that was not tight before, so there are few; the bound on
        // their number only guards against rounding.
        for _ in 0..<speeds.count + 2 {
            let needed = walk(loads, level, &shares)
            if needed <= level * (1 + PlacementLimits.tolerance) { break }
            level = needed
        }
        return level
    }

    /// One walk at `level`: writes shares, and returns the level that the fullest set of hosts needs.
    private mutating func walk(_ loads: [Double], _ level: Double, _ shares: inout [Double]) -> Double {
        var needed = level
        for number in shared.indices {
            rest[number] = loads[Int(shared[number])]
            clusterLoad[number] = rest[number]
            clusterSpeed[number] = 0
        }
        for place in speeds.indices {
            var load = base[place]
            var (clusterOfHost, speedOfHost) = (load, speeds[place])
            for entry in Int(belowStarts[place])..<Int(belowStarts[place + 1]) {
                let number = Int(below[entry])
                let amount = rest[number]
                let whole = loads[Int(shared[number])]
                // An expert without a token has to lie somewhere.
                shares[Int(belowSlots[entry])] = whole > 0 ? amount / whole : 1
                guard amount > 0 else { continue }
                load += amount
                clusterOfHost += clusterLoad[number]
                speedOfHost += clusterSpeed[number]
            }
            let cap = level * speeds[place]
            if load > cap { needed = max(needed, clusterOfHost / speedOfHost) }
            guard upward[place] >= 0 else { continue }
            let number = Int(upward[place])
            let amount = max(0, min(cap - load, rest[number]))
            let whole = loads[Int(shared[number])]
            shares[Int(upwardSlots[place])] = whole > 0 ? amount / whole : 0
            rest[number] -= amount
            clusterLoad[number] += clusterOfHost
            clusterSpeed[number] += speedOfHost
        }
        return needed
    }

    private mutating func settle(_ loads: [Double], into shares: inout [Double]) -> Double {
        guard var flow else { return 0 }
        self.flow = nil
        flow.start(layer, loads)
        flow.settle()
        flow.write(shares: &shares)
        self.flow = flow
        return flow.level
    }
}

/// Orders hosts so that everything below one comes before it, in the forest of hosts and experts with several copies. Copies that close a
/// circle are not used; those with tokens under the planned load come first.
private struct ForestWalk {
    /// Hosts from leaves to roots.
    var order: [Int] = []
    /// By host, the number of the expert that leads to its root; -1 at a root.
    var upward: [Int32]
    /// Experts with several copies, and the number of each expert among them or -1.
    var shared: [Int32] = []
    var numbers: [Int32]

    /// By slot, whether its copy belongs to the forest.
    var isUsed: [Bool]

    private let layer: LayerPlan
    private let hosts: HostTable
    private var holders: [[Int32]] = []

    init(_ layer: LayerPlan, experts: Int, on hosts: HostTable) {
        self.layer = layer
        self.hosts = hosts
        upward = Array(repeating: -1, count: hosts.count)
        numbers = Array(repeating: -1, count: experts)
        isUsed = Self.forest(layer, experts: experts, on: hosts)
        var counts = [Int](repeating: 0, count: experts)
        for slot in layer.experts.indices where isUsed[slot] { counts[Int(layer.experts[slot])] += 1 }
        for expert in 0..<experts where counts[expert] > 1 {
            numbers[expert] = Int32(shared.count)
            shared.append(Int32(expert))
        }
        holders = Array(repeating: [], count: shared.count)
        for host in 0..<hosts.count {
            for slot in hosts.row(host) where isUsed[slot] {
                let number = numbers[Int(layer.experts[slot])]
                if number >= 0 { holders[Int(number)].append(Int32(host)) }
            }
        }
    }

    /// Copies that do not close a circle, found by joining hosts and experts.
    private static func forest(_ layer: LayerPlan, experts: Int, on hosts: HostTable) -> [Bool] {
        var parents = Array(0..<hosts.count + experts)
        func root(_ node: Int) -> Int {
            var place = node
            while parents[place] != place {
                parents[place] = parents[parents[place]]
                place = parents[place]
            }
            return place
        }
        var isUsed = [Bool](repeating: false, count: layer.experts.count)
        for takesTokens in [true, false] {
            for host in 0..<hosts.count {
                for slot in hosts.row(host) where layer.experts[slot] >= 0 && (layer.shares[slot] > 0) == takesTokens {
                    let (one, other) = (root(host), root(hosts.count + Int(layer.experts[slot])))
                    guard one != other else { continue }
                    parents[one] = other
                    isUsed[slot] = true
                }
            }
        }
        return isUsed
    }

    /// From each root outwards, then turned round.
    mutating func run() {
        var isSeen = [Bool](repeating: false, count: hosts.count)
        for root in 0..<hosts.count where !isSeen[root] {
            var next = order.count
            order.append(root)
            isSeen[root] = true
            while next < order.count {
                let host = order[next]
                next += 1
                for slot in hosts.row(host) where isUsed[slot] {
                    let number = numbers[Int(layer.experts[slot])]
                    guard number >= 0, number != upward[host] else { continue }
                    for other in holders[Int(number)] where Int(other) != host {
                        isSeen[Int(other)] = true
                        upward[Int(other)] = number
                        order.append(Int(other))
                    }
                }
            }
        }
        order.reverse()
    }
}
