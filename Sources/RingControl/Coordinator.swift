// Every coordination decision as a value: it is told what happened and says what to do. It opens no socket, reads no
// clock and draws no number, so that the server, the simulator and a test turn the same machine.
//
// A job: queued -> admitted (its workers load and connect) -> running -> succeeded | failed | cancelled, and back to queued
// when a run fails that may be tried again. A worker: joined, holding at most one run; gone when its process ends, its
// connection closes for good or it is silent for too long. What each event leads to is in Coordinator+*.swift.

import RingCore

/// The machine behind the server.
public struct Coordinator: Sendable {
    /// What happened.
    public enum Event: Hashable, Sendable {
        /// A worker asks to be let in.
        case workerJoined(WorkerRegistration, Ticket)
        /// A worker reads its directives, for the first time or again.
        case workerConnected(WorkerID)
        /// The connection on which a worker read its directives has closed.
        case workerDisconnected(WorkerID)
        /// A worker reported something; that it is alive follows.
        case workerReported(WorkerID, WorkerReport)
        /// A worker gave a sign of life.
        case workerHeard(WorkerID)
        /// A worker is known to be gone; `reason` completes "worker X ...": `was killed by SIGKILL`.
        case workerGone(WorkerID, reason: String)
        /// A worker that was started ended before it joined; `reason` completes "worker X ...".
        case workerWillNotJoin(name: String, reason: String)
        /// A worker is to leave when it holds no run.
        case workerDrained(WorkerID)
        /// Somebody wants something done.
        case submitted(Submission, Ticket)
        /// The prompt of a job is stored whole.
        case promptStored(JobNumber)
        /// A job is to be given up.
        case cancelled(JobNumber, reason: String)
        /// No new job is taken or started; what runs may end.
        case draining
        /// Everything is to end.
        case stopping(reason: String)
        /// Time has passed.
        case tick
    }

    /// What to do, in order. Nothing is done before what is to be kept is kept.
    public enum Directive: Hashable, Sendable {
        /// The worker is in, under this number.
        case welcome(Ticket, WorkerID)
        /// The worker is not let in; a temporary reason may pass.
        case turnAway(Ticket, reason: String, isTemporary: Bool)
        /// The job is in, under this number; it was in already if it is not new.
        case accepted(Ticket, JobNumber, isNew: Bool)
        /// The job is not taken.
        case refused(Ticket, Refusal)
        /// Tell a worker something.
        case send(WorkerDirective, to: WorkerID)
        /// A worker is no longer a member: end its directive stream.
        case dismiss(WorkerID)
        /// Something about a member that whoever keeps the cluster may want to know. Nothing is to be done.
        case remark(WorkerID, MemberNews)
        /// Keep a change.
        case keep(StoreChange)
        /// Tell whoever follows a job; with a sequence number the event is to be kept.
        case emit(JobNumber, sequence: Int?, at: Moment, JobEvent)
        /// A settled job is forgotten: drop what is held for it.
        case forget(JobNumber)
        /// Draining is over: nothing runs.
        case drained
        /// Send a `tick` at this moment, if nothing happens before.
        case wake(at: Moment)
    }

    /// Why a job is not taken.
    public enum Refusal: Error, Hashable, Sendable {
        /// The specification makes no sense; the sentence says what.
        case invalid(String)
        /// The idempotency key belongs to a job that asks for something else.
        case keyTaken(JobNumber)
        /// Too many jobs are open; try again.
        case full(open: Int)
        /// Everything is ending.
        case stopping
    }

    /// How long to wait for what.
    public let policy: CoordinatorPolicy
    /// The version that workers must have.
    public let version: String

    /// By number, so that one is found by halving.
    var members: [Member] = []
    var jobs: [Job] = []
    var epoch: UInt64
    var isDraining = false
    var isStopping = false
    var totals = ClusterTotals()
    /// What was measured of links between workers.
    var links = LinkTable()
    /// How often a member has been suspected; a simulation knows which of them lived.
    package internal(set) var suspicions = 0
    var reserved: Reservation
    /// Whether a queued job might be placed that could not be before.
    var mayPlace = false
    var hasSaidDrained = false
    private var nextWorker: UInt64 = 1
    private var wakeAt: Moment?
    /// The earliest deadline that was set since the last wake-up was asked for.
    private var newDeadline: Moment?

    /// A coordinator without workers that lets in workers of `version` and goes on from `state`; call `resume` once.
    public init(version: String, policy: CoordinatorPolicy = CoordinatorPolicy(), state: StoredState = StoredState()) {
        self.version = version
        self.policy = policy
        reserved = state.reservation
        epoch = state.reservation.epochs
        for stored in state.jobs {
            var job = Job(stored.record, now: stored.record.submittedAt)
            (job.events, job.tokensGenerated) = (stored.events, stored.tokensGenerated)
            jobs.append(job)
            links.note(stored.record.summaries)
        }
    }

