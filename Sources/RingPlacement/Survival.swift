// What to do when hosts die: tokens go to the copies that live, at once and without moving a byte; experts that lost all copies are
// loaded from storage into the slots that hurt least.

/// A plan for the hosts that are left.
public struct Survival: Hashable, Sendable {
    /// An expert without a living copy, and the host that is to load it.
    public struct Reload: Hashable, Sendable {
        /// The layer.
        public let layer: Int
        /// The expert in its layer.
        public let expert: Int
        /// The host, numbered among the survivors.
        public let host: Int
    }

    /// The plan over the survivors, in their old order.
    public let plan: PlacementPlan
    /// Experts that have to be loaded before the plan is whole; empty where every expert had a living copy.
    public let reloads: [Reload]
    /// One for each layer, over the survivors.
    public let certificates: [Certificate]
    /// Of all layers.
    public let totals: PlacementTotals
}

/// The plan after the hosts in `dead` are gone, for the loads they served. Throws `.hosts` if nobody is left or a host does not exist,
/// `.previous` if loads and plan are of different models, `.slotsMissing` if the survivors have too few slots.
public func survive(_ plan: PlacementPlan, _ loads: ExpertLoads, losing dead: [Int]) throws(PlacementError) -> Survival {
    guard plan.experts == loads.experts, plan.layers.count == loads.layers else {
        throw .previous("plan and loads are of different models: give the loads that this plan serves")
    }
    if let stranger = dead.first(where: { !plan.hosts.indices.contains($0) }) {
        throw .hosts("there is no host \(stranger): hosts are numbered 0 to \(plan.hosts.count - 1)")
    }
    var isDead = [Bool](repeating: false, count: plan.hosts.count)
    for host in dead { isDead[host] = true }
    let all = try HostTable(plan.hosts)
    let hosts = try HostTable(plan.hosts.indices.filter { !isDead[$0] }.map { plan.hosts[$0] })
    guard hosts.totalSlots >= loads.experts else {
        throw .slotsMissing(loads.experts - hosts.totalSlots, experts: loads.experts, slots: hosts.totalSlots)
    }
    var reloads: [Survival.Reload] = []
    var layers: [LayerPlan] = []
    layers.reserveCapacity(loads.layers)
    var demand: [Double] = []
    var flow = ShareFlow(LayerPlan(slots: hosts.totalSlots), Array(repeating: 0, count: loads.experts), on: hosts)
    for layer in 0..<loads.layers {
        loads.demand(layer, into: &demand)
        var row = LayerPlan(slots: hosts.totalSlots)
        var next = 0
        for host in 0..<all.count where !isDead[host] {
            for slot in all.row(host) {
                row.experts[next] = plan.layers[layer].experts[slot]
                row.shares[next] = plan.layers[layer].shares[slot]
                next += 1
            }
        }
        inherit(&row, experts: loads.experts)
        flow.start(row, demand)
        for expert in flow.orphans { reloads.append(.init(layer: layer, expert: expert, host: flow.adopt(expert))) }
        flow.settle()
        flow.write(into: &row)
        layers.append(row)
    }
    let certificates = certify(layers, loads, on: hosts)
    return Survival(
        plan: PlacementPlan(experts: plan.experts, hosts: hosts.shapes, layers: layers), reloads: reloads, certificates: certificates,
        totals: PlacementTotals(certificates))
}

/// Gives the shares of dead copies to the living ones, in proportion.
private func inherit(_ row: inout LayerPlan, experts: Int) {
    var sums = [Double](repeating: 0, count: experts)
    var copies = [Int](repeating: 0, count: experts)
    for slot in row.experts.indices where row.experts[slot] >= 0 {
        sums[Int(row.experts[slot])] += row.shares[slot]
        copies[Int(row.experts[slot])] += 1
    }
    for slot in row.experts.indices where row.experts[slot] >= 0 {
        let expert = Int(row.experts[slot])
        row.shares[slot] = sums[expert] > 0 ? min(1, row.shares[slot] / sums[expert]) : 1 / Double(copies[expert])
    }
}

extension ShareFlow {
    /// Experts without a copy, hottest first.
    var orphans: [Int] {
        demand.indices.filter { firstSlot[$0] < 0 }.sorted { demand[$0] > demand[$1] || (demand[$0] == demand[$1] && $0 < $1) }
    }

    /// Puts an orphan where most room is once a slot is free: an empty slot, or one whose expert has another copy. Slots are no fewer than
    /// experts, so there is one. Returns the host.
    mutating func adopt(_ expert: Int) -> Int {
        var best: (slot: Int, heir: Int?, room: Double)?
        for host in 0..<hosts.count {
            for slot in hosts.row(host) {
                let room = room(host) + tokens[slot]
                guard room > best?.room ?? -.infinity else { continue }
                if experts[slot] < 0 {
                    best = (slot, nil, room)
                } else if let heir = otherCopy(of: slot) {
                    best = (slot, heir, room)
                }
            }
        }
        guard let best else { preconditionFailure("fewer slots than experts: survive() counts them first") }
        if experts[best.slot] >= 0 { drop(best.slot, to: best.heir) }
        add(expert, at: best.slot)
        assign(demand[expert], to: best.slot)
        return Int(hostOf[best.slot])
    }

    private func otherCopy(of slot: Int) -> Int? {
        var other = firstSlot[Int(experts[slot])]
        while other >= 0 {
            if Int(other) != slot { return Int(other) }
            other = nextSlot[Int(other)]
        }
        return nil
    }
}
