// A worker's life: join, read directives, run jobs on an engine thread, report. It ends when it is told to, or when the
// coordinator has been silent for too long; it never outlives its coordinator for long.

import Foundation
import RingControl
import RingCore
import RingTransport

/// One worker's session with one coordinator.
public struct WorkerSession: Sendable {
    private let client: CoordinatorClient
    private let registration: WorkerRegistration
    private let listener: TCPListener
    private let outbox = Outbox()

    /// A session, not yet begun. `listener` is bound; `registration` tells its port.
    public init(coordinator address: String, token: String, registration: WorkerRegistration, listener: TCPListener) {
        client = CoordinatorClient(address: address, token: token)
        self.registration = registration
        self.listener = listener
    }

    /// Joins and works until told to stop. Throws `SessionError` when the coordinator does not let this worker in or is gone.
    public func run(_ executor: some JobExecutor) async throws {
        do {
            let worker = try await client.join(registration)
            try await work(as: worker, executor)
        } catch {
            await client.shutdown()
            throw error
        }
        await client.shutdown()
    }

    private func work(as worker: WorkerID, _ executor: some JobExecutor) async throws {
        let runner = JobRunner(client: client, executor: executor, listener: listener, outbox: outbox)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do {
                    try await client.readDirectives(of: worker) { directive in await runner.obey(directive) }
                } catch  where error is SessionError || error is CancellationError {
                    throw error
                } catch {
                    throw SessionError.coordinatorGone("\(error)")
                }
            }
            group.addTask { try await report(as: worker) }
            group.addTask {
                while client.silentSeconds < WorkerLimits.coordinatorSilenceSeconds { try await Task.sleep(for: .milliseconds(250)) }
                throw SessionError.coordinatorGone("no word for \(Int(WorkerLimits.coordinatorSilenceSeconds)) s")
            }
            defer { group.cancelAll() }
            // The stream of directives ends first when all is well: by `stop`, or because the coordinator closed it.
            do {
                try await group.next()
            } catch {
                await runner.giveUp()
                throw error
            }
            await runner.giveUp()
        }
    }

    /// Sends what is in the outbox: at once if it is urgent, progress five times a second, and a sign of life in between.
    private func report(as worker: WorkerID) async throws {
        var batch: UInt64 = 0
        let ticks = Task {
            while (try? await Task.sleep(for: .seconds(WorkerLimits.progressSeconds))) != nil { outbox.wake() }
        }
        defer { ticks.cancel() }
        var spoken = ContinuousClock.now
        for await _ in outbox.urgent {
            let reports = outbox.take()
            guard !reports.isEmpty || ContinuousClock.now - spoken >= .seconds(WorkerLimits.heartbeatSeconds) else { continue }
            batch += 1
            try await send(reports, batch: batch, as: worker)
            spoken = .now
        }
    }

    /// Sends one batch, again if it does not get through: the watchdog ends the session when nothing does for too long.
    private func send(_ reports: [WorkerReport], batch: UInt64, as worker: WorkerID) async throws {
        var pause = WorkerLimits.retryPauseSecondsMax / 10
        while true {
            do {
                return try await client.report(reports, batch: batch, of: worker)
            } catch SessionError.coordinatorGone {
                try await Task.sleep(for: .seconds(pause))
                pause = min(2 * pause, WorkerLimits.retryPauseSecondsMax)
            }
        }
    }
}

/// Obeys directives: at most one job at a time has an engine thread.
private actor JobRunner {
    private let client: CoordinatorClient
    private let executor: any JobExecutor
    private let listener: TCPListener
    private let outbox: Outbox
    private var thread: EngineThread?
    /// The job whose prompt is being fetched.
    private var fetching: (job: JobNumber, task: Task<Void, Never>)?

    init(client: CoordinatorClient, executor: any JobExecutor, listener: TCPListener, outbox: Outbox) {
        self.client = client
        self.executor = executor
        self.listener = listener
        self.outbox = outbox
    }

    /// Obeys; false when the session is to end.
    func obey(_ directive: WorkerDirective) -> Bool {
        switch directive {
        case .prepare(let assignment): prepare(assignment)
        case .start(let job): if thread?.job == job { thread?.start() }
        case .abort(let job, _):
            if fetching?.job == job {
                fetching?.task.cancel()
                fetching = nil
                outbox.put(.stopped(job))
            } else if thread?.job == job {
                thread?.cancel()
            }
        case .stop: return false
        }
        return true
    }

    private func prepare(_ assignment: Assignment) {
        guard fetching == nil, thread.map(\.isFinished) ?? true else {
            outbox.put(.failed(assignment.job, .internalError, message: "it has a job already", lostRank: nil))
            return
        }
        fetching = (
            assignment.job,
            Task {
                do {
                    begin(assignment, prompt: try await prompt(for: assignment))
                } catch {
                    fail(assignment.job, "cannot fetch its part of the prompt: \(error)")
                }
            }
        )
    }

    private func prompt(for assignment: Assignment) async throws -> [PromptChunk] {
        guard case .generate = assignment.spec else { return [] }
        let plan = try ShardPlan(assignment.layout, tokens: assignment.tokens, over: WorldSize(assignment.world))
        var chunks: [PromptChunk] = []
        for chunk in plan.chunks(of: Rank(assignment.rank)) { chunks.append(try await client.prompt(of: assignment.job, chunk)) }
        return chunks
    }

    private func begin(_ assignment: Assignment, prompt: [PromptChunk]) {
        guard fetching?.job == assignment.job else { return }  // aborted meanwhile
        fetching = nil
        thread = EngineThread(assignment, prompt: prompt, executor: executor, listener: listener, outbox: outbox)
    }

    private func fail(_ job: JobNumber, _ message: String) {
        guard fetching?.job == job else { return }
        fetching = nil
        outbox.put(.failed(job, .transport, message: message, lostRank: nil))
    }

    /// Gives up what runs and waits a moment for it.
    func giveUp() async {
        fetching?.task.cancel()
        thread?.cancel()
        let deadline = ContinuousClock.now + .seconds(WorkerLimits.giveUpSeconds)
        while let thread, !thread.isFinished, ContinuousClock.now < deadline { try? await Task.sleep(for: .milliseconds(10)) }
    }
}