    /// Applies `event` and appends what follows from it. News about a worker or a job that is not known, or a job that is
    /// settled, is late and changes nothing.
    public mutating func handle(_ event: Event, at now: Moment, into directives: inout [Directive]) {
        forgiveLateness(now)
        if case .workerHeard(let worker) = event {
            // Four a second from each worker: nothing but the deadline is looked at.
            hear(worker, now, &directives)
            guard wakeAt.map({ $0 <= now }) ?? false else { return }
        } else {
            apply(event, now, &directives)
        }
        if event == .tick || wakeAt.map({ $0 <= now }) ?? false {
            wakeAt = nil
            newDeadline = nil
            expire(now, &directives)
            if let next = nextDeadline { watch(next) }
        }
        if mayPlace {
            mayPlace = false
            startQueued(now, &directives)
        }
        if isDraining, !hasSaidDrained, !jobs.contains(where: \.isPlaced) {
            hasSaidDrained = true
            directives.append(.drained)
        }
        // One wake-up is outstanding at a time: what only moves deadlines back asks for none.
        if let deadline = newDeadline, wakeAt.map({ deadline < $0 }) ?? true {
            wakeAt = deadline
            directives.append(.wake(at: deadline))
        }
        newDeadline = nil
    }

    private mutating func apply(_ event: Event, _ now: Moment, _ directives: inout [Directive]) {
        switch event {
        case .workerJoined(let registration, let ticket): join(registration, ticket, now, &directives)
        case .workerConnected(let worker): connect(worker, now, &directives)
        case .workerDisconnected(let worker): disconnect(worker, now, &directives)
        case .workerReported(let worker, let report):
            guard hear(worker, now, &directives) else { return }
            apply(report, from: worker, now, &directives)
        case .workerHeard: break
        case .workerGone(let worker, let reason): lose(worker, reason: reason, now, &directives)
        case .workerWillNotJoin(let name, let reason):
            // Where jobs wait for workers as long as it takes, one that does not start costs them nothing.
            guard policy.joinSeconds != nil else { return }
            for index in jobs.indices where jobs[index].phase == .queued {
                let failure = Failure(.workersMissing, "worker \(name) did not start: it \(reason)", worker: name)
                settle(index, failure, now, &directives)
            }
        case .workerDrained(let worker): drain(worker, &directives)
        case .submitted(let submission, let ticket): submit(submission, ticket, now, &directives)
        case .promptStored(let number):
            guard let index = openJob(number) else { return }
            jobs[index].record.hasPrompt = true
            directives.append(.keep(.job(jobs[index].record)))
            mayPlace = true
        case .cancelled(let number, let reason):
            guard let index = openJob(number) else { return }
            settle(index, as: .cancelled, .cancelled(reason: reason), reason: reason, now, &directives)
        case .draining: isDraining = true
        case .stopping(let reason): stop(reason: reason, now, &directives)
        case .tick: break
        }
    }

    /// Asks to be woken at `moment` if nothing earlier does.
    mutating func watch(_ moment: Moment) { newDeadline = min(newDeadline ?? moment, moment) }

    /// A wake-up that comes late means that this process, not the workers, was asleep: their silence is not held against
    /// them. (Lifeguard's idea, Dadgar et al. 2018: doubt oneself first.)
    private mutating func forgiveLateness(_ now: Moment) {
        guard let wakeAt, now.seconds(since: wakeAt) > policy.latenessSeconds else { return }
        let late = now.seconds(since: wakeAt)
        for index in members.indices {
            members[index].heardAt = min(now, members[index].heardAt.advanced(bySeconds: late))
            members[index].disconnectedAt = members[index].disconnectedAt.map { min(now, $0.advanced(bySeconds: late)) }
        }
    }

    mutating func nextWorkerID() -> WorkerID {
        defer { nextWorker += 1 }
        return WorkerID(nextWorker)
    }

    /// A worker of an earlier coordinator must find its number unknown here, not taken by another worker: numbers go on
    /// from the microseconds since 1970.
    mutating func numberWorkers(from now: Moment) { nextWorker = max(nextWorker, UInt64(max(0, now.nanoseconds / 1000))) }

    // MARK: looking

    /// Every job that is kept, oldest first.
    public var jobViews: [JobView] { jobs.map(JobView.init) }

    /// One job.
    public func jobView(_ number: JobNumber) -> JobView? { jobs.first { $0.number == number }.map(JobView.init) }

    /// Every member, oldest first.
    public func workerViews(at now: Moment) -> [WorkerView] {
        members.map { member in
            var place: (rank: Int, progress: WorkerProgress?)?
            if let run = member.run, let job = jobs.first(where: { $0.run == run }), let rank = job.rank(of: member.id) {
                place = (rank, job.places[rank].progress)
            }
            return WorkerView(member, place: place, now: now)
        }
    }

    /// The cluster as a whole.
    public func clusterView(startedAt: Moment, at now: Moment) -> ClusterView { ClusterView(self, startedAt: startedAt, now: now) }

    /// The rank whose trace `worker` may hand over: that of a job which is at this run and asked for traces.
    public func tracedRank(of worker: WorkerID, in run: Run) -> Int? {
        guard let index = openJob(run.job), jobs[index].run == run, jobs[index].isPlaced, jobs[index].submission.traces == true else {
            return nil
        }
        return jobs[index].rank(of: worker)
    }

    func openJob(_ number: JobNumber) -> Int? { jobs.firstIndex { $0.number == number && !$0.phase.isSettled } }

    /// Where a member is among the members, found by halving.
    func place(of worker: WorkerID) -> Int? {
        var (low, high) = (0, members.count)
        while low < high {
            let middle = (low + high) / 2
            if members[middle].id < worker { low = middle + 1 } else { high = middle }
        }
        return low < members.count && members[low].id == worker ? low : nil
    }
}
