// One job on one thread. The async side starts it, tells it to run or to give up, and hears of it through the outbox.

import Foundation
import RingControl
import RingCore
import RingTransport
import Synchronization

/// A job under execution.
final class EngineThread: Sendable {
    let job: JobNumber
    private let cancelled = Atomic<Bool>(false)
    private let finished = Atomic<Bool>(false)
    private let started = DispatchSemaphore(value: 0)

    /// Starts the thread.
    init(
        _ assignment: Assignment, prompt: [PromptChunk], executor: some JobExecutor, listener: TCPListener, outbox: Outbox
    ) {
        job = assignment.job
        let thread = Thread { [self] in
            let context = ExecutionContext(
                listener: listener, report: { outbox.put($0) }, isCancelled: { [self] in isCancelled },
                awaitStart: { [self] in
                    outbox.put(.ready(job))
                    started.wait()
                    return !isCancelled
                })
            outbox.put(report(on: assignment, prompt, executor, context))
            finished.store(true, ordering: .releasing)
        }
        thread.stackSize = WorkerLimits.engineStackBytes
        thread.name = "engine-\(assignment.job.number)"
        thread.start()
    }

    private func report(
        on assignment: Assignment, _ prompt: [PromptChunk], _ executor: some JobExecutor, _ context: ExecutionContext
    ) -> WorkerReport {
        do {
            guard let summary = try executor.execute(assignment, prompt: prompt, context: context) else { return .stopped(job) }
            return .finished(job, summary)
        } catch {
            // What goes wrong after somebody said to stop is the consequence of stopping.
            if isCancelled { return .stopped(job) }
            return .failed(job, error.code, message: error.message, lostRank: error.lostRank)
        }
    }

    var isCancelled: Bool { cancelled.load(ordering: .relaxed) }
    var isFinished: Bool { finished.load(ordering: .acquiring) }

    /// Every rank is ready.
    func start() { started.signal() }

    /// Gives up, also if it waits for the start.
    func cancel() {
        cancelled.store(true, ordering: .relaxed)
        started.signal()
    }
}
