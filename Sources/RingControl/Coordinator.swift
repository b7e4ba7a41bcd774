// Every coordination decision as a value: it is told what happened and says what to do. It opens no socket, reads no
// clock and draws no number, so that the server and a test turn the same machine.
//
// A job: queued -> preparing (its workers load and connect) -> running -> succeeded | failed | cancelled.
// A worker: joined, holding at most one job; gone when its process ends or it is silent for too long.

import RingCore

/// The machine behind the server.
public struct Coordinator: Sendable {
    /// What happened.
    public enum Event: Hashable, Sendable {
        /// A worker asks to be let in.
        case workerJoined(WorkerRegistration, Ticket)
        /// A worker reported something; that it is alive follows.
        case workerReported(WorkerID, WorkerReport)
        /// A worker gave a sign of life.
        case workerHeard(WorkerID)
        /// A worker is known to be gone; `reason` completes "worker X ...": `was killed by SIGKILL`.
        case workerGone(WorkerID, reason: String)
        /// A worker that was started ended before it joined; `reason` completes "worker X ...".
        case workerWillNotJoin(name: String, reason: String)
        /// Somebody wants something done.
        case submitted(Submission, Ticket)
        /// The prompt of a job is stored whole.
        case promptStored(JobNumber)
        /// A job is to be given up.
        case cancelled(JobNumber, reason: String)
        /// Everything is to end.
        case stopping(reason: String)
        /// Time has passed.
        case tick
    }

    /// What to do, in order.
    public enum Directive: Hashable, Sendable {
        /// The worker is in, under this number.
        case welcome(Ticket, WorkerID)
        /// The worker is not let in.
        case turnAway(Ticket, reason: String)
        /// The job is in, under this number.
        case accepted(Ticket, JobNumber)
        /// The job is not taken.
        case refused(Ticket, Refusal)
        /// Tell a worker something.
        case send(WorkerDirective, to: WorkerID)
        /// A worker is no longer a member: end its directive stream.
        case dismiss(WorkerID)
        /// Tell whoever follows a job.
        case emit(JobNumber, JobEvent)
        /// A settled job is forgotten: drop what is kept for it.
        case forget(JobNumber)
        /// Send a `tick` at this moment, if nothing happens before.
        case wake(at: Moment)
    }

    /// Why a job is not taken.
    public enum Refusal: Error, Hashable, Sendable {
        /// The specification makes no sense; the sentence says what.
        case invalid(String)
        /// Too many jobs are open; try again.
        case full(open: Int)
        /// Everything is ending.
        case stopping
    }

    /// How long to wait for what.
    public let policy: CoordinatorPolicy
    /// The version that workers must have.
    public let version: String

    var members: [Member] = []
    var jobs: [Job] = []
    var epoch: UInt64 = 0
    var isStopping = false
    private var nextWorker: UInt64 = 1
    private var nextJob: UInt64 = 1
    private var wakeAt: Moment?

    /// A coordinator without workers or jobs that lets in workers of `version`.
    public init(version: String, policy: CoordinatorPolicy = CoordinatorPolicy()) {
        self.version = version
        self.policy = policy
    }

    /// Applies `event` and appends what follows from it. News about a worker or a job that is not known, or a job that is
    /// settled, is late and changes nothing.
    public mutating func handle(_ event: Event, at now: Moment, into directives: inout [Directive]) {
        switch event {
        case .workerJoined(let registration, let ticket): join(registration, ticket, now, &directives)
        case .workerReported(let worker, let report):
            guard hear(worker, now) else { return }
            apply(report, from: worker, now, &directives)
        case .workerHeard(let worker): _ = hear(worker, now)
        case .workerGone(let worker, let reason): lose(worker, reason: reason, now, &directives)
        case .workerWillNotJoin(let name, let reason):
            for index in jobs.indices where jobs[index].phase == .queued {
                fail(index, Failure(.workersMissing, "worker \(name) did not start: it \(reason)", worker: name), &directives)
            }
        case .submitted(let submission, let ticket): submit(submission, ticket, now, &directives)
        case .promptStored(let number):
            guard let index = openJob(number) else { return }
            jobs[index].hasPrompt = true
        case .cancelled(let number, let reason):
            guard let index = openJob(number) else { return }
            settle(index, as: .cancelled, .cancelled(reason: reason), reason: reason, &directives)
        case .stopping(let reason): stop(reason: reason, &directives)
        case .tick: break
        }
        expire(now, &directives)
        startQueued(now, &directives)
        // One wake-up is outstanding at a time: signs of life, which only move deadlines back, ask for none.
        // A tick, even one that comes a hair early, has used it up.
        if event == .tick { wakeAt = nil }
        if let deadline = nextDeadline, wakeAt.map({ deadline < $0 || $0 <= now }) ?? true {
            wakeAt = deadline
            directives.append(.wake(at: deadline))
        }
    }

