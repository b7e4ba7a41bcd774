// plan.json read back, for `--previous`: whoever wrote it, a plan that loses tokens or names experts that do not exist is refused.

import RingPlacement

extension PlacementDocument {
    /// Reads a file. Throws what is wrong with it, naming the layer and the host.
    public init(path: String) throws(FormatError) {
        try self.init(JSONValue(path: path, limit: Limits.planBytes), file: path)
    }

    /// Reads a document; `file` names it in errors.
    public init(_ document: JSONValue, file: String) throws(FormatError) {
        guard document["kind"]?.stringValue == Self.kind else {
            throw .invalid("\(file) is no placement: its kind is not '\(Self.kind)'; give a plan.json of ringmaster place")
        }
        guard let version = document["schema_version"]?.intValue, version == Self.schemaVersion else {
            throw .unsupported("\(file) is not of schema version \(Self.schemaVersion): make the plan again with this program")
        }
        guard let experts = document["model"]?["experts"]?.intValue, (1...PlacementLimits.experts).contains(experts),
            let shapes = document["hosts"]?.arrayValue, let layers = document["layers"]?.arrayValue, !shapes.isEmpty, !layers.isEmpty,
            shapes.count <= PlacementLimits.hosts, layers.count <= PlacementLimits.layers
        else { throw .malformed("\(file) lacks its model, hosts or layers: make the plan again") }
        var hosts: [HostShape] = []
        for (number, shape) in shapes.enumerated() {
            guard let slots = shape["slots"]?.intValue, (0...PlacementLimits.slotsOfHost).contains(slots),
                let speed = shape["speed"]?.doubleValue, speed > 0
            else { throw .malformed("\(file): host \(number) has no slots or no speed: make the plan again") }
            hosts.append(HostShape(slots: slots, speed: speed, node: shape["node"]?.intValue ?? 0, rack: shape["rack"]?.intValue ?? 0))
        }
        var rows: [LayerPlan] = []
        for (number, layer) in layers.enumerated() { rows.append(try Self.row(layer, number, experts, hosts, file)) }
        self.init(
            model: document["model"]?["name"]?.stringValue, expertBytes: document["model"]?["expert_bytes"]?.intValue,
            plan: PlacementPlan(experts: experts, hosts: hosts, layers: rows))
    }

    private static func row(
        _ layer: JSONValue, _ number: Int, _ experts: Int, _ hosts: [HostShape], _ file: String
    ) throws(FormatError) -> LayerPlan {
        let place = "\(file), layer \(number)"
        guard let lists = layer["hosts"]?.arrayValue, let shares = layer["shares"]?.arrayValue, lists.count == hosts.count,
            shares.count == hosts.count
        else { throw .malformed("\(place): hosts or shares are missing or not \(hosts.count): make the plan again") }
        var row = LayerPlan(slots: 0)
        var sums = [Double](repeating: 0, count: experts)
        for host in hosts.indices {
            guard let slots = lists[host].arrayValue, let parts = shares[host].arrayValue, slots.count == hosts[host].slots,
                parts.count == slots.count
            else {
                throw .malformed("\(place), host \(host): it has \(hosts[host].slots) slots, the lists have others: make the plan again")
            }
            let first = row.experts.count
            for (slot, part) in zip(slots, parts) {
                guard let share = part.doubleValue, (0...1).contains(share) else {
                    throw .malformed("\(place), host \(host): a share is no number from 0 to 1: make the plan again")
                }
                if slot == .null {
                    row.experts.append(-1)
                    row.shares.append(0)
                    continue
                }
                guard let expert = slot.intValue, (0..<experts).contains(expert) else {
                    throw .malformed(
                        "\(place), host \(host): a slot holds no expert from 0 to \(experts - 1) and no null: make the plan again")
                }
                guard !row.experts[first...].contains(Int32(expert)) else {
                    throw .malformed("\(place), host \(host): expert \(expert) is there twice: make the plan again")
                }
                sums[expert] += share
                row.experts.append(Int32(expert))
                row.shares.append(share)
            }
        }
        if let expert = sums.firstIndex(where: { !(abs($0 - 1) < 1e-6) }) {
            throw .malformed("\(place): the shares of expert \(expert) add up to \(sums[expert]), not to 1: make the plan again")
        }
        return row
    }
}
