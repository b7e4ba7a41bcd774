// Carries out what the machine decides: gives it events and the time, writes its directives to the workers' streams, keeps
// journals and prompts. It decides nothing. Applying an event never suspends, so events cannot overtake each other;
// a store that does suspend will need a queue before `receive`.

import RingControl
import RingCore

/// The coordinator's machine and everything that outlives one event.
public actor CoordinatorShell {
    /// What goes down a worker's stream.
    enum StreamItem: Sendable {
        case directive(WorkerDirective)
        case keepAlive
    }

    private struct Worker {
        let continuation: AsyncStream<StreamItem>.Continuation
        /// Taken by the first reader.
        var stream: AsyncStream<StreamItem>?
        /// The last batch of reports that was applied: a batch that is sent again changes nothing.
        var batch: UInt64 = 0
    }

    private struct Followed {
        var journal = JobJournal()
        var bells: [UInt64: AsyncStream<Void>.Continuation] = [:]
        var prompt: StoredPrompt?
    }

    private var machine: Coordinator
    private let started = ContinuousClock.now
    private var consequences: [Coordinator.Event] = []
    private var workers: [WorkerID: Worker] = [:]
    /// Names of workers that have ever joined.
    private var joined: Set<String> = []
    private var jobs: [JobNumber: Followed] = [:]
    private var tickets: UInt64 = 0
    private var bells: UInt64 = 0
    private var alarm: (task: Task<Void, Never>, at: Moment)?
    private var heart: Task<Void, Never>?

    /// A shell round a new machine.
    public init(version: String, policy: CoordinatorPolicy) { machine = Coordinator(version: version, policy: policy) }

    private var now: Moment {
        let (seconds, attoseconds) = (ContinuousClock.now - started).components
        return Moment(nanoseconds: seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }

    /// Applies one event and carries out what follows; gives the directives of `event` itself. What carrying out brings
    /// about is applied after it, never in the middle.
    @discardableResult
    func receive(_ event: Coordinator.Event) -> [Coordinator.Directive] {
        let first = apply(event)
        while !consequences.isEmpty { _ = apply(consequences.removeFirst()) }
        return first
    }

    private func apply(_ event: Coordinator.Event) -> [Coordinator.Directive] {
        var directives: [Coordinator.Directive] = []
        machine.handle(event, at: now, into: &directives)
        for directive in directives { carryOut(directive) }
        return directives
    }

    private func carryOut(_ directive: Coordinator.Directive) {
        switch directive {
        case .welcome(_, let id):
            let (stream, continuation) = AsyncStream<StreamItem>.makeStream(
                bufferingPolicy: .bufferingOldest(CoordinatorLimits.directivesQueued))
            workers[id] = Worker(continuation: continuation, stream: stream)
        case .turnAway, .accepted, .refused: break  // answered by whoever drew the ticket
        case .send(let message, let worker): send(message, to: worker)
        case .dismiss(let worker):
            workers.removeValue(forKey: worker)?.continuation.finish()
        case .emit(let job, let event):
            jobs[job, default: Followed()].journal.append(event)
            if event.isFinal { jobs[job]?.prompt = nil }
            ring(job)
        case .forget(let job):
            for bell in jobs.removeValue(forKey: job)?.bells.values ?? [:].values { bell.finish() }
        case .wake(let moment): setAlarm(at: moment)
        }
    }

    private func send(_ message: WorkerDirective, to id: WorkerID) {
        guard let worker = workers[id] else { return }
        if case .dropped = worker.continuation.yield(.directive(message)) {
            consequences.append(.workerGone(id, reason: "does not read its directives and counts as lost"))
        }
    }

    private func setAlarm(at moment: Moment) {
        alarm?.task.cancel()
        let deadline = started + .nanoseconds(moment.nanoseconds)
        alarm = (
            Task { [weak self] in
                guard (try? await Task.sleep(until: deadline, clock: .continuous)) != nil else { return }
                await self?.receive(.tick)
            }, moment
        )
    }

    private func ring(_ job: JobNumber) {
        for bell in jobs[job]?.bells.values ?? [:].values { bell.yield() }
    }

    // MARK: life

    /// Starts the heartbeat of the streams.
    func start() {
        heart = Task { [weak self] in
            while (try? await Task.sleep(for: .seconds(CoordinatorLimits.keepAliveSeconds))) != nil { await self?.beat() }
        }
    }

    private func beat() {
        for worker in workers.values where worker.stream == nil { worker.continuation.yield(.keepAlive) }
        for job in jobs.keys { ring(job) }
    }

    /// Ends every stream; nothing is applied to a worker or follower afterwards.
    func finish(reason: String) {
        receive(.stopping(reason: reason))
        heart?.cancel()
        alarm?.task.cancel()
        for worker in workers.values { worker.continuation.finish() }
        for job in jobs.values { for bell in job.bells.values { bell.finish() } }
    }

    // MARK: workers

    /// Lets a worker in, or says why not.
    package func join(_ registration: WorkerRegistration) throws(APIError) -> WorkerID {
        tickets += 1
        for directive in receive(.workerJoined(registration, Ticket(tickets))) {
            switch directive {
            case .welcome(_, let id):
                joined.insert(registration.name)
                return id
            case .turnAway(_, let reason): throw APIError(.conflict, reason)
            default: continue
            }
        }
        throw APIError(.internalError, "the registration of \(registration.name) was not answered")
    }

    /// The stream of a worker, once.
    func stream(of id: WorkerID) throws(APIError) -> AsyncStream<StreamItem> {
        guard let worker = workers[id] else { throw APIError(.notFound, "there is no worker \(id)") }
        guard let stream = worker.stream else { throw APIError(.conflict, "worker \(id) reads its directives already") }
        workers[id]?.stream = nil
        return stream
    }

    /// Applies a batch of reports, once however often it is sent. An empty batch is a sign of life.
    func report(_ reports: [WorkerReport], batch: UInt64, from id: WorkerID) throws(APIError) {
        guard let worker = workers[id] else { throw APIError(.notFound, "there is no worker \(id)") }
        guard batch > worker.batch else {
            receive(.workerHeard(id))
            return
        }
        workers[id]?.batch = batch
        receive(.workerHeard(id))
        for report in reports { receive(.workerReported(id, report)) }
    }

    /// A started process has ended; `reason` completes "worker X ...".
    func processEnded(_ name: String, reason: String) {
        if let worker = machine.workerViews(at: now).first(where: { $0.registration.name == name }) {
            receive(.workerGone(worker.id, reason: reason))
        } else if !joined.contains(name) {
            receive(.workerWillNotJoin(name: name, reason: reason))
        }
    }

    /// Every worker.
    func workerViews() -> [WorkerView] { machine.workerViews(at: now) }

    // MARK: jobs

    /// Takes a job in, or says why not.
    func submit(_ submission: Submission) throws(APIError) -> JobNumber {
        if case .generate = submission.spec {
            let stored = jobs.values.reduce(0) { $0 + ($1.prompt?.byteCount ?? 0) }
            guard submission.spec.tokens <= (CoordinatorLimits.promptStoreBytes - stored) / 4 else {
                throw APIError(.tooLarge, "the prompts of open jobs may have \(CoordinatorLimits.promptStoreBytes) bytes together")
            }
        }
        tickets += 1
        for directive in receive(.submitted(submission, Ticket(tickets))) {
            switch directive {
            case .accepted(_, let job):
                if case .generate(let spec) = submission.spec, jobs[job]?.journal.isSettled == false {
                    jobs[job]?.prompt = StoredPrompt(tokens: spec.promptTokenCount)
                }
                return job
            case .refused(_, .invalid(let sentence)): throw APIError(.badRequest, sentence)
            case .refused(_, .full(let open)): throw APIError(.busy, "\(open) jobs are open: try again when one is through")
            case .refused(_, .stopping): throw APIError(.unavailable, "the coordinator is going down")
            default: continue
            }
        }
        throw APIError(.internalError, "the submission was not answered")
    }

    /// Stores a piece of a prompt.
    func storePrompt(_ piece: [UInt32], at start: Int, of job: JobNumber) throws(APIError) {
        guard jobs[job]?.prompt != nil else { throw APIError(.notFound, "there is no open job \(job) that takes a prompt") }
        guard jobs[job]?.prompt?.store(piece, at: start) == true else {
            throw APIError(.badRequest, "the piece does not lie in the prompt of job \(job)", parameter: "start")
        }
        if jobs[job]?.prompt?.isWhole == true { receive(.promptStored(job)) }
    }

    /// A run of a prompt's token ids.
    func prompt(of job: JobNumber, start: Int, count: Int) throws(APIError) -> ArraySlice<UInt32> {
        guard let prompt = jobs[job]?.prompt else { throw APIError(.notFound, "there is no open job \(job) with a prompt") }
        guard let piece = prompt.piece(start: start, count: count) else {
            throw APIError(.badRequest, "the prompt of job \(job) has \(prompt.ids.count) tokens", parameter: "start")
        }
        return piece
    }

    /// Gives a job up.
    func cancel(_ job: JobNumber, reason: String) throws(APIError) {
        guard machine.jobView(job) != nil else { throw APIError(.notFound, "there is no job \(job)") }
        receive(.cancelled(job, reason: reason))
    }

    /// Every job that is kept.
    func jobViews() -> [JobView] { machine.jobViews }

    /// One job.
    func jobView(_ job: JobNumber) throws(APIError) -> JobView {
        guard let view = machine.jobView(job) else { throw APIError(.notFound, "there is no job \(job)") }
        return view
    }

    /// The events of a job from its beginning.
    func follow(_ job: JobNumber) throws(APIError) -> JobFeed {
        guard jobs[job] != nil else { throw APIError(.notFound, "there is no job \(job)") }
        bells += 1
        let number = bells
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        jobs[job]?.bells[number] = continuation
        continuation.onTermination = { [weak self] _ in Task { await self?.unfollow(job, bell: number) } }
        return JobFeed(shell: self, job: job, bell: stream)
    }

    private func unfollow(_ job: JobNumber, bell: UInt64) { jobs[job]?.bells.removeValue(forKey: bell) }

    /// What a follower at `place` has not seen, and where it is then.
    func news(of job: JobNumber, after place: JobJournal.Place) -> ([JobEvent], JobJournal.Place)? {
        guard let journal = jobs[job]?.journal else { return nil }
        var moved = place
        return (journal.news(after: &moved), moved)
    }
}
