// One run on one thread. The async side starts it, tells it to go or to give up, and hears of it through the mailbox.

import Foundation
import RingControl
import RingCore
import RingTransport
import Synchronization

/// A run under execution.
final class EngineThread: Sendable {
    let run: Run
    private let cancelled = Atomic<Bool>(false)
    private let finished = Atomic<Bool>(false)
    private let started = DispatchSemaphore(value: 0)

    /// Starts the thread; `ended` is called on it, last.
    init(
        _ assignment: Assignment, prompt: [PromptChunk], executor: any JobExecutor, listener: TCPListener, mailbox: Mailbox,
        handOver: @escaping @Sendable ([UInt8]) -> Void, ended: @escaping @Sendable () -> Void
    ) {
        run = assignment.run
        let thread = Thread { [self] in
            let context = ExecutionContext(
                listener: listener, report: { mailbox.put($0) }, isCancelled: { [self] in isCancelled },
                handOver: handOver,
                awaitStart: { [self] in
                    mailbox.put(.ready(run))
                    started.wait()
                    return !isCancelled
                })
            mailbox.put(report(on: assignment, prompt, executor, context))
            finished.store(true, ordering: .releasing)
            ended()
        }
        thread.stackSize = WorkerLimits.engineStackBytes
        thread.name = "engine-\(assignment.job.number)"
        thread.start()
    }

    private func report(
        on assignment: Assignment, _ prompt: [PromptChunk], _ executor: any JobExecutor, _ context: ExecutionContext
    ) -> WorkerReport {
        do {
            guard let summary = try executor.execute(assignment, prompt: prompt, context: context) else { return .stopped(run) }
            return .finished(run, summary)
        } catch {
            // What goes wrong after somebody said to stop is the consequence of stopping.
            if isCancelled { return .stopped(run) }
            return .failed(run, error.code, message: error.message, lostRank: error.lostRank)
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
