// The entrance: loads and hosts in, a plan with its certificates out. Pure: the same input gives the same plan, byte for byte.

/// What may be chosen about a plan.
public struct PlacementOptions: Hashable, Sendable {
    /// How layers are planned.
    public var policy = PlacementPolicy.auto
    /// Groups of experts that the hierarchical baseline deals to nodes.
    public var expertGroups = 8
    /// Whether every expert gets copies in two nodes (racks where there are several).
    public var twoDomains = false
    /// Whether empty slots are filled with copies that take no tokens yet.
    public var fillsSpareSlots = true
    /// Most slots that may change from the previous plan, as a fraction of all slots; nil leaves the choice to the planner.
    public var moveBudget: Double?
    /// Bytes of one expert's weights in one layer, for move bytes and seconds.
    public var expertBytes: Int?
    /// Bytes a second that a host's link carries in each direction.
    public var linkBytesPerSecond = 1.25e9

    /// The usual choice.
    public init() {}
}

/// A plan and what is to be said of it.
public struct Placement: Hashable, Sendable {
    /// The plan.
    public let plan: PlacementPlan
    /// One for each layer.
    public let certificates: [Certificate]
    /// Of all layers.
    public let totals: PlacementTotals
    /// What must be moved where, if there was a previous plan.
    public let migration: Migration?
    /// How the planner chose between keeping, repairing and planning anew, if there was a previous plan.
    public let choice: ReplanChoice?
}

/// Plans experts of all layers onto hosts. With a previous plan, as few slots change as the loads demand (Replanner.swift).
///
/// Throws `.hosts`, `.slotsMissing`, `.previous`, `.impossible`.
public func place(
    _ loads: ExpertLoads, on shapes: [HostShape], previous: PlacementPlan? = nil, options: PlacementOptions = PlacementOptions()
) throws(PlacementError) -> Placement {
    let hosts = try HostTable(shapes)
    guard hosts.totalSlots >= loads.experts else {
        throw .slotsMissing(loads.experts - hosts.totalSlots, experts: loads.experts, slots: hosts.totalSlots)
    }
    guard hosts.totalSlots * loads.layers <= PlacementLimits.slots else {
        throw .hosts("\(loads.layers) layers of \(hosts.totalSlots) slots are more than the \(PlacementLimits.slots) that a plan can hold")
    }
    if let budget = options.moveBudget, !(budget >= 0 && budget <= 1) {
        throw .impossible("a move budget is a fraction of all slots from 0 to 1, got \(budget)")
    }
    guard let previous else {
        let layers = try FreshPlan.layers(loads, on: hosts, options)
        return assemble(layers, loads, on: hosts, migration: nil, choice: nil)
    }
    try check(previous, loads, on: hosts)
    let (layers, choice) = try Replanner(loads, on: hosts, options, previous).plan()
    let migration = Migration(from: previous, to: layers, on: hosts, options)
    return assemble(layers, loads, on: hosts, migration: migration, choice: choice)
}

private func check(_ previous: PlacementPlan, _ loads: ExpertLoads, on hosts: HostTable) throws(PlacementError) {
    guard previous.experts == loads.experts, previous.layers.count == loads.layers else {
        throw .previous(
            "the previous plan is of \(previous.layers.count) layers of \(previous.experts) experts, the loads are of \(loads.layers) of "
                + "\(loads.experts): give the plan of this model, or none")
    }
    guard previous.hosts.map(\.slots) == hosts.slots else {
        throw .previous(
            "the previous plan is of \(previous.hosts.count) hosts with \(previous.hosts.reduce(0) { $0 + $1.slots }) slots, now there are "
                + "\(hosts.count) with \(hosts.totalSlots): give a plan of these hosts, or none")
    }
}

private func assemble(
    _ layers: [LayerPlan], _ loads: ExpertLoads, on hosts: HostTable, migration: Migration?, choice: ReplanChoice?
) -> Placement {
    let certificates = certify(layers, loads, on: hosts)
    return Placement(
        plan: PlacementPlan(experts: loads.experts, hosts: hosts.shapes, layers: layers), certificates: certificates,
        totals: PlacementTotals(certificates), migration: migration, choice: choice)
}

/// The certificates of layers under loads, which need not be those that they were planned for.
package func certify(_ layers: [LayerPlan], _ loads: ExpertLoads, on hosts: HostTable) -> [Certificate] {
    layers.indices.map { layer in
        let demand = Array(loads.layer(layer))
        let mean = demand.reduce(0, +) / hosts.totalSpeed
        let top = layers[layer].level(demand, on: hosts)
        // A level at the mean proves that the mean decides; the other terms need not be computed.
        if top <= mean * (1 + PlacementLimits.tolerance) { return Certificate(mean: mean, max: top, lowerBound: mean, active: .mean) }
        let bound = LowerBound.of(demand, on: hosts)
        return Certificate(mean: mean, max: top, lowerBound: bound.value, active: bound.active)
    }
}

/// Plans without a history.
enum FreshPlan {
    static func layers(_ loads: ExpertLoads, on hosts: HostTable, _ options: PlacementOptions) throws(PlacementError) -> [LayerPlan] {
        var planner = LayerPlanner(hosts: hosts, policy: options.policy, expertGroups: options.expertGroups)
        var layers: [LayerPlan] = []
        layers.reserveCapacity(loads.layers)
        let empty = LayerPlan(slots: hosts.totalSlots)
        var demand: [Double] = []
        var spare = SpareCopies()
        let isOurs = options.policy == .auto || options.policy == .wrap
        let fills = options.fillsSpareSlots && isOurs
        var domains: TwoDomains?
        if options.twoDomains {
            guard isOurs else {
                throw .impossible("the policy \(options.policy.rawValue) knows no failure domains: leave the policy to auto")
            }
            domains = try TwoDomains(hosts, experts: loads.experts)
        }
        for layer in 0..<loads.layers {
            var row = empty
            loads.demand(layer, into: &demand)
            if domains != nil {
                try domains?.plan(demand, fills: fills, into: &row)
            } else {
                planner.plan(demand, into: &row)
                if fills { spare.fill(&row, demand, on: hosts) }
            }
            layers.append(row)
        }
        return layers
    }
}
