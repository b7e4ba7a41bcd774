// Carries out what the worker's machine decides: requests as tasks, the engine as a thread, reports in batches. It decides
// nothing.

import Foundation
import Logging
import RingClient
import RingControl
import RingCore
import RingTransport

actor WorkerShell {
    private var machine: WorkerMachine
    private var client: CoordinatorClient
    /// Clients with earlier certificates, one a rotation: some fifty a year.
    private var retired: [CoordinatorClient] = []
    private var registration: WorkerRegistration
    private let listener: TCPListener
    private let executor: any JobExecutor
    private let facts: FactsSource?
    private var log: WorkerLog
    private let started = ContinuousClock.now

    private let fromEngine = Mailbox()
    private let toCoordinator = Mailbox()
    private var prompts: (run: Run, chunks: [PromptChunk])?
    private var thread: EngineThread?
    /// The newest directive in the session that is open.
    private var seen: UInt64 = 0
    /// Whether the coordinator is to be told that this worker leaves, and whether that is still to be said.
    private var isLeaving = false
    private var mustSpeak = false
    private var isSending = false
    private var streams = 0
    private var stream: Task<Void, Never>?
    private var reporter: Task<Void, Never>?
    private var teller: Task<Void, Never>?
    private var fetcher: Task<Void, Never>?
    private var alarm: Task<Void, Never>?
    private let leave: AsyncStream<WorkerMachine.Departure>.Continuation
    private let left: AsyncStream<WorkerMachine.Departure>

    init(
        _ client: CoordinatorClient, _ registration: WorkerRegistration, _ listener: TCPListener, _ executor: any JobExecutor,
        _ policy: WorkerPolicy, _ logger: Logger, _ facts: FactsSource?
    ) {
        self.facts = facts
        (self.client, self.registration, self.listener, self.executor) = (client, registration, listener, executor)
        log = WorkerLog(logger)
        var policy = policy
        policy.jitterSeed = UInt64.random(in: 1...UInt64.max)
        machine = WorkerMachine(policy: policy)
        (left, leave) = AsyncStream.makeStream()
    }

    private var now: Moment {
        let (seconds, attoseconds) = (ContinuousClock.now - started).components
        return Moment(nanoseconds: seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }

    /// From joining to leaving. Not ended by cancellation of the task: `stopRequested` ends it.
    func live() async -> WorkerMachine.Departure {
        let pump = Task { await pumpEngine() }
        let ticks = Task { [fromEngine] in
            while (try? await Task.sleep(for: .seconds(WorkerLimits.progressSeconds))) != nil { fromEngine.wake() }
        }
        receive(.started)
        let departure = await Task { [left] in
            for await departure in left { return departure }
            return .interrupted
        }.value
        await sayLastWords()
        for task in [pump, ticks, stream, reporter, teller, fetcher, alarm] { task?.cancel() }
        for client in retired + [client] { await client.connection.close() }
        return departure
    }

    private func sayLastWords() async {
        let deadline = ContinuousClock.now + .seconds(WorkerLimits.lastWordSeconds)
        toCoordinator.wake()
        while reporter != nil, isSending || !toCoordinator.isEmpty, ContinuousClock.now < deadline {
            await Task { try? await Task.sleep(for: .milliseconds(10)) }.value
        }
    }

    private func pumpEngine() async {
        for await _ in fromEngine.listen() { for report in fromEngine.take() { receive(.engineReported(report)) } }
    }

    /// Nothing but a turn of this actor.
    func answer() {}

    /// Speaks through another client. The old one's open stream stays until it ends by itself or the session does.
    func use(_ renewed: CoordinatorClient) {
        retired.append(client)
        client = renewed
    }

    // MARK: directives

    /// Applies an event and carries out what follows. `reason` is for the log: what the machine need not know.
    func receive(_ event: WorkerMachine.Event, because reason: String? = nil) {
        var directives: [WorkerMachine.Directive] = []
        let now = now
        // News after the end changes nothing, and is none.
        guard !machine.isOver else { return }
        machine.handle(event, at: now, into: &directives)
        let wait = machine.asksAgainAt.map { $0.seconds(since: now) }
        log.note(event, directives, WorkerLog.Circumstances(reason: reason, retrySeconds: wait))
        for directive in directives { carryOut(directive) }
    }

    private func carryOut(_ directive: WorkerMachine.Directive) {
        switch directive {
        case .join: Task { await join() }
        case .openStream(let worker, let after): open(worker, after)
        case .closeSession:
            stream?.cancel()
            reporter?.cancel()
            teller?.cancel()
            (stream, reporter, teller) = (nil, nil, nil)
            streams += 1
            toCoordinator.clear()
        case .fetchPrompt(let assignment): fetcher = Task { await fetch(assignment) }
        case .cancelFetch: fetcher?.cancel()
        case .startEngine(let assignment): start(assignment)
        case .releaseEngine(let run): if thread?.run == run { thread?.start() }
        case .cancelEngine(let run): if thread?.run == run { thread?.cancel() }
        case .dropKept(let run): executor.forget(run)
        case .report(let report): toCoordinator.put(report)
        case .drainSelf:
            isLeaving = true
            mustSpeak = true
            toCoordinator.wake()
        case .wake(let moment): setAlarm(at: moment)
        case .leave(let departure):
            leave.yield(departure)
            leave.finish()
        }
    }

    private func setAlarm(at moment: Moment) {
        alarm?.cancel()
        let deadline = started + .nanoseconds(moment.nanoseconds)
        alarm = Task { [weak self] in
            guard (try? await Task.sleep(until: deadline, clock: .continuous)) != nil else { return }
            await self?.receive(.tick)
        }
    }

    // MARK: the session

    private func join() async {
        do throws(ClientError) {
            registration.attempt = (registration.attempt ?? 0) + 1
            let worker = try await client.join(registration)
            seen = 0
            receive(.joined(worker))
            reporter = Task { await reportAlways(as: worker) }
            teller = facts.map { source in
                let report = FactsReport(source: source, client: client, worker: worker)
                return Task { await report.run() }
            }
        } catch {
            switch error {
            case .refused(let refusal):
                receive(.turnedAway(reason: refusal.message, isTemporary: refusal.isTemporary || refusal.status == 409))
            case .untrusted(let reason), .misconfigured(let reason): receive(.turnedAway(reason: reason, isTemporary: false))
            case .unreachable, .broken, .garbled, .cancelled: receive(.requestFailed, because: error.description)
            }
        }
    }

    private func open(_ worker: WorkerID, _ after: UInt64) {
        stream?.cancel()
        streams += 1
        let number = streams
        stream = Task { await read(worker, after, number) }
    }

    private func read(_ worker: WorkerID, _ after: UInt64, _ number: Int) async {
        do throws(ClientError) {
            var lines = try await client.directives(of: worker, after: after)
            guard number == streams else { return }
            receive(.streamOpened)
            while let line = try await lines.next(), number == streams {
                if line.isEmpty {
                    receive(.coordinatorHeard)
                    continue
                }
                let numbered = try CoordinatorClient.numbered(line)
                seen = max(seen, numbered.sequence)
                receive(.directive(sequence: numbered.sequence, numbered.directive))
            }
        } catch {
            guard number == streams else { return }
            return receive(isStranger(error) ? .sessionLost : .streamClosed, because: error.description)
        }
        // What was opened since, or ended with its session, is not this stream's to tell of.
        if number == streams { receive(.streamClosed) }
    }

    private nonisolated func isStranger(_ error: ClientError) -> Bool {
        if case .refused(let refusal) = error { return refusal.status == 404 }
        return false
    }

    /// Sends what is in the mailbox: at once if it is urgent, progress five times a second, and a sign of life in between.
    private func reportAlways(as worker: WorkerID) async {
        let ticks = Task { [toCoordinator] in
            while (try? await Task.sleep(for: .seconds(WorkerLimits.progressSeconds))) != nil { toCoordinator.wake() }
        }
        defer { ticks.cancel() }
        var batch: UInt64 = 0
        var spoken = ContinuousClock.now
        for await _ in toCoordinator.listen() {
            if Task.isCancelled { return }
            let reports = toCoordinator.take()
            guard !reports.isEmpty || mustSpeak || ContinuousClock.now - spoken >= .seconds(WorkerLimits.heartbeatSeconds - 0.1) else {
                continue
            }
            batch += 1
            mustSpeak = false
            isSending = true
            defer { isSending = false }
            guard await send(reports, batch: batch, as: worker) else { return }
            spoken = .now
        }
    }

    /// Sends one batch, again until it gets through; false when the session is over.
    private func send(_ reports: [WorkerReport], batch: UInt64, as worker: WorkerID) async -> Bool {
        var pause = WorkerLimits.retryPauseSecondsMax / 10
        while !Task.isCancelled {
            do throws(ClientError) {
                try await client.report(reports, batch: batch, seen: seen, isLeaving: isLeaving, of: worker)
                receive(.coordinatorHeard)
                return true
            } catch {
                if Task.isCancelled { return false }
                if case .refused(let refusal) = error, !refusal.isTemporary {
                    receive(.sessionLost, because: "it does not take reports: " + refusal.message)
                    return false
                }
                try? await Task.sleep(for: .seconds(pause))
                pause = min(2 * pause, WorkerLimits.retryPauseSecondsMax)
            }
        }
        return false
    }

    // MARK: the run

    private func fetch(_ assignment: Assignment) async {
        do {
            let plan = try assignment.plan()
            var chunks: [PromptChunk] = []
            for chunk in plan.chunks(of: Rank(assignment.rank)) { chunks.append(try await client.prompt(of: assignment.job, chunk)) }
            if Task.isCancelled { return }
            prompts = (assignment.run, chunks)
            receive(.promptFetched(assignment.run))
        } catch {
            if !Task.isCancelled { receive(.promptFailed(assignment.run, "\(error)")) }
        }
    }

    private func start(_ assignment: Assignment) {
        let chunks = prompts?.run == assignment.run ? prompts?.chunks ?? [] : []
        prompts = nil
        // The engine's thread waits here, and not for long: a trace that does not get through is nobody's failure.
        let handOver: @Sendable ([UInt8]) -> Void = { [weak self] bytes in
            let isThere = DispatchSemaphore(value: 0)
            Task {
                await self?.send(trace: bytes, of: assignment.run)
                isThere.signal()
            }
            _ = isThere.wait(timeout: .now() + WorkerLimits.traceSeconds)
        }
        thread = EngineThread(
            assignment, prompt: chunks, executor: executor, listener: listener, mailbox: fromEngine, handOver: handOver
        ) { [weak self] in
            Task { await self?.engineEnded(assignment.run) }
        }
    }

    private func send(trace: [UInt8], of run: Run) async {
        guard let worker = machine.worker else { return }
        do throws(ClientError) {
            try await client.handOver(trace, of: run, by: worker)
        } catch {
            log.noteTrace(run, error)
        }
    }

    private func engineEnded(_ run: Run) {
        // Its last report is told before its end.
        for report in fromEngine.take() { receive(.engineReported(report)) }
        receive(.engineEnded(run))
    }
}
