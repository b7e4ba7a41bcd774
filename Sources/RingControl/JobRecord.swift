// What the store keeps: enough of every job that a coordinator which was killed goes on as if it had only been slow.

import RingCore

/// What is kept of a job, beside its events and its prompt.
public struct JobRecord: Hashable, Sendable, Codable {
    /// Its number.
    public let number: JobNumber
    /// What was asked for.
    public var submission: Submission
    /// Where it stands.
    public var phase = JobPhase.queued
    /// Whether its prompt is stored whole, if it has one.
    public var hasPrompt: Bool
    /// When it was submitted.
    public var submittedAt: Moment
    /// When its newest run was placed.
    public var startedAt: Moment?
    /// When it was settled.
    public var settledAt: Moment?
    /// Runs so far.
    public var attempt = 0
    /// Runs that ended by a fault, which count against its retries.
    public var faults = 0
    /// The membership version of its newest run.
    public var epoch = Epoch(0)
    /// Why it failed, if it did.
    public var failure: Failure?
    /// The figures of every rank, once it has succeeded.
    public var summaries: [WorkerSummary] = []

    /// The record of a job that was just submitted.
    public init(number: JobNumber, submission: Submission, submittedAt: Moment) {
        self.number = number
        self.submission = submission
        self.submittedAt = submittedAt
        if case .generate = submission.spec { hasPrompt = false } else { hasPrompt = true }
    }
}

/// A job as the store gives it back.
public struct StoredJob: Hashable, Sendable {
    /// What was last kept of it.
    public var record: JobRecord
    /// Its durable events.
    public var events: Int
    /// Tokens of its answer among them.
    public var tokensGenerated: Int

    /// A stored job of its parts.
    public init(record: JobRecord, events: Int, tokensGenerated: Int) {
        self.record = record
        self.events = events
        self.tokensGenerated = tokensGenerated
    }
}

/// Numbers that must never be given out twice, whatever happens.
public struct Reservation: Hashable, Sendable, Codable {
    /// The number of the next job is at least this.
    public var nextJob: UInt64
    /// Epochs up to this one may have been used.
    public var epochs: UInt64

    /// A reservation of its parts; nothing is reserved by default.
    public init(nextJob: UInt64 = 1, epochs: UInt64 = 0) {
        self.nextJob = nextJob
        self.epochs = epochs
    }
}

/// All that a coordinator needs to go on.
public struct StoredState: Hashable, Sendable {
    /// Numbers in use.
    public var reservation: Reservation
    /// Every kept job, by number.
    public var jobs: [StoredJob]

    /// A state of its parts; an empty one is that of a new cluster.
    public init(reservation: Reservation = Reservation(), jobs: [StoredJob] = []) {
        self.reservation = reservation
        self.jobs = jobs
    }
}

/// One change of the store. All changes that one batch of events brings about are made in one transaction, and nothing
/// that follows from the events leaves the coordinator before it is committed.
public enum StoreChange: Hashable, Sendable {
    /// A job is new or has changed.
    case job(JobRecord)
    /// A durable event of a job: `sequence` is 1, 2, ...
    case event(JobNumber, sequence: Int, at: Moment, JobEvent)
    /// Numbers are taken.
    case reserve(Reservation)
    /// A piece of a prompt.
    case prompt(JobNumber, start: Int, ids: [UInt32])
    /// A settled job's prompt is no longer needed.
    case dropPrompt(JobNumber)
    /// A settled job is forgotten, with its events.
    case forget(JobNumber)
}

extension Moment: Codable {
    /// A bare number of nanoseconds.
    public init(from decoder: any Decoder) throws {
        self.init(nanoseconds: try decoder.singleValueContainer().decode(Int64.self))
    }

    /// A bare number of nanoseconds.
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(nanoseconds)
    }
}
