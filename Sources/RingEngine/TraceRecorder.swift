// Where a rank notes what it does, when somebody wants to see it: rings of events that are made before the run, one for the engine
// thread's steps and messages and one a compute thread for its tasks, so that many tasks never push the few messages out.
import RingCore
import RingTransport
import Synchronization

/// The newest events of one rank's run.
public final class TraceRecorder: Sendable {
    private let steps: TraceLane
    private let tasks: [TraceLane]

    /// A recorder for `threads` compute threads. It takes `EngineLimits.traceBytes` at most, touched here and not during the run.
    public init(threads: Int) {
        steps = TraceLane(capacity: EngineLimits.traceSteps)
        tasks = (0..<threads).map { _ in TraceLane(capacity: max(EngineLimits.traceTasks / threads, 1)) }
    }

    /// Notes a slice of the engine thread's own or of the wire.
    public func note(_ event: TraceEvent) { steps.note(event) }

    /// Notes a task, on the thread that ran it.
    func note(task event: TraceEvent) { tasks[event.thread].note(event) }

    /// What is left, and how many events had to make room for later ones. For when nobody notes anything any more.
    public var result: (events: [TraceEvent], droppedCount: Int) {
        let parts = ([steps] + tasks).map(\.result)
        return (parts.flatMap(\.events), parts.reduce(0) { $0 + $1.droppedCount })
    }

    /// Seconds that it takes to time a task and note it, on one thread: the mean over `count` tasks that do nothing, with what calling them takes.
    public static func secondsPerTask(count: Int = 1 << 20) -> Double {
        let recorder = TraceRecorder(threads: 1)
        let body = timing(recorder, layer: 0, step: 0, rank: Rank(0)) { _, _ in }
        let start = MonotonicClock.now()
        for task in 0..<count { body(task, 0) }
        return MonotonicClock.now().seconds(since: start) / Double(max(count, 1))
    }

    /// `body`, timed for each task if there is a recorder.
    static func timing(
        _ recorder: TraceRecorder?, layer: Int, step: Int, rank: Rank, _ body: @escaping ComputePool.Body
    ) -> ComputePool.Body {
        guard let recorder else { return body }
        return { task, thread in
            let start = MonotonicClock.now()
            body(task, thread)
            recorder.note(
                task: TraceEvent(
                    .task, from: start, to: MonotonicClock.now(), layer: layer, step: step, piece: task, peer: rank, thread: thread))
        }
    }
}

/// A ring of events. Its lock is never waited for: each lane has one writer, and is read when that has ended.
private final class TraceLane: Sendable {
    private struct Ring: Sendable {
        var events: [TraceEvent]
        var noted = 0
    }

    private let ring: Mutex<Ring>

    init(capacity: Int) {
        let origin = Moment(nanoseconds: 0)
        ring = Mutex(
            Ring(events: Array(repeating: TraceEvent(.wait, from: origin, to: origin, layer: 0, step: 0, peer: Rank(0)), count: capacity)))
    }

    func note(_ event: TraceEvent) {
        ring.withLock {
            $0.events[$0.noted % $0.events.count] = event
            $0.noted += 1
        }
    }

    var result: (events: [TraceEvent], droppedCount: Int) {
        ring.withLock { ring in
            let kept = min(ring.noted, ring.events.count)
            return (Array(ring.events[..<kept]), ring.noted - kept)
        }
    }
}
