// A plan as people read it, in at most 100 columns: does it fit, how long would it take and what would it wait for, what it costs, what
// would change it, and what all of that assumes.

import RingFormats
import RingPlacement

struct PlanReport {
    /// One plan for each number of machines that was asked for; at least one.
    let plans: [ClusterPlan]
    /// What the smallest cluster must give.
    let target: PlanTarget

    var plan: ClusterPlan { plans[0] }
    private var question: PlanQuestion { plan.question }

    /// The sentence with which the command fails; nil if a plan fits.
    var failure: String? {
        guard plans.allSatisfy({ !$0.memory.fit.runs }) else { return nil }
        let most = plans.max { $0.question.cluster.machineCount < $1.question.cluster.machineCount } ?? plan
        let count = most.question.cluster.machineCount
        return "\(question.model.name) with \(grouped(question.tokens)) tokens does not fit \(count) machine\(count == 1 ? "" : "s"): "
            + "see what is missing and what would do"
    }

    var text: String {
        var parts = [head]
        if plans.count > 1 {
            parts.append(counts)
        } else {
            parts.append(memory)
            if let prefill = plan.prefill { parts.append(Self.prefill(plan, prefill)) }
            if let decode = plan.decode { parts.append(Self.decode(plan, decode)) }
            if let cost = Self.cost(plan) { parts.append(cost) }
            parts.append(plan.memory.fit.runs ? changes : remedies)
        }
        parts.append(smallest)
        parts.append(assumptions)
        return parts.joined(separator: "\n\n") + "\n"
    }

    // MARK: the question

    private var head: String {
        let model = question.model
        var lines = [
            "\(model.name): \(planCount(Double(model.totalParameters))) parameters, \(planCount(Double(model.activeParameters))) for a token, "
                + "\(model.layerCount) layers"
                + (model.experts.map { ", \(model.sparseLayers) of them with \($0.count) experts, \($0.chosen) chosen" } ?? ""),
            "weights: \(planBytes(question.denseBytes)) of \(question.denseType.rawValue) in every \(question.assumptions.sharesWeights ? "machine" : "worker")"
                + (model.experts.map {
                    ", \(planBytes(question.expertBytes * Double($0.count * model.sparseLayers))) of experts in "
                        + "\(question.expertType.rawValue), \(planBytes(question.expertBytes)) each"
                } ?? ""),
            "context: \(grouped(question.tokens)) tokens, keys and values \(question.cacheType.rawValue): "
                + "\(planBytes(model.cacheElements * question.cacheType.bytes)) a token, "
                + "\(planBytes(model.cacheBytes(tokens: question.tokens, type: question.cacheType))) in all"
                + (question.sequences > 1 ? ", for each of \(grouped(question.sequences)) sequences" : ""),
        ]
        if question.tokens > model.contextMax {
            lines.append("note: the model claims to handle \(grouped(model.contextMax)) tokens at most")
        }
        if !model.unverified.isEmpty { lines.append("note: not verified of this model: \(model.unverified.joined(separator: ", "))") }
        if plans.count == 1 {
            for kind in question.cluster.machines { lines.append(Self.line(kind)) }
            if let racks = question.cluster.racks {
                lines.append(
                    "racks: \(racks.machines) machines each, \(fixed(racks.uplinkBytesPerSecond * 8 / 1e9, 0)) Gbit/s between them")
            }
        }
        return lines.joined(separator: "\n")
    }

    private static func line(_ kind: MachineShape) -> String {
        "\(printable(kind.name)): \(kind.count) x \(planBytes(kind.memoryBytes)) on \(kind.workers) NUMA node\(kind.workers == 1 ? "" : "s"), "
            + "\(planFigure(kind.flopsPerSecond / 1e12)) TFLOP/s, \(planFigure(kind.memoryBytesPerSecond / 1e9)) GB/s, "
            + "\(planFigure(kind.linkBytesPerSecond * 8 / 1e9)) Gbit/s, \(planFigure(kind.latencySeconds * 1e6)) us"
            + (kind.nvmeBytes > 0 ? ", \(planBytes(kind.nvmeBytes)) of NVMe" : "")
    }

    // MARK: what it holds

    private var memory: String {
        var table = Table(["worker", "how many", "weights", "KV", "buffers", "experts", "slots", "needs", "has"], textual: [0])
        for worker in plan.memory.workers {
            let slots = worker.slots == worker.slotsWanted ? "\(worker.slots)" : "\(worker.slots) of \(worker.slotsWanted)"
            table.add([
                printable(worker.name), "\(worker.count)", planBytes(worker.denseBytes), planBytes(worker.cacheBytes),
                planBytes(worker.activationBytes), planBytes(worker.expertBytes), question.model.experts == nil ? "-" : slots,
                planBytes(worker.bytes), planBytes(worker.availableBytes),
            ])
        }
        return verdict + "\n" + table.text
    }

