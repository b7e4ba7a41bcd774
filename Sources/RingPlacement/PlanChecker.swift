// A judge that trusts nobody: it recomputes everything from the plan, the loads and the hosts with the plainest code there is, and shares
// none with the planner.

/// What is wrong with a plan, one sentence each; empty if nothing is.
public func faults(
    of plan: PlacementPlan, for loads: ExpertLoads, certificates: [Certificate] = [], twoDomains: Bool = false
) -> [String] {
    guard plan.experts == loads.experts, plan.layers.count == loads.layers else {
        return ["the plan is of \(plan.layers.count) layers of \(plan.experts) experts, the loads of \(loads.layers) of \(loads.experts)"]
    }
    guard certificates.isEmpty || certificates.count == loads.layers else {
        return ["\(certificates.count) certificates for \(loads.layers) layers"]
    }
    var found: [String] = []
    for layer in plan.layers.indices {
        found += faultsOfLayer(layer, of: plan, loads, twoDomains)
        if !certificates.isEmpty { found += faultsOfCertificate(layer, of: plan, loads, certificates[layer]) }
        if found.count > 20 { return found }
    }
    return found
}

private func faultsOfLayer(_ layer: Int, of plan: PlacementPlan, _ loads: ExpertLoads, _ twoDomains: Bool) -> [String] {
    let row = plan.layers[layer]
    let slots = plan.hosts.reduce(0) { $0 + $1.slots }
    guard row.experts.count == slots, row.shares.count == slots else {
        return ["layer \(layer) has \(row.experts.count) slots and \(row.shares.count) shares, the hosts have \(slots)"]
    }
    var found: [String] = []
    var sums = [Double](repeating: 0, count: plan.experts)
    var lastHost = [Int](repeating: -1, count: plan.experts)
    var nodes = [[Int]](repeating: [], count: plan.experts)
    let byRack = plan.hosts.contains { $0.rack != plan.hosts[0].rack }
    var slot = 0
    for (host, shape) in plan.hosts.enumerated() {
        for _ in 0..<shape.slots {
            let (expert, share) = (Int(row.experts[slot]), row.shares[slot])
            slot += 1
            if expert == -1 {
                if share != 0 { found.append("layer \(layer), host \(host): an empty slot takes a share of \(share)") }
                continue
            }
            guard expert >= 0, expert < plan.experts else {
                found.append("layer \(layer), host \(host): there is no expert \(expert)")
                continue
            }
            if !(share >= 0 && share <= 1) { found.append("layer \(layer), host \(host), expert \(expert): the share is \(share)") }
            if lastHost[expert] == host { found.append("layer \(layer), host \(host) holds expert \(expert) twice") }
            lastHost[expert] = host
            sums[expert] += share
            let domain = byRack ? shape.rack : shape.node
            if !nodes[expert].contains(domain) { nodes[expert].append(domain) }
        }
    }
    for expert in 0..<plan.experts {
        if lastHost[expert] < 0 { found.append("layer \(layer): expert \(expert) has no copy") }
        if lastHost[expert] >= 0, abs(sums[expert] - 1) > 1e-6 {
            found.append("layer \(layer): the shares of expert \(expert) add up to \(sums[expert])")
        }
        if twoDomains, nodes[expert].count < 2 {
            found.append("layer \(layer): all copies of expert \(expert) lie in one \(byRack ? "rack" : "node")")
        }
    }
    return found
}

private func faultsOfCertificate(
    _ layer: Int, of plan: PlacementPlan, _ loads: ExpertLoads, _ certificate: Certificate
) -> [String] {
    let demand = Array(loads.layer(layer))
    let total = demand.reduce(0, +)
    let mean = total / plan.hosts.reduce(0) { $0 + $1.speed }
    var top = 0.0
    var slot = 0
    for shape in plan.hosts {
        var tokens = 0.0
        for _ in 0..<shape.slots {
            if plan.layers[layer].experts[slot] >= 0 {
                tokens += plan.layers[layer].shares[slot] * demand[Int(plan.layers[layer].experts[slot])]
            }
            slot += 1
        }
        top = max(top, tokens / shape.speed)
    }
    // Anything that is not close is wrong, NaN included.
    let isClose = { (one: Double, other: Double) in abs(one - other) <= 1e-6 * max(abs(one), abs(other)) }
    var found: [String] = []
    if !isClose(certificate.mean, mean) { found.append("layer \(layer): the mean is \(mean), the certificate says \(certificate.mean)") }
    if !isClose(certificate.max, top) {
        found.append("layer \(layer): the greatest load is \(top), the certificate says \(certificate.max)")
    }
    if certificate.lowerBound > top * (1 + 1e-6) || certificate.lowerBound < mean * (1 - 1e-6) {
        found.append("layer \(layer): the bound \(certificate.lowerBound) is not between the mean \(mean) and the greatest load \(top)")
    }
    if certificate.active == .mean, !isClose(certificate.lowerBound, mean) {
        found.append("layer \(layer): the certificate says that the mean decides, and has another bound")
    }
    if certificate.active == .slots, !isClose(certificate.lowerBound, slotBound(plan, demand)) {
        found.append("layer \(layer): few slots do not make the bound \(certificate.lowerBound)")
    }
    if certificate.active == .largestCopy { found += faultsOfBound(layer, plan, demand, certificate.lowerBound) }
    return found
}

/// The load that hosts with few slots for their speed leave to the others, at its worst.
private func slotBound(_ plan: PlacementPlan, _ demand: [Double]) -> Double {
    let sorted = plan.hosts.sorted { Double($0.slots) * $1.speed < Double($1.slots) * $0.speed }
    let loads = demand.sorted(by: >)
    var worst = 0.0
    for count in 1..<max(1, sorted.count) {
        let slots = min(loads.count, sorted[..<count].reduce(0) { $0 + $1.slots })
        worst = max(worst, loads[slots...].reduce(0, +) / sorted[count...].reduce(0) { $0 + $1.speed })
    }
    return worst
}

/// A bound by the largest copy holds if giving every expert enough copies to get below it takes more slots than there are.
private func faultsOfBound(_ layer: Int, _ plan: PlacementPlan, _ demand: [Double], _ bound: Double) -> [String] {
    let speeds = plan.hosts.map(\.speed).sorted(by: >)
    let below = bound * (1 - 1e-6)
    var needed = 0
    for load in demand {
        var (copies, speed) = (1, speeds[0])
        while load > below * speed, copies < speeds.count {
            speed += speeds[copies]
            copies += 1
        }
        if load > below * speed { return [] }
        needed += copies
    }
    let slots = plan.hosts.reduce(0) { $0 + $1.slots }
    return needed > slots ? [] : ["layer \(layer): \(needed) copies undercut the bound \(bound), and there are \(slots) slots"]
}
