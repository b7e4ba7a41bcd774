// A plan: which experts each host holds in each layer, and which share of an expert's tokens each copy takes. Flat arrays, since a plan for
// a large model has a hundred thousand slots and is made within milliseconds.

/// A copy of an expert on a host.
public struct ExpertCopy: Hashable, Sendable {
    /// The expert's number in its layer.
    public let expert: Int
    /// The fraction of the expert's tokens that this copy takes, 0 ... 1. The shares of one expert add up to 1.
    public let share: Double

    /// A copy of `expert` that takes `share` of its tokens.
    public init(expert: Int, share: Double) {
        self.expert = expert
        self.share = share
    }
}

/// Slots and shares of one layer: entry s belongs to slot s of the row in which the hosts' slots follow each other.
public struct LayerPlan: Hashable, Sendable {
    /// The expert in each slot, or -1 for an empty one.
    public var experts: [Int32]
    /// The fraction of its expert's tokens that each slot takes; 0 in an empty one.
    public var shares: [Double]

    /// A row of empty slots.
    public init(slots: Int) {
        experts = Array(repeating: -1, count: slots)
        shares = Array(repeating: 0, count: slots)
    }

    /// A row as given; both arrays are of one length.
    public init(experts: [Int32], shares: [Double]) {
        precondition(experts.count == shares.count, "a layer has as many shares as slots")
        self.experts = experts
        self.shares = shares
    }
}

/// A placement of experts, layer by layer.
public struct PlacementPlan: Hashable, Sendable {
    /// Routed experts of a layer.
    public let experts: Int
    /// The hosts, in the order in which their slots stand in a layer's row.
    public let hosts: [HostShape]
    /// The layers.
    public var layers: [LayerPlan]

    /// A plan of `experts` experts a layer over `hosts`. Each layer's row has as many slots as the hosts have together.
    public init(experts: Int, hosts: [HostShape], layers: [LayerPlan]) {
        self.experts = experts
        self.hosts = hosts
        self.layers = layers
    }

    /// What the slots of a host hold in a layer; nil is an empty slot.
    public func slots(layer: Int, host: Int) -> [ExpertCopy?] {
        let first = hosts[..<host].reduce(0) { $0 + $1.slots }
        return (first..<first + hosts[host].slots).map { slot in
            let expert = layers[layer].experts[slot]
            return expert < 0 ? nil : ExpertCopy(expert: Int(expert), share: layers[layer].shares[slot])
        }
    }
}

extension LayerPlan {
    /// Load of every host: tokens that its copies take, divided by its speed.
    package func hostLoads(_ demand: [Double], on hosts: HostTable) -> [Double] {
        var loads = [Double](repeating: 0, count: hosts.count)
        for host in 0..<hosts.count {
            var sum = 0.0
            for slot in hosts.row(host) where experts[slot] >= 0 { sum += shares[slot] * demand[Int(experts[slot])] }
            loads[host] = sum / hosts.speeds[host]
        }
        return loads
    }

    /// The greatest load of a host.
    package func level(_ demand: [Double], on hosts: HostTable) -> Double {
        var top = 0.0
        for host in 0..<hosts.count {
            var sum = 0.0
            for slot in hosts.row(host) where experts[slot] >= 0 { sum += shares[slot] * demand[Int(experts[slot])] }
            top = max(top, sum / hosts.speeds[host])
        }
        return top
    }
}
