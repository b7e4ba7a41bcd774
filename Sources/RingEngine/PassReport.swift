// What one trip round the ring cost, hop by hop: the figures that a summary, a trace and a test read.
import RingCore

/// The figures of one ring step.
public struct StepReport: Hashable, Sendable {
    /// Counted from zero.
    public let step: Int
    /// Whose keys and values were attended to.
    public let kvOwner: Rank
    /// Visible (query, key) pairs, summed over query heads.
    public var pairs: Int
    /// Seconds under attention.
    public var computeSeconds: Double
    /// Seconds in which nothing was computed because keys and values had not come yet; in the last step also the wait for the
    /// last sends.
    public var exposedSeconds: Double
    /// Seconds from the post of the first piece that was sent on to the news that the next rank has the last.
    public var sendSeconds = 0.0
    /// Seconds from the post of the first receive to the news that the last piece is here. A receive is posted as soon as its
    /// buffer is free, so this holds the time that the sender needed before it could send.
    public var receiveSeconds = 0.0
    /// Payload bytes that were sent on, and that came.
    public var bytesSent = 0, bytesReceived = 0
}

/// Where a pass stands on one rank; a step of a long context takes minutes, so this moves with every task.
public struct PassProgress: Hashable, Sendable {
    /// The step under way, counted from zero, and how many there are.
    public let step: Int, steps: Int
    /// Share of the rank's visible pairs that is done, 0 ... 1; inside a step it goes by tasks taken.
    public let fraction: Double
    /// Seconds of this pass under attention, and seconds in which nothing was computed because keys and values had not come yet.
    public let computeSeconds: Double, exposedSeconds: Double
}

/// The figures of one pass.
public struct PassReport: Hashable, Sendable {
    /// One entry a step, in order.
    public var steps: [StepReport] = []
    /// Seconds from begin to finish, the wait for the last sends included.
    public var seconds = 0.0
    /// Payload bytes of the posted sends.
    public var bytesSent = 0
    /// Payload bytes of the posted receives.
    public var bytesReceived = 0

    /// A pass that has not begun.
    public init() {}

    /// Seconds under attention.
    public var computeSeconds: Double { steps.reduce(0) { $0 + $1.computeSeconds } }
    /// Seconds in which the rank waited for the wire: between steps, and at the end for its last sends.
    public var exposedSeconds: Double { max(seconds - computeSeconds, 0) }
    /// Visible pairs, summed over query heads.
    public var pairs: Int { steps.reduce(0) { $0 + $1.pairs } }
}

/// The figures of several passes, added up step by step: a model goes round the ring once a layer.
public struct StepTotals: Hashable, Sendable {
    /// Passes that were added.
    public private(set) var passes = 0
    /// One entry a step, in order.
    public private(set) var steps: [StepReport] = []

    /// No pass yet.
    public init() {}

    /// Adds the figures of a pass.
    public mutating func add(_ pass: PassReport) {
        passes += 1
        for (place, step) in pass.steps.enumerated() {
            guard place < steps.count else {
                steps.append(step)
                continue
            }
            steps[place].pairs += step.pairs
            steps[place].computeSeconds += step.computeSeconds
            steps[place].exposedSeconds += step.exposedSeconds
            steps[place].sendSeconds += step.sendSeconds
            steps[place].receiveSeconds += step.receiveSeconds
            steps[place].bytesSent += step.bytesSent
            steps[place].bytesReceived += step.bytesReceived
        }
    }
}
