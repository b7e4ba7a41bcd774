// The seam between the control session and the engine thread: one call a job, made on a thread of its own. The session
// knows HTTP and no tensor; the executor knows tensors and no HTTP.

import RingControl
import RingTransport

/// Why a job could not be executed, as the executor sees it.
public struct ExecutionError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The stable code.
    public var code: FailureCode
    /// One sentence without `error:` that names the thing and says what to do.
    public var message: String
    /// The rank whose loss is the cause, if it is one.
    public var lostRank: Int?

    /// An error of its parts.
    public init(_ code: FailureCode, _ message: String, lostRank: Int? = nil) {
        self.code = code
        self.message = message
        self.lostRank = lostRank
    }

    /// The sentence.
    public var description: String { message }
}

/// A run of consecutive prompt tokens.
public struct PromptChunk: Hashable, Sendable {
    /// Global position of the first token.
    public let start: Int
    /// The token ids.
    public let ids: [UInt32]

    /// Tokens `start ..< start + ids.count`.
    public init(start: Int, ids: [UInt32]) {
        self.start = start
        self.ids = ids
    }
}

/// What an executor may ask of its session while it runs. Every call is made on the engine thread.
public struct ExecutionContext: Sendable {
    /// The data plane's listening socket of this worker; its port is in `Assignment.peers[rank]`.
    public let listener: TCPListener
    /// Hands a report to the session; never blocks. Call it freely: progress is thinned out on the way.
    public internal(set) var report: @Sendable (WorkerReport) -> Void
    /// Whether the job is to be given up. Ask at least every 100 ms of work and in every wait.
    public let isCancelled: @Sendable () -> Bool
    /// Hands what was noted of the run to the coordinator, and returns when it is there or cannot be got there: a run never fails for it.
    public let handOver: @Sendable ([UInt8]) -> Void
    /// Reports `ready` and blocks until every rank is. False: the job was cancelled meanwhile.
    public let awaitStart: @Sendable () -> Bool
    /// What the ring's data is to travel by, and travels by.
    var lanes = RingLanes(wanted: nil)

    /// A context of its parts.
    public init(
        listener: TCPListener, report: @escaping @Sendable (WorkerReport) -> Void,
        isCancelled: @escaping @Sendable () -> Bool, handOver: @escaping @Sendable ([UInt8]) -> Void = { _ in },
        awaitStart: @escaping @Sendable () -> Bool
    ) {
        self.listener = listener
        self.report = report
        self.isCancelled = isCancelled
        self.handOver = handOver
        self.awaitStart = awaitStart
    }
}

/// Runs jobs. A protocol because it has two implementations: the engine's, and a scripted one under the session's tests.
public protocol JobExecutor: Sendable {
    /// Runs one job from loading to its last figure, on the calling thread, which has no other work and never suspends:
    /// load, connect to the peers, `context.awaitStart()`, run. Gives `nil` when it gave up because it was cancelled.
    /// - Parameter prompt: this rank's chunks of the prompt, ascending, as `ShardPlan` deals them; empty for `attend`.
    ///
    /// What it still holds of a run that breaks, and could go on from, it reports as `kept` before it returns or throws, and holds
    /// until `forget` or the next run.
    func execute(_ assignment: Assignment, prompt: [PromptChunk], context: ExecutionContext) throws(ExecutionError) -> WorkerSummary?

    /// Gives back what is held of a broken run. Called on any thread, never while a run is executed.
    func forget(_ run: Run)
}

extension JobExecutor {
    /// Nothing is held.
    public func forget(_ run: Run) {}
}
