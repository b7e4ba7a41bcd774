// plan.json: a placement of experts as a file. Docs/PLACEMENT.md describes the fields; the number of the schema changes with their meaning.
// The same placement gives the same bytes: nothing in it depends on the clock or the machine.

import RingPlacement

/// A placement with the model that it is for.
public struct PlacementDocument: Hashable, Sendable {
    /// The version that this program writes, and the only one that it reads.
    public static let schemaVersion = 1
    /// What `kind` says in such a file.
    public static let kind = "ringmaster.placement"

    /// The model's name, if one was given.
    public let model: String?
    /// Bytes of one expert of one layer, if known.
    public let expertBytes: Int?
    /// The plan.
    public let plan: PlacementPlan

    /// A document of these parts.
    public init(model: String?, expertBytes: Int?, plan: PlacementPlan) {
        (self.model, self.expertBytes, self.plan) = (model, expertBytes, plan)
    }

    /// Hands out the text of a placement piece by piece, a layer a line.
    public static func write<Failure: Error>(
        _ placement: Placement, model: String?, policy: PlacementPolicy, expertBytes: Int?, to sink: (String) throws(Failure) -> Void
    ) throws(Failure) {
        let plan = placement.plan
        let head: [(String, JSONValue)] = [
            ("kind", .string(kind)), ("schema_version", .integer(Int64(schemaVersion))),
            (
                "model",
                [
                    "name": model.map { .string($0) } ?? .null, "layers": .integer(Int64(plan.layers.count)),
                    "experts": .integer(Int64(plan.experts)), "expert_bytes": expertBytes.map { .integer(Int64($0)) } ?? .null,
                ]
            ),
            ("policy", .string(policy.rawValue)), ("totals", totals(placement)),
        ]
        try sink("{\n" + head.map { "\(JSONValue.string($0.0).text()): \($0.1.text()),\n" }.joined())
        try writeList("hosts", plan.hosts.count, to: sink) { host in hostText(plan.hosts[host]) }
        try sink(",\n")
        try writeList("layers", plan.layers.count, to: sink) { layer in layerText(placement, layer) }
        if let migration = placement.migration {
            try sink(",\n\"migration\": {\"rounds\": \(migration.rounds), \"rounds_min\": \(migration.roundsMin),\n")
            try writeList("transfers", migration.transfers.count, to: sink) { place in
                let transfer = migration.transfers[place]
                return
                    "[\(transfer.round),\(transfer.layer),\(transfer.expert),\(transfer.source.map(String.init) ?? "null"),"
                    + "\(transfer.target)]"
            }
            try sink("}")
        }
        try sink("\n}\n")
    }

    private static func writeList<Failure: Error>(
        _ name: String, _ count: Int, to sink: (String) throws(Failure) -> Void, _ element: (Int) -> String
    ) throws(Failure) {
        try sink("\"\(name)\": [")
        for place in 0..<count { try sink((place == 0 ? "\n" : ",\n") + element(place)) }
        try sink("\n]")
    }

    /// The totals as JSON, `null` for what is not known.
    public static func totals(_ placement: Placement) -> JSONValue {
        let migration = placement.migration
        return [
            "balance": .real(placement.totals.balance), "bound": .real(placement.totals.bound), "gap": .real(placement.totals.gap),
            "moves": migration.map { .integer(Int64($0.moves)) } ?? .null,
            "move_bytes": (migration?.bytes).map { .integer(Int64($0)) } ?? .null,
            "seconds": (migration?.seconds).map { .real($0) } ?? .null,
        ]
    }

    private static func hostText(_ host: HostShape) -> String {
        let value: JSONValue = [
            "slots": .integer(Int64(host.slots)), "speed": .real(host.speed), "node": .integer(Int64(host.node)),
            "rack": .integer(Int64(host.rack)),
        ]
        return value.text()
    }

    private static func layerText(_ placement: Placement, _ layer: Int) -> String {
        let row = placement.plan.layers[layer]
        var (experts, shares) = ("", "")
        var slot = 0
        for (host, shape) in placement.plan.hosts.enumerated() {
            experts += host == 0 ? "[" : ",["
            shares += host == 0 ? "[" : ",["
            for place in 0..<shape.slots {
                if place > 0 {
                    experts += ","
                    shares += ","
                }
                experts += row.experts[slot] < 0 ? "null" : String(row.experts[slot])
                shares += row.shares[slot] == 1 ? "1" : row.shares[slot] == 0 ? "0" : row.shares[slot].description
                slot += 1
            }
            experts += "]"
            shares += "]"
        }
        let certificate = placement.certificates[layer]
        let proof: JSONValue = [
            "mean": .real(certificate.mean), "max": .real(certificate.max), "lower_bound": .real(certificate.lowerBound),
            "active_bound": .string(certificate.active.rawValue),
        ]
        return "{\"hosts\":[\(experts)],\"shares\":[\(shares)],\"certificate\":\(proof.text())}"
    }
}
