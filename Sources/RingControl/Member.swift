// A worker that has joined, as the coordinator's machine keeps it.

import RingCore

/// What may happen to a member, for people: what follows from it is said by other directives.
public enum MemberNews: Hashable, Sendable {
    /// It is silent for longer than it should be, and gets no run meanwhile.
    case suspected
    /// It was suspected and has been heard again.
    case heardAgain
    /// It gets no new run, and is told to stop when it holds none.
    case draining
    /// It is gone without having been told to stop; the reason completes "worker X ...".
    case lost(reason: String)
    /// It is gone as it was told.
    case left
}

/// A worker that has joined.
struct Member: Sendable {
    let id: WorkerID
    let registration: WorkerRegistration
    var heardAt: Moment
    /// When its connection closed, until it comes back.
    var disconnectedAt: Moment?
    /// The run it has been told to prepare and has not yet settled; an aborted run holds it until it says `stopped`.
    var run: Run?
    /// Until when it must have given up an aborted run.
    var releaseBy: Moment?
    /// Silent for longer than it should be.
    var isSuspected = false
    /// Gets no new run, and is told to stop when it holds none.
    var isDraining = false
    /// Was told to stop.
    var isStopping = false
    /// How many times as long as the median rank it needed for its share, in the newest run in which that was measured.
    var pace: Double?
    /// Whether it was slow in that run.
    var isSlow = false
    /// How fast one of its compute threads is, as it said and as its runs have shown since.
    var speed: Double?
    /// Where its memory lay in the newest run that told.
    var locality: MemoryLocality?

    init(id: WorkerID, registration: WorkerRegistration, now: Moment) {
        self.id = id
        self.registration = registration
        speed = registration.speed.flatMap { $0 > 0 && $0.isFinite ? $0 : nil }
        heardAt = now
    }

    /// What it said when it joined, with the speed that is known now.
    var newestRegistration: WorkerRegistration {
        var newest = registration
        newest.speed = speed
        return newest
    }

    /// Whether it can be given a run.
    var isIdle: Bool { run == nil && !isSuspected && disconnectedAt == nil && !isDraining && !isStopping }
    /// Whether it may be given one sooner or later.
    var isLasting: Bool { !isDraining && !isStopping }

    var health: WorkerHealth {
        if isSuspected || disconnectedAt != nil { return .suspected }
        if isDraining || isStopping { return .draining }
        return isSlow ? .slow : .ok
    }

    /// Why it counts as gone, completing "worker X ...".
    func lossReason(_ policy: CoordinatorPolicy, at now: Moment) -> String? {
        if let disconnectedAt, now.seconds(since: max(disconnectedAt, heardAt)) >= policy.reconnectSeconds {
            return "closed its connection and did not come back within \(Int(1000 * policy.reconnectSeconds)) ms"
        }
        if now.seconds(since: heardAt) >= policy.silenceSeconds {
            return "has been silent for \(Int(policy.silenceSeconds)) s and counts as lost"
        }
        if let releaseBy, let run, releaseBy <= now {
            return "did not give job \(run.job) up within \(Int(policy.abortSeconds)) s and counts as hung"
        }
        return nil
    }

    /// When to look at it next.
    func nextDeadline(_ policy: CoordinatorPolicy) -> Moment {
        var next = heardAt.advanced(bySeconds: isSuspected ? policy.silenceSeconds : policy.suspectSeconds)
        if let disconnectedAt { next = min(next, max(disconnectedAt, heardAt).advanced(bySeconds: policy.reconnectSeconds)) }
        if let releaseBy { next = min(next, releaseBy) }
        return next
    }
}
