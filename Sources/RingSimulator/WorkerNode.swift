// A worker's process: the real machine, and what its shell holds beside it. Nothing of this survives.

import RingControl
import RingCore

/// A worker.
struct WorkerNode {
    let name: String
    let jitter: UInt64
    var machine: WorkerMachine
    /// The request that asks to be let in.
    var joining: UInt64?
    /// How often this process has asked.
    var attempts = 0
    /// The stream of directives, and the request that opens it.
    var stream: Int?
    var opening: UInt64?

    // Reports on their way: one batch at a time, again until it is answered.
    var outbox: [WorkerReport] = []
    var progress: WorkerReport?
    var batch: UInt64 = 0
    var sent: (request: UInt64?, batch: UInt64, reports: [WorkerReport])?
    /// The newest directive that came.
    var seen: UInt64 = 0
    var isLeaving = false

    var fetching: (request: UInt64?, assignment: Assignment, tries: Int)?
    var prompt: (run: Run, ids: [UInt32])?
    var engine: SimulatedEngine?
    /// What is left of a broken run.
    var kept: SimulatedEngine.Kept?
    /// Dies when it next reports something, for so many seconds.
    var crashAtReport: Double?

    init(name: String, jitter: UInt64) {
        (self.name, self.jitter) = (name, jitter)
        machine = WorkerMachine(policy: Self.policy(jitter))
    }

    private static func policy(_ jitter: UInt64) -> WorkerPolicy {
        var policy = WorkerPolicy.daemon
        (policy.graceSeconds, policy.jitterSeed) = (3, jitter)
        return policy
    }

    /// A new process of the same name.
    mutating func reset() { self = WorkerNode(name: name, jitter: scramble(jitter)) }

    /// Forgets a session and what was to be told in it.
    mutating func closeSession() {
        (stream, opening, outbox, progress, batch, sent, seen) = (nil, nil, [], nil, 0, nil, 0)
    }

    /// The next batch: the newest progress first, so that a failure after it finds it applied.
    mutating func takeReports() -> [WorkerReport] {
        var reports: [WorkerReport] = []
        if let progress { reports.append(progress) }
        progress = nil
        reports += outbox.prefix(64)
        outbox.removeFirst(min(64, outbox.count))
        return reports
    }
}