    private var verdict: String {
        switch plan.memory.fit {
        case .fits:
            let tight = plan.memory.workers.contains { $0.slots < $0.slotsWanted }
            return "It fits in memory" + (tight ? ", with fewer spare slots than wanted: experts will balance less well." : ".")
        case .spills(let bytes):
            return "It fits if \(planBytes(bytes)) of experts lie on NVMe, to be read whenever they are asked for."
        case .missing(let memory, let experts):
            var lines = ["It does not fit: \(planBytes(memory)) are missing in memory over all workers."]
            for worker in plan.memory.workers where worker.missingBytes > 0 {
                lines.append(
                    "Each worker on \(printable(worker.name)) needs \(planBytes(worker.fixedBytes))"
                        + (question.model.experts == nil ? "" : " before it holds an expert")
                        + ", \(planBytes(worker.missingBytes)) more than it has.")
            }
            if experts > 0 { lines.append("\(planBytes(experts)) of experts fit neither in memory nor on NVMe.") }
            return lines.joined(separator: "\n")
        }
    }

    // MARK: how long it takes

    private static func prefill(_ plan: ClusterPlan, _ prefill: PrefillPlan) -> String {
        let tokens = Double(plan.question.tokens)
        var lines = [
            "Prefill: \(planSeconds(prefill.time.seconds)), \(planFigure(tokens / prefill.time.seconds)) tokens/s, "
                + "\(fixed(100 * (plan.utilisation ?? 0), 0))% of the peak of all machines",
            phases(prefill.time), bottleneck(prefill.time, of: "the prefill"),
        ]
        if plan.question.model.layers.contains(where: { $0.attention.expansionFlops > 0 }) {
            lines.append("latents are \(prefill.form.rawValue) (the other way takes longer)")
        }
        if plan.question.cluster.machineCount > 1 {
            lines.append(
                "ring: a hop moves \(planBytes(prefill.hopBytes)) a rank and layer, \(planBytes(prefill.ringBytes)) come into a machine in all"
            )
        }
        if let dispatch = prefill.dispatchBytes, let rotation = prefill.rotationBytes, prefill.movement != .none {
            lines.append(
                "\(prefill.movement.rawValue) move: through a machine's link go \(planBytes(dispatch)) of tokens and sums, or "
                    + "\(planBytes(rotation)) of experts")
        }
        return lines.joined(separator: "\n")
    }

    private static func decode(_ plan: ClusterPlan, _ decode: DecodePlan) -> String {
        let each = decode.sequences > 1 ? " over \(grouped(decode.sequences)) sequences" : ""
        var lines = [
            "Decode: \(planSeconds(decode.time.seconds)) a step, \(planFigure(decode.tokensPerSecond)) tokens/s\(each), "
                + "\(planBytes(decode.memoryBytes)) read",
            phases(decode.time), bottleneck(decode.time, of: "a step"),
        ]
        if decode.busiestExperts > 0 {
            lines.append("the busiest worker reads \(fixed(decode.busiestExperts, 2)) experts a layer on average")
        }
        return lines.joined(separator: "\n")
    }

    private static func phases(_ time: StepTime) -> String {
        let resources = Resource.allCases.filter { resource in time.phases.contains { $0[resource] > 0 } }
        var table = Table(["phase", "FLOP"] + resources.map { "\($0.rawValue) s" } + ["seconds", "share", "waits for"], textual: [0])
        for phase in time.phases {
            table.add(
                [phase.work.rawValue, planCount(phase.flops)] + resources.map { phase[$0] > 0 ? planFigure(phase[$0]) : "-" }
                    + [
                        planFigure(phase.seconds), time.seconds > 0 ? "\(fixed(100 * phase.seconds / time.seconds, 0))%" : "-",
                        phase.bound.rawValue,
                    ])
        }
        return table.text
    }

    private static func bottleneck(_ time: StepTime, of what: String) -> String {
        guard let phase = time.longest, time.seconds > 0 else { return "nothing takes time" }
        return "bottleneck: \(phase.bound.rawValue) in \(phase.work.rawValue), \(fixed(100 * phase.seconds / time.seconds, 0))% of \(what)"
    }

    private static func cost(_ plan: ClusterPlan) -> String? {
        guard let prefill = plan.prefillCost, let decode = plan.decodeCost, let price = plan.question.cluster.pricePerHour else {
            return nil
        }
        return "Cost of a million tokens at \(planFigure(price)) an hour for all machines: prefill \(planFigure(prefill)), "
            + "decode \(planFigure(decode))"
    }
}
