// Jobs and workers of a running cluster as text for people. Whatever came from elsewhere is made printable first.

import Foundation
import RingControl
import RingWorker

extension JobView {
    /// The exit code that tells how a settled job ended; 75 says that it may work later.
    var exitCode: Int32 {
        switch state {
        case .cancelled: 130
        case .failed: failure.map { CommandError($0).exitCode } ?? 1
        case .succeeded, .queued, .admitted, .running: 0
        }
    }

    /// Seconds since its submission, or in all if it has ended.
    var ageSeconds: Double { max(0, (settledAt ?? Date().timeIntervalSince1970) - submittedAt) }
}

enum JobTable {
    /// One line a job.
    static func text(_ jobs: [JobView]) -> String {
        var table = Table(
            ["job", "kind", "state", "owner", "priority", "tokens", "workers", "attempt", "age", "progress"], textual: [1, 2, 3, 9])
        for job in jobs {
            let workers = job.workers.isEmpty ? job.wantedWorkers.map(String.init) ?? "idle" : "\(job.workers.count)"
            table.add([
                "\(job.id)", printable(job.kind), job.state.rawValue, printable(job.owner), "\(job.priority)", grouped(job.tokens), workers,
                "\(job.attempt)", span(job.ageSeconds), standing(job),
            ])
        }
        return table.text
    }

    /// What there is to say of a job's state.
    private static func standing(_ job: JobView) -> String {
        if let failure = job.failure, job.state == .failed { return failure.code.rawValue }
        if job.state == .succeeded { return job.tokensGenerated > 0 ? "\(grouped(job.tokensGenerated)) tokens out" : "" }
        guard !job.state.isSettled, let progress = job.progress else { return "" }
        let place = describe(
            progress.phase, progress.layer, progress.layers, progress.step, progress.steps, progress.tokensDone, progress.tokensTotal)
        return place + (job.straggler.map { ", waits for " + describe($0) } ?? "")
    }

    /// `worker-3 (pace 1.87)`.
    static func describe(_ straggler: Straggler) -> String { "\(printable(straggler.worker)) (pace \(fixed(straggler.pace, 2)))" }

    /// `prefill 61%, layer 3 of 24, hop 2 of 4`.
    static func describe(
        _ phase: WorkerProgress.Phase, _ layer: Int, _ layers: Int, _ step: Int, _ steps: Int, _ done: Int, _ total: Int
    ) -> String {
        func place(_ index: Int, _ count: Int) -> String { "\(min(index + 1, max(count, 1))) of \(max(count, 1))" }
        switch phase {
        case .loading: return "loading, layer \(min(layer, layers)) of \(layers)"
        case .decode: return "decode, token \(place(step, steps))"
        case .prefill, .attend:
            let percent = total > 0 ? 100 * min(done, total) / total : 0
            return "\(phase.rawValue) \(percent)%, layer \(place(layer, layers)), hop \(place(step, steps))"
        }
    }

    /// Everything that is known of a job, a line each.
    static func details(_ job: JobView) -> String {
        var lines: [(String, String)] = [
            ("job", "\(job.id)"), ("kind", printable(job.kind)), ("state", job.state.rawValue), ("owner", printable(job.owner)),
            ("priority", "\(job.priority)"), ("tokens", grouped(job.tokens)),
            ("workers", job.workers.isEmpty ? "none" : printable(job.workers.joined(separator: ", "))),
            ("wanted", job.wantedWorkers.map { "\($0) workers" } ?? "as many as are idle"),
            ("attempt", "\(job.attempt) (\(job.retries) more allowed)"), ("submitted", date(job.submittedAt)),
        ]
        if let started = job.startedAt { lines.append(("placed", date(started))) }
        if let settled = job.settledAt { lines.append(("ended", "\(date(settled)), after \(span(job.ageSeconds))")) }
        if let limit = job.timeoutSeconds { lines.append(("time limit", span(limit))) }
        if !standing(job).isEmpty { lines.append(("progress", standing(job))) }
        if let failure = job.failure {
            lines.append((job.state == .failed ? "failure" : "last failure", "\(failure.code.rawValue): \(printable(failure.message))"))
        }
        let width = lines.map(\.0.count).max() ?? 0
        var text = lines.map { $0.0 + String(repeating: " ", count: width - $0.0.count + 2) + $0.1 + "\n" }.joined()
        if let summaries = job.summaries, !summaries.isEmpty { text += workerTable(summaries) + "\n" }
        return text
    }

    private static func date(_ seconds: Double) -> String {
        Date(timeIntervalSince1970: seconds).formatted(.iso8601)
    }
}

enum WorkerTable {
    /// One line a worker; `rates` holds tokens a second by worker name where they are known.
    static func text(_ workers: [WorkerView], rates: [String: Double]? = nil) -> String {
        var header = ["worker", "health", "pace", "silent", "job", "rank", "doing", "isa", "cores", "memory", "machine"]
        if rates != nil { header.insert("tok/s", at: 7) }
        let words: Set<Int> = [0, 1, 6, header.count - 4, header.count - 1, header.count]
        // Only where somebody lives on nodes of its own is there something to tell.
        let isBound = workers.contains { $0.registration.homeNodes != nil }
        if isBound { header += ["node", "local"] }
        var table = Table(header, textual: words)
        for worker in workers {
            let facts = worker.registration
            var row = [
                printable(facts.name), worker.health.rawValue, worker.pace.map { fixed($0, 2) } ?? "-",
                fixed(worker.silentSeconds, 1) + " s", worker.job.map { "\($0)" } ?? "-",
                worker.rank.map { "\($0)" } ?? "-", doing(worker), printable(facts.isa), "\(facts.cpus)", humanBytes(facts.memoryBytes),
                printable(facts.machine),
            ]
            if let rates { row.insert(rates[facts.name].map { grouped(Int($0)) } ?? "-", at: 7) }
            if isBound {
                row.append(facts.homeNodes.map { NumberList.text($0.sorted()) } ?? "any")
                row.append(worker.locality.map { percent($0.share) } ?? "-")
            }
            table.add(row)
        }
        return table.text
    }

    private static func doing(_ worker: WorkerView) -> String {
        guard worker.job != nil else { return "idle" }
        guard let progress = worker.progress else { return "starting" }
        let phase = JobTable.describe(
            progress.phase, progress.layer, progress.layers, progress.step, progress.steps, progress.tokensDone, progress.tokensTotal)
        return phase + (progress.transport.map { " over " + printable($0) } ?? "")
    }
}

/// `0.4 s`, `12 s`, `3 min`, `2.5 h`, `4 d`.
func span(_ seconds: Double) -> String {
    if seconds < 10 { return fixed(seconds, 1) + " s" }
    if seconds < 120 { return "\(Int(seconds)) s" }
    if seconds < 7200 { return "\(Int(seconds / 60)) min" }
    if seconds < 172_800 { return fixed(seconds / 3600, 1) + " h" }
    return "\(Int(seconds / 86400)) d"
}
