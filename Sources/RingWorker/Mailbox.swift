// Reports on their way: from the engine thread to the session, and from the session to the coordinator. Whoever puts never
// waits. Of progress only the newest is kept; everything else goes out once and in order.

import RingControl
import Synchronization

/// Reports that wait to be taken.
final class Mailbox: Sendable {
    private struct State {
        var reports: [WorkerReport] = []
        var progress: WorkerReport?
        var bell: AsyncStream<Void>.Continuation?
    }

    private let state = Mutex(State())

    /// Rung when something is put in that is not mere progress, and by `wake`. One listener at a time: a stream ends with the
    /// task that reads it, so each reader has one of its own, and an earlier one's ends.
    func listen() -> AsyncStream<Void> {
        let (stream, continuation) = AsyncStream<Void>.makeStream(bufferingPolicy: .bufferingNewest(1))
        let before = state.withLock { state in
            defer { state.bell = continuation }
            return state.bell
        }
        before?.finish()
        continuation.yield()
        return stream
    }

    func put(_ report: WorkerReport) {
        let isUrgent = state.withLock { state in
            if case .progress = report {
                state.progress = report
                return false
            }
            state.reports.append(report)
            return true
        }
        if isUrgent { wake() }
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
        if more { wake() }
        return batch
    }

    /// Forgets what waits.
    func clear() {
        state.withLock { state in
            state.reports = []
            state.progress = nil
        }
    }

    var isEmpty: Bool { state.withLock { $0.reports.isEmpty && $0.progress == nil } }

    /// Rings, so that whoever takes looks at once.
    func wake() { state.withLock { $0.bell }?.yield() }
}
