// Why a schedule is chosen, or not, in a sentence with the figures that decide.

extension ScheduleChoice {
    static func boundReason(isChosen: Bool) -> String {
        isChosen
            ? "the one whose result has the same bits on any number of workers"
            : "merges partials in an order of ranks, so that bits depend on their number; a deterministic job does not"
    }

    static func reason(
        _ estimate: ScheduleEstimate, against other: ScheduleEstimate, isChosen: Bool, _ problem: ScheduleProblem
    ) -> String {
        let world = problem.plan.world
        if world.count == 1 { return isChosen ? "one rank: nothing moves" : "one rank: nothing to gain" }
        if estimate.flops == 0 { return isChosen ? "no query sees a key" : "nothing to compute" }
        let (mine, theirs) = (estimate.seconds, other.seconds)
        let cause = cause(estimate, other, world)
        if !isChosen { return "takes \(decimal(mine / max(theirs, 1e-12), 2)) times as long as \(other.schedule.rawValue): \(cause)" }
        if mine >= theirs * (1 - tieMargin) {
            return "as soon as \(other.schedule.rawValue) within \(decimal(100 * tieMargin, 0))%, and simpler"
        }
        return "\(decimal(theirs / max(mine, 1e-12), 2)) times as fast as \(other.schedule.rawValue): \(cause)"
    }

    /// What sets the two apart: the share of the slowest rank, else the bytes.
    private static func cause(_ one: ScheduleEstimate, _ other: ScheduleEstimate, _ world: WorldSize) -> String {
        let (mine, theirs) = (one.imbalance(world: world), other.imbalance(world: world))
        if max(mine, theirs) > 1.05 * min(mine, theirs), (mine < theirs) == (one.seconds < other.seconds) {
            return "its busiest rank has \(decimal(mine, 2)) times the mean work, there \(decimal(theirs, 2))"
        }
        let bytes = "it moves \(megabytes(one.bytes)) MB, there \(megabytes(other.bytes))"
        let waits = "its slowest rank waits \(decimal(one.exposedSeconds * 1e3, 2)) ms, there \(decimal(other.exposedSeconds * 1e3, 2))"
        return "\(bytes), and \(waits)"
    }

    private static func megabytes(_ bytes: Int) -> String { decimal(Double(bytes) / 1e6, bytes < 10_000_000 ? 3 : 1) }

    /// `value` with `places` digits behind the point; the standard library has no such form.
    private static func decimal(_ value: Double, _ places: Int) -> String {
        guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
        var power = 1.0
        for _ in 0..<places { power *= 10 }
        let whole = Int((abs(value) * power).rounded())
        let sign = value < 0 && whole > 0 ? "-" : ""
        if places == 0 { return "\(sign)\(whole)" }
        let behind = String(whole % Int(power))
        return "\(sign)\(whole / Int(power))." + String(repeating: "0", count: places - behind.count) + behind
    }
}
