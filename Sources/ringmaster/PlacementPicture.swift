// `place --heatmap`: the loads of hosts by layer before and after, as SVG. Before is the plan in force where there is one for the same hosts;
// else experts as servers deal them without a planner, in order and one copy each.

import RingFormats
import RingPlacement

struct PlacementPicture {
    private let after: PlacementPlan
    private let before: PlacementPlan?
    private let loads: ExpertLoads

    /// A picture of `after`, beside `previous` if that is of the same hosts.
    init(_ after: PlacementPlan, _ loads: ExpertLoads, previous: PlacementPlan?) {
        self.after = after
        self.loads = loads
        before = previous.flatMap { $0.hosts.map(\.slots) == after.hosts.map(\.slots) && $0.layers.count == loads.layers ? $0 : nil }
    }

    /// The picture.
    func svg() throws(FormatError) -> String {
        let hosts = after.hosts.count
        let old = before.map { table($0) } ?? dealtInOrder()
        return try HeatMap(
            before: HostLoads(layers: loads.layers, hosts: hosts, values: old),
            after: HostLoads(layers: loads.layers, hosts: hosts, values: table(after)),
            title: "\(loads.layers) layers of \(loads.experts) experts on \(hosts) hosts",
            names: (before == nil ? "experts in order, one copy each" : "the plan in force", "the new plan")
        ).svg
    }

    /// Loads of hosts under a plan: tokens of their copies over their speed, [layers, hosts].
    private func table(_ plan: PlacementPlan) -> [Double] {
        var values: [Double] = []
        values.reserveCapacity(loads.layers * plan.hosts.count)
        for (layer, row) in plan.layers.enumerated() {
            let demand = loads.layer(layer)
            var slot = 0
            for host in plan.hosts {
                var sum = 0.0
                for place in slot..<slot + host.slots where row.experts[place] >= 0 {
                    sum += row.shares[place] * demand[demand.startIndex + Int(row.experts[place])]
                }
                values.append(sum / host.speed)
                slot += host.slots
            }
        }
        return values
    }

    /// Expert e on host e G / E.
    private func dealtInOrder() -> [Double] {
        let hosts = after.hosts
        var values = [Double](repeating: 0, count: loads.layers * hosts.count)
        for layer in 0..<loads.layers {
            for (expert, load) in loads.layer(layer).enumerated() {
                let host = expert * hosts.count / loads.experts
                values[layer * hosts.count + host] += load / hosts[host].speed
            }
        }
        return values
    }
}
