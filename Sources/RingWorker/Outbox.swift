// Reports on their way from the engine thread to the coordinator: the engine puts and never waits, the session takes what
// there is. Of progress only the newest is kept; everything else goes out once and in order.

import RingControl
import Synchronization

/// Reports that wait to be sent.
final class Outbox: Sendable {
    private struct State {
        var reports: [WorkerReport] = []
        var progress: WorkerReport?
    }

    private let state = Mutex(State())
    private let bell: AsyncStream<Void>.Continuation
    /// Rung when something is put in that is not mere progress.
    let urgent: AsyncStream<Void>

    init() { (urgent, bell) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    func put(_ report: WorkerReport) {
        let isUrgent = state.withLock { state in
            if case .progress = report {
                state.progress = report
                return false
            }
            state.reports.append(report)
            return true
        }
        if isUrgent { bell.yield() }
    }

    /// The next batch: the newest progress first, so that a failure after it finds it applied.
    func take() -> [WorkerReport] {
        let (batch, more) = state.withLock { state in
            var batch: [WorkerReport] = []
            if let progress = state.progress { batch.append(progress) }
            state.progress = nil
            batch += state.reports.prefix(WorkerLimits.reportsPerBatch)
            state.reports.removeFirst(min(WorkerLimits.reportsPerBatch, state.reports.count))
            return (batch, !state.reports.isEmpty)
        }
        if more { bell.yield() }
        return batch
    }

    var isEmpty: Bool { state.withLock { $0.reports.isEmpty && $0.progress == nil } }

    /// Rings, so that the reporter looks at once.
    func wake() { bell.yield() }
}
