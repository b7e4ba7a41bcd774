// The page that `top` draws, as lines: a pure function of what the cluster is now and what it was a moment ago.

import RingControl
import RingCore

/// A page about a cluster.
struct TopPage {
    private let now: Snapshot
    private let before: Snapshot?
    private let elapsed: Double

    /// What `now` shows, with rates since `before`.
    init(_ now: Snapshot, since before: Snapshot?) {
        self.now = now
        self.before = before
        elapsed = before.map { seconds(now.taken - $0.taken) } ?? 0
    }

    /// The page on one long sheet.
    func text(width: Int) -> String { lines(width: width, height: nil, trouble: nil).joined(separator: "\n") + "\n" }

    /// The page, no line wider than `width` and no more lines than `height`.
    func lines(width: Int, height: Int?, trouble: String?) -> [String] {
        var lines = [now.clusterLine, now.workerLine, now.jobLine + answerRate]
        if let trouble { lines.insert("! what follows is old: " + printable(trouble), at: 0) }
        lines += now.findings.prefix(4).map { "! " + $0 }
        // The jobs that compute, each with its ring; more than two would push the workers off the page.
        for job in now.active.prefix(2) { lines += [""] + describe(job, width: width) }
        if !now.workers.isEmpty { lines += [""] + WorkerTable.text(now.workers, rates: rates).split(separator: "\n").map(String.init) }
        let waiting = now.active.dropFirst(2) + now.queued
        if !waiting.isEmpty { lines += ["", "other open jobs"] + JobTable.text(Array(waiting)).split(separator: "\n").map(String.init) }
        if let height, lines.count > height { lines = Array(lines.prefix(max(1, height - 1))) + ["..."] }
        return lines.map { String($0.prefix(width)) }
    }

    private var answerRate: String {
        guard let before, elapsed > 0 else { return "" }
        let tokens = now.cluster.totals.tokensGenerated - before.cluster.totals.tokensGenerated
        return tokens > 0 ? ", \(fixed(Double(tokens) / elapsed, 1)) tokens/s out" : ""
    }

    private func describe(_ job: JobView, width: Int) -> [String] {
        var head = "job \(job.id)  \(printable(job.kind))  \(grouped(job.tokens)) tokens  \(job.state.rawValue)"
        if job.attempt > 1 { head += "  attempt \(job.attempt)" }
        if job.tokensGenerated > 0 { head += "  \(grouped(job.tokensGenerated)) tokens out" }
        if let straggler = job.straggler { head += "  waits for \(JobTable.describe(straggler))" }
        guard let progress = job.progress else { return [head] }
        return [head, bar(job, progress, width: width)] + ring(job, progress)
    }

    private func bar(_ job: JobView, _ progress: JobProgress, width: Int) -> String {
        guard progress.phase != .loading else { return "loading layer \(progress.layer) of \(progress.layers)" }
        let line = ProgressBar.line(
            progress.phase.rawValue, done: progress.tokensDone, total: progress.tokensTotal, seconds: 0, width: width)
        guard let rate = rate(of: job) else { return line }
        let left = Double(progress.tokensTotal - progress.tokensDone) / rate
        return line + "  \(grouped(Int(rate))) tok/s  \(span(max(0, left))) left"
    }

    /// Who holds whose keys and values in the hop that the ring is in.
    private func ring(_ job: JobView, _ progress: JobProgress) -> [String] {
        guard progress.phase == .prefill || progress.phase == .attend, job.workers.count > 1, job.workers.count <= 64 else { return [] }
        let names = job.workers.map(printable)
        let hop = min(max(progress.step, 0), names.count - 1)
        let world = WorldSize(names.count)
        let tour = job.groupSize.flatMap { RingTour(world, groupSize: $0) } ?? RingTour(world)
        let moves = names.indices.map { rank in
            let owner = tour.kvOwner(for: Rank(rank), atStep: hop).index
            return owner == rank ? "\(names[rank]): its own keys" : "\(names[rank]): keys of \(names[owner])"
        }
        return [
            Self.course(names, tour), "hop \(hop + 1) of \(names.count)  " + moves.joined(separator: ", "),
        ]
    }

    /// Which way keys and values go: round one ring, or round each group and from group to group.
    private static func course(_ names: [String], _ tour: RingTour) -> String {
        guard tour.isGrouped else { return "ring  " + (names + [names[0]]).joined(separator: " -> ") }
        let groups = stride(from: 0, to: names.count, by: tour.groupSize).map { names[$0..<$0 + tour.groupSize].joined(separator: " -> ") }
        return "groups  " + (groups + [groups[0]]).map { "(\($0))" }.joined(separator: " => ")
    }

    private func rate(of job: JobView) -> Double? {
        guard let before, elapsed > 0, let old = before.active.first(where: { $0.id == job.id }), old.attempt == job.attempt,
            let was = old.progress, let progress = job.progress, was.phase == progress.phase, progress.tokensDone > was.tokensDone
        else { return nil }
        return Double(progress.tokensDone - was.tokensDone) / elapsed
    }

    private var rates: [String: Double] {
        guard let before, elapsed > 0 else { return [:] }
        var rates: [String: Double] = [:]
        for worker in now.workers {
            guard let progress = worker.progress, let old = before.workers.first(where: { $0.id == worker.id }), old.job == worker.job,
                let was = old.progress, was.phase == progress.phase, progress.tokensDone > was.tokensDone
            else { continue }
            rates[worker.registration.name] = Double(progress.tokensDone - was.tokensDone) / elapsed
        }
        return rates
    }
}
