// The second half of a plan's page: other numbers of machines, single changes, the smallest cluster, what would make room, assumptions.

import RingFormats
import RingPlacement

extension PlanReport {
    /// One line for each number of machines.
    var counts: String {
        var table = Table(
            ["machines", "workers", "fits", "needs each", "prefill", "tokens/s", "cost prefill", "cost decode"], textual: [2])
        for plan in plans {
            let cluster = plan.question.cluster
            table.add([
                "\(cluster.machineCount)", "\(cluster.workerCount)", Self.word(plan.memory.fit),
                planBytes(plan.memory.workers.map(\.bytes).max() ?? 0), plan.prefillSeconds.map { planSeconds($0) } ?? "-",
                plan.tokensPerSecond.map { planFigure($0) } ?? "-", plan.prefillCost.map { planFigure($0) } ?? "-",
                plan.decodeCost.map { planFigure($0) } ?? "-",
            ])
        }
        return table.text
    }

    static func word(_ fit: Fit) -> String {
        switch fit {
        case .fits: "yes"
        case .spills: "with NVMe"
        case .missing: "no"
        }
    }

    /// What one change at a time would give.
    var changes: String {
        var table = Table(["one change", "fits", "prefill", "", "tokens/s", "", "cost prefill", "cost decode"], textual: [0, 1])
        func share(_ value: Double?, _ base: Double?) -> String {
            guard let value, let base, base > 0 else { return "" }
            let percent = 100 * (value / base - 1)
            return abs(percent) < 0.5 ? "=" : (percent > 0 ? "+" : "") + fixed(percent, 0) + "%"
        }
        func add(_ name: String, _ other: ClusterPlan) {
            table.add([
                name, Self.word(other.memory.fit), other.prefillSeconds.map { planSeconds($0) } ?? "-",
                share(other.prefillSeconds, plan.prefillSeconds), other.tokensPerSecond.map { planFigure($0) } ?? "-",
                share(other.tokensPerSecond, plan.tokensPerSecond), other.prefillCost.map { planFigure($0) } ?? "-",
                other.decodeCost.map { planFigure($0) } ?? "-",
            ])
        }
        add("none", plan)
        for change in plan.changes() { add(Self.sentence(change.what), change.plan) }
        return table.text
    }

    static func sentence(_ what: PlanChange.What) -> String {
        switch what {
        case .oneMachineMore: "one machine more"
        case .linkTwice: "links twice as fast"
        case .memoryTwice: "memory twice as fast"
        case .experts(let type): "experts in \(type.rawValue)"
        case .cache(let type): "keys and values in \(type.rawValue)"
        case .dense(let type): "other weights in \(type.rawValue)"
        case .spreadDecode: "common layers of decoding spread"
        }
    }

    /// What would make it fit.
    var remedies: String {
        let found = plan.remedies().map { Self.sentence($0, machines: plan.question.cluster.machines[0]) }
        guard !found.isEmpty else { return "No single change makes it fit." }
        return "Any one of these would do:\n" + found.map { "- \($0)" }.joined(separator: "\n")
    }

    private static func sentence(_ remedy: Remedy, machines kind: MachineShape) -> String {
        switch remedy {
        case .machines(let count): "\(count) machines"
        case .memory(let bytes): "\(planBytes(bytes)) of memory in every machine instead of \(planBytes(kind.memoryBytes))"
        case .nvme(let bytes): "\(planBytes(bytes)) of NVMe over all machines, for experts"
        case .experts(let type): "experts in \(type.rawValue): --expert-dtype \(type.rawValue)"
        case .dense(let type): "other weights in \(type.rawValue): --weight-dtype \(type.rawValue)"
        case .cache(let type): "keys and values in \(type.rawValue): --kv-dtype \(type.rawValue)"
        case .tokens(let count): "at most \(grouped(count)) tokens"
        case .sharedWeights: "one copy of the common weights for all workers of a machine: --assume shared-weights=yes"
        }
    }

    /// The smallest cluster that would do.
    var smallest: String {
        var wanted = "fits in memory"
        if let seconds = target.prefillSeconds { wanted += ", prefills within \(planSeconds(seconds))" }
        if let rate = target.tokensPerSecond { wanted += ", decodes \(planFigure(rate)) tokens/s" }
        guard let found = plan.smallest(target) else { return "Smallest cluster that \(wanted): none of up to 4096 machines." }
        let count = found.question.cluster.machineCount
        return "Smallest cluster that \(wanted): \(count) machine\(count == 1 ? "" : "s"), "
            + "prefill \(planSeconds(found.prefillSeconds ?? 0)), \(planFigure(found.tokensPerSecond ?? 0)) tokens/s"
    }

    /// All that is assumed.
    var assumptions: String {
        var table = Table(["assumed", "value", "meaning"], textual: [0, 2])
        for entry in plan.question.assumptions.entries { table.add([entry.name, entry.value, entry.meaning]) }
        return table.text + "\nSet one with --assume NAME=VALUE; what each rests on: Docs/PLANNING.md"
    }
}

/// `1.25 GiB`, and `17 B`, also of numbers beyond what an Int holds.
func planBytes(_ bytes: Double) -> String {
    var value = bytes
    for unit in ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] {
        if value < 1024 { return fixed(value, unit == "B" ? 0 : value < 10 ? 2 : value < 100 ? 1 : 0) + " " + unit }
        value /= 1024
    }
    return fixed(value, 1) + " EiB"
}

/// `671 G`, `1.03 T`.
func planCount(_ count: Double) -> String {
    var value = count
    for unit in ["", " k", " M", " G", " T", " P"] {
        if value < 1000 { return planFigure(value) + unit }
        value /= 1000
    }
    return planFigure(value) + " E"
}

/// Three digits that matter: `0.00123`, `12.3`, `1,230`.
func planFigure(_ value: Double) -> String {
    guard value.isFinite, value != 0 else { return value == 0 ? "0" : "-" }
    if abs(value) >= 999.5 { return abs(value) < 1e15 ? grouped(Int(value.rounded())) : scientific(value) }
    var (digits, edge) = (0, 100.0)
    while abs(value) < edge, digits < 9 {
        digits += 1
        edge /= 10
    }
    return fixed(value, digits)
}

/// `412 s`, `1 h 12 min`, `3.1 ms`.
func planSeconds(_ seconds: Double) -> String {
    if seconds < 1e-3 { return planFigure(seconds * 1e6) + " us" }
    if seconds < 1 { return planFigure(seconds * 1e3) + " ms" }
    if seconds < 600 { return planFigure(seconds) + " s" }
    if seconds < 7200 { return "\(Int(seconds / 60)) min \(Int(seconds) % 60) s" }
    if seconds < 864_000 { return "\(Int(seconds / 3600)) h \(Int(seconds / 60) % 60) min" }
    return planFigure(seconds / 86_400) + " days"
}
