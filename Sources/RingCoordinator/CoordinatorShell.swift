// Carries out what the machine decides: gives it events and the time, keeps what is to be kept, writes its directives to the
// workers' streams, holds journals and prompts. It decides nothing. Applying events never suspends, so they cannot overtake
// each other, and nothing that follows from them is seen outside before the store has it.

import Foundation
import Logging
import RingControl
import RingCore
import RingTelemetry

/// The coordinator's machine and everything that outlives one event.
public actor CoordinatorShell {
    /// A worker's session as the shell holds it.
    struct Worker {
        /// Directives that the worker has not said to have seen, with their numbers.
        var unseen: [NumberedDirective] = []
        var sequence: UInt64 = 0
        /// The stream that is read now, and its number.
        var reader: (number: UInt64, continuation: AsyncStream<StreamItem>.Continuation)?
        /// The last batch of reports that was applied: a batch that is sent again changes nothing.
        var batch: UInt64 = 0
        /// What it told of its machine, and when.
        var facts: (told: WorkerFacts, at: Moment)?
        var name = ""
    }

    /// A job as its followers see it.
    struct Followed {
        var journal: JobJournal
        var bells: [UInt64: AsyncStream<Void>.Continuation] = [:]
        var prompt: StoredPrompt?
        /// What ranks noted in the newest run that was traced.
        var traces: (run: Run, byRank: [Int: [UInt8]])?
        /// The data plane's secret of the newest run.
        var secret: (epoch: Epoch, text: String)?
    }

    var machine: Coordinator
    let store: any JobStore
    /// Monotonic time, counted from 1970 as it was when this process started: what is stored means the same to the next one.
    let startedAt: Moment
    private let started = ContinuousClock.now
    var workers: [WorkerID: Worker] = [:]
    /// Names of workers that have ever joined.
    var joined: Set<String> = []
    var jobs: [JobNumber: Followed] = [:]
    var consequences: [Coordinator.Event] = []
    private var counter: UInt64 = 0
    private var isClosed = false
    private var alarm: Task<Void, Never>?
    private var heart: Task<Void, Never>?
    /// Changes that the store could not take yet, and why; and what may not be seen outside before it has taken them. Both are
    /// bounded by what the jobs that run can still bring about: no job is taken meanwhile, and progress is not kept.
    private var unkept: [StoreChange] = []
    private var waiting: [Coordinator.Directive] = []
    private(set) var trouble: String?
    private var log: CoordinatorLog
    private let drainedBell: AsyncStream<Void>.Continuation
    /// One element when draining is over.
    public nonisolated let drained: AsyncStream<Void>

    /// A shell round a machine that goes on from what `store` holds. `logger` is told what becomes of workers and jobs.
    public init(
        version: String, policy: CoordinatorPolicy, store: any JobStore = MemoryJobStore(), logger: Logger = .silent
    ) throws(StoreError) {
        self.store = store
        log = CoordinatorLog(logger)
        let state = try store.load()
        machine = Coordinator(version: version, policy: policy, state: state)
        startedAt = Moment(nanoseconds: Int64(Date().timeIntervalSince1970 * 1e9))
        (drained, drainedBell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1))
        for stored in state.jobs where !stored.record.phase.isSettled {
            var job = Followed(journal: JobJournal(try store.events(of: stored.record.number)))
            if case .generate(let spec) = stored.record.submission.spec {
                var prompt = StoredPrompt(tokens: spec.promptTokenCount)
                for piece in try store.prompt(of: stored.record.number) { _ = prompt.store(piece.ids, at: piece.start) }
                job.prompt = prompt
            }
            jobs[stored.record.number] = job
        }
    }

    var now: Moment {
        let (seconds, attoseconds) = (ContinuousClock.now - started).components
        return Moment(nanoseconds: startedAt.nanoseconds + seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }

    /// A number that has not been used.
    func nextNumber() -> UInt64 {
        counter += 1
        return counter
    }

    // MARK: events and directives

    /// Applies events and carries out what follows; gives the directives of `events` themselves. What carrying out brings
    /// about is applied after it, never in the middle.
    @discardableResult
    func receive(_ events: Coordinator.Event...) -> [Coordinator.Directive] { receive(events) }

    /// The same for a batch, which is kept in one transaction.
    @discardableResult
    func receive(_ events: [Coordinator.Event]) -> [Coordinator.Directive] {
        // What comes after the end is the end's own consequence: connections that close.
        if isClosed { return [] }
        var first: [Coordinator.Directive] = []
        for event in events { apply(event, &first) }
        carryOut(first)
        while !consequences.isEmpty {
            var more: [Coordinator.Directive] = []
            apply(consequences.removeFirst(), &more)
            carryOut(more)
        }
        return first
    }

    private func apply(_ event: Coordinator.Event, _ directives: inout [Coordinator.Directive]) {
        let before = directives.count
        machine.handle(event, at: now, into: &directives)
        log.note(event, directives[before...])
    }

    private func carryOut(_ directives: [Coordinator.Directive]) {
        keep(directives.compactMap(Self.change))
        for directive in directives {
            if trouble == nil || Self.isUnkept(directive) { carryOut(directive) } else { waiting.append(directive) }
        }
    }

    /// Whether a directive tells nobody of anything that is to be kept: it need not wait for the store.
    private static func isUnkept(_ directive: Coordinator.Directive) -> Bool {
        switch directive {
        case .welcome, .turnAway, .accepted, .refused, .keep, .wake, .remark, .emit(_, sequence: nil, _, _): true
        case .send, .dismiss, .emit, .forget, .drained: false
        }
    }

    private static func change(_ directive: Coordinator.Directive) -> StoreChange? {
        switch directive {
        case .keep(let change): change
        case .emit(let job, let sequence?, let at, let event): .event(job, sequence: sequence, at: at, event)
        default: nil
        }
    }

    /// Keeps changes behind those that wait. What the store cannot take is tried again with the next ones, and every second.
    func keep(_ changes: [StoreChange]) {
        guard !changes.isEmpty || !unkept.isEmpty else { return }
        unkept += changes
        do {
            try store.commit(unkept)
            unkept = []
            if trouble != nil { log.noteStore(trouble: nil) }
            trouble = nil
            let late = waiting
            waiting = []
            for directive in late { carryOut(directive) }
        } catch {
            if trouble == nil { log.noteStore(trouble: error.description) }
            trouble = error.description
        }
    }

    private func carryOut(_ directive: Coordinator.Directive) {
        switch directive {
        // Twice for a request that came twice.
        case .welcome(_, let id): workers[id] = workers[id] ?? Worker()
        case .turnAway, .accepted, .refused: break  // answered by whoever drew the ticket
        case .keep, .remark: break
        case .send(let message, let worker): send(message, to: worker)
        case .dismiss(let worker): workers.removeValue(forKey: worker)?.reader?.continuation.finish()
        case .emit(let job, let sequence, let at, let event):
            jobs[job, default: Followed(journal: JobJournal())].journal.append(
                JobNews(sequence: sequence, at: at.secondsSince1970, event: event))
            if event.isFinal { jobs[job]?.prompt = nil }
            log.note(job, sequence, event) { machine.jobView($0) }
            ring(job)
        case .forget(let job):
            for bell in jobs.removeValue(forKey: job)?.bells.values ?? [:].values { bell.finish() }
        case .drained:
            log.noteDrained()
            drainedBell.yield()
        case .wake(let moment): setAlarm(at: moment)
        }
    }

    private func setAlarm(at moment: Moment) {
        alarm?.cancel()
        let deadline = started + .nanoseconds(moment.nanoseconds - startedAt.nanoseconds)
        alarm = Task { [weak self] in
            guard (try? await Task.sleep(until: deadline, clock: .continuous)) != nil else { return }
            await self?.receive(.tick)
        }
    }

    private func ring(_ job: JobNumber) {
        for bell in jobs[job]?.bells.values ?? [:].values { bell.yield() }
    }

    // MARK: life

    /// Goes on from the store and starts the heartbeat of the streams.
    func start() {
        var directives: [Coordinator.Directive] = []
        log.noteResumed(machine.jobViews)
        machine.resume(at: now, into: &directives)
        carryOut(directives)
        heart = Task { [weak self] in
            var beats = 0
            while (try? await Task.sleep(for: .seconds(CoordinatorLimits.beatSeconds))) != nil {
                beats += 1
                await self?.beat(followers: beats % CoordinatorLimits.beatsPerKeepAlive == 0)
            }
        }
    }

    private func beat(followers: Bool) {
        for worker in workers.values { worker.reader?.continuation.yield(.keepAlive) }
        guard followers else { return }
        keep([])
        for job in jobs.keys { ring(job) }
    }

    /// Takes no new job, starts none, and says on `drained` when nothing runs.
    public func drain() { receive(.draining) }

    /// Ends every job and every stream; nothing is applied to a worker or follower afterwards.
    func finish(reason: String) {
        receive(.stopping(reason: reason))
        close()
    }

    /// Ends every stream and leaves the jobs as they are in the store: the next coordinator goes on with them.
    public func close() {
        isClosed = true
        heart?.cancel()
        alarm?.cancel()
        for worker in workers.values { worker.reader?.continuation.finish() }
        for job in jobs.values { for bell in job.bells.values { bell.finish() } }
    }

    /// The cluster as a whole.
    public func clusterView() -> ClusterView { machine.clusterView(startedAt: startedAt, at: now) }

    /// Why the coordinator cannot do its work now; empty if it can.
    public func reasonsNotReady() -> [String] {
        var reasons: [String] = []
        if let trouble { reasons.append(trouble) }
        if clusterView().isDraining { reasons.append("the coordinator is draining and takes no new job") }
        return reasons
    }
}