    /// Every job that is kept, oldest first.
    public var jobViews: [JobView] { jobs.map(JobView.init) }

    /// One job.
    public func jobView(_ number: JobNumber) -> JobView? { jobs.first { $0.number == number }.map(JobView.init) }

    /// Every member, oldest first.
    public func workerViews(at now: Moment) -> [WorkerView] { members.map { WorkerView($0, now: now) } }

    // MARK: members

    private mutating func join(_ registration: WorkerRegistration, _ ticket: Ticket, _ now: Moment, _ directives: inout [Directive]) {
        if let reason = objection(to: registration) {
            directives.append(.turnAway(ticket, reason: reason))
            return
        }
        let id = WorkerID(nextWorker)
        nextWorker += 1
        members.append(Member(id: id, registration: registration, heardAt: now))
        directives.append(.welcome(ticket, id))
    }

    private func objection(to registration: WorkerRegistration) -> String? {
        if isStopping { return "the coordinator is going down" }
        if registration.version != version {
            return "worker \(registration.name) has version \(registration.version) and the coordinator \(version): use one version"
        }
        if registration.name.isEmpty || registration.name.utf8.count > ControlLimits.textBytes {
            return "a worker's name has 1 to \(ControlLimits.textBytes) bytes"
        }
        if members.contains(where: { $0.registration.name == registration.name }) {
            return "a worker named \(registration.name) is here already: give each its own --name"
        }
        if members.count >= ControlLimits.members {
            return "the coordinator has \(ControlLimits.members) workers, and takes no more"
        }
        return nil
    }

    /// Notes a sign of life; false for a worker that is not a member.
    private mutating func hear(_ worker: WorkerID, _ now: Moment) -> Bool {
        guard let index = members.firstIndex(where: { $0.id == worker }) else { return false }
        members[index].heardAt = now
        return true
    }

    mutating func lose(_ worker: WorkerID, reason: String, _ now: Moment, _ directives: inout [Directive]) {
        guard let index = members.firstIndex(where: { $0.id == worker }) else { return }
        members.remove(at: index)
        directives.append(.dismiss(worker))
        for index in jobs.indices where !jobs[index].phase.isSettled {
            guard let rank = jobs[index].rank(of: worker) else { continue }
            let job = jobs[index]
            // What it wrote of itself before it went says more than that it went; but a rank that has finished its part
            // and goes before the others have is lost all the same: they may still need its shard.
            let message = "\(job.describe(rank)) \(reason) \(job.whereabouts(of: rank)): its shard is lost with it; run the job again"
            fail(index, Failure(.workerLost, message, rank: rank), &directives)
        }
    }

    private mutating func stop(reason: String, _ directives: inout [Directive]) {
        isStopping = true
        for index in jobs.indices where !jobs[index].phase.isSettled {
            fail(index, Failure(.shuttingDown, "the coordinator is going down: \(reason)"), &directives)
        }
        for member in members { directives.append(.send(.stop, to: member.id)) }
    }

    // MARK: jobs

    private mutating func submit(_ submission: Submission, _ ticket: Ticket, _ now: Moment, _ directives: inout [Directive]) {
        if isStopping {
            directives.append(.refused(ticket, .stopping))
            return
        }
        let open = jobs.count(where: { !$0.phase.isSettled })
        if open >= ControlLimits.jobsOpen {
            directives.append(.refused(ticket, .full(open: open)))
            return
        }
        if let objection = submission.objection {
            directives.append(.refused(ticket, .invalid(objection)))
            return
        }
        let number = JobNumber(nextJob)
        nextJob += 1
        var needsPrompt = false
        if case .generate = submission.spec { needsPrompt = true }
        jobs.append(
            Job(
                number: number, submission: submission, hasPrompt: !needsPrompt,
                deadline: now.advanced(bySeconds: policy.joinSeconds)))
        directives.append(.accepted(ticket, number))
        directives.append(.emit(number, .phase(.queued)))
        forgetOldest(&directives)
    }

    private mutating func forgetOldest(_ directives: inout [Directive]) {
        while jobs.count > ControlLimits.jobsKept, let oldest = jobs.firstIndex(where: { $0.phase.isSettled }) {
            directives.append(.forget(jobs.remove(at: oldest).number))
        }
    }

    func openJob(_ number: JobNumber) -> Int? { jobs.firstIndex { $0.number == number && !$0.phase.isSettled } }
}
