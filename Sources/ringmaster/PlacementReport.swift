// What `place` says of a plan: figures for scripts, sentences for people.

import RingFormats
import RingPlacement

struct PlacementReport {
    private let placement: Placement
    private let seconds: Double
    private let policy: PlacementPolicy
    private let loads: ExpertLoads

    init(_ placement: Placement, _ loads: ExpertLoads, seconds: Double, policy: PlacementPolicy) {
        self.placement = placement
        self.loads = loads
        self.seconds = seconds
        self.policy = policy
    }

    private var slots: Int { placement.plan.hosts.reduce(0) { $0 + $1.slots } }

    var json: JSONValue {
        var object = JSONObject()
        object.append("policy", .string(policy.rawValue))
        object.append("layers", .integer(Int64(placement.plan.layers.count)))
        object.append("experts", .integer(Int64(placement.plan.experts)))
        object.append("hosts", .integer(Int64(placement.plan.hosts.count)))
        object.append("slots", .integer(Int64(slots)))
        object.append("planning_seconds", .real(seconds))
        object.append("totals", PlacementDocument.totals(placement))
        if let choice = placement.choice {
            let offers = choice.offers.map { offer -> JSONValue in
                ["way": .string(offer.way.rawValue), "balance": .real(offer.balance), "moves": .integer(Int64(offer.moves))]
            }
            object.append("way", .string(choice.chosen.way.rawValue))
            object.append("stale_balance", .real(choice.staleBalance))
            object.append("offers", .array(offers))
        }
        if let migration = placement.migration {
            object.append("moves_fraction", .real(Double(migration.moves) / Double(max(1, migration.slots))))
            object.append("rounds", .integer(Int64(migration.rounds)))
        }
        return .object(object)
    }

    var text: String {
        let totals = placement.totals
        var lines = [
            "\(placement.plan.layers.count) layers of \(placement.plan.experts) experts on \(placement.plan.hosts.count) hosts, "
                + "\(grouped(slots)) slots a layer, policy \(policy.rawValue)",
            "balance \(fixed(totals.balance, 4)), at most \(fixed(totals.bound, 4)): gap \(fixed(100 * totals.gap, 3))%; "
                + "planned in \(fixed(seconds * 1e3, 1)) ms",
        ]
        if let choice = placement.choice { lines.append(sentence(choice)) }
        if let migration = placement.migration { lines.append(sentence(migration)) }
        return lines.joined(separator: "\n") + "\n"
    }

    private func sentence(_ choice: ReplanChoice) -> String {
        let gain = 100 * (1 - choice.staleBalance / choice.chosen.balance)
        let before = "the old plan as it is: balance \(fixed(choice.staleBalance, 4)); "
        switch choice.chosen.way {
        case .resplit where choice.offers.count == 1:
            return before
                + "rebalancing will not pay: split anew over the same copies it is \(fixed(choice.chosen.balance, 4)), and no move would "
                + "win another \(fixed(100 * 0.002, 1))%"
        case .resplit:
            return before + "split anew over the same copies \(fixed(choice.chosen.balance, 4)); the budget allows no move that is worth it"
        case .repair, .fresh:
            return before
                + "\(choice.chosen.way == .repair ? "repaired" : "planned anew"): "
                + "a step takes \(fixed(gain, 1))% less time while hosts compute"
        }
    }

    private func sentence(_ migration: Migration) -> String {
        let share = 100 * Double(migration.moves) / Double(max(1, migration.slots))
        var text =
            "\(grouped(migration.moves)) of \(grouped(migration.slots)) slots change (\(fixed(share, 2))%), in \(migration.rounds) rounds"
        if let bytes = migration.bytes, let seconds = migration.seconds {
            text += ": \(humanBytes(bytes)), \(fixed(seconds, 2)) s at the link's full rate"
            if let choice = placement.choice, choice.chosen.balance > choice.offers[0].balance {
                // Time lost to the transfer, if steps stand still meanwhile, against time won in every step after it.
                let won = 1 - choice.offers[0].balance / choice.chosen.balance
                text +=
                    "; against splitting anew alone it pays within \(fixed(seconds / won, 1)) s of computing, "
                    + "even if everything stood still"
            }
        }
        return text
    }

    /// Layer by layer: what decides, and where it is worst.
    var explanation: String {
        var table = Table(["layer", "mean", "max", "bound", "decided by", "gap %", "busiest host", "copies", "spare"], textual: [4])
        for (layer, certificate) in placement.certificates.enumerated() {
            let row = placement.plan.layers[layer]
            let filled = row.experts.count { $0 >= 0 }
            let spare = row.experts.indices.count { row.experts[$0] >= 0 && row.shares[$0] == 0 }
            table.add([
                "\(layer)", fixed(certificate.mean, 1), fixed(certificate.max, 1), fixed(certificate.lowerBound, 1),
                reason(certificate.active),
                fixed(certificate.lowerBound > 0 ? 100 * (certificate.max / certificate.lowerBound - 1) : 0, 3), "\(busiest(layer))",
                "\(filled)", "\(spare)",
            ])
        }
        let needed = placement.plan.experts + placement.plan.hosts.count - 1
        let rule =
            slots >= needed
            ? "there are \(slots - needed) slots more than the \(needed) with which uneven shares can be exact"
            : "\(needed - slots) slots are missing to the \(needed) with which uneven shares are exact for any loads"
        return "\n" + table.text + "\n\n" + rule + "\n"
    }

    private func reason(_ bound: Certificate.Bound) -> String {
        switch bound {
        case .mean: "the mean"
        case .largestCopy: "the largest copy"
        case .slots: "few slots on fast hosts"
        }
    }

    private func busiest(_ layer: Int) -> Int {
        let row = placement.plan.layers[layer]
        let demand = Array(loads.layer(layer))
        var slot = 0
        var best = (host: 0, load: 0.0)
        for (host, shape) in placement.plan.hosts.enumerated() {
            var sum = 0.0
            for _ in 0..<shape.slots {
                if row.experts[slot] >= 0 { sum += row.shares[slot] * demand[Int(row.experts[slot])] }
                slot += 1
            }
            if sum / shape.speed > best.load { best = (host, sum / shape.speed) }
        }
        return best.host
    }
}
