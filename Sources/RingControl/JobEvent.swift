// What the submitter of a job sees of it, in order, until the one event that settles it.

import RingCore

/// Where a job stands.
public enum JobPhase: String, Hashable, Sendable, Codable, CaseIterable {
    /// Waits for its prompt, for workers, or for its turn.
    case queued
    /// Its workers are chosen; they load and connect.
    case admitted
    /// Its workers compute.
    case running
    /// Settled: done.
    case succeeded
    /// Settled: could not be done.
    case failed
    /// Settled: given up because somebody asked for it.
    case cancelled

    /// Whether nothing can follow.
    public var isSettled: Bool { self == .succeeded || self == .failed || self == .cancelled }
}

/// How far the ranks are, taken together.
public struct JobProgress: Hashable, Sendable, Codable {
    /// The earliest phase any rank is in.
    public var phase: WorkerProgress.Phase
    /// The earliest layer any rank is in.
    public var layer: Int
    /// Layers in all.
    public var layers: Int
    /// The earliest step any rank of that layer is in.
    public var step: Int
    /// Steps in all.
    public var steps: Int
    /// Tokens that are done, over all ranks.
    public var tokensDone: Int
    /// Tokens in all.
    public var tokensTotal: Int

    /// Progress of its parts.
    public init(phase: WorkerProgress.Phase, layer: Int, layers: Int, step: Int, steps: Int, tokensDone: Int, tokensTotal: Int) {
        self.phase = phase
        self.layer = layer
        self.layers = layers
        self.step = step
        self.steps = steps
        self.tokensDone = tokensDone
        self.tokensTotal = tokensTotal
    }

    /// The progress of the ranks that have reported; `nil` if none has. Ranks that are through with their phase do not
    /// hold it back: in decode only the leading rank has something to tell.
    init?(of ranks: [WorkerProgress]) {
        let order = WorkerProgress.Phase.allCases
        func place(_ rank: WorkerProgress) -> (Int, Int, Int) { (order.firstIndex(of: rank.phase) ?? 0, rank.layer, rank.step) }
        let busy = ranks.filter { $0.tokensDone < $0.tokensTotal }
        guard let slowest = busy.min(by: { place($0) < place($1) }) ?? ranks.max(by: { place($0) < place($1) }) else { return nil }
        phase = slowest.phase
        layer = slowest.layer
        layers = slowest.layers
        step = slowest.step
        steps = slowest.steps
        // A rank in a later phase has done its part of this one.
        tokensDone = ranks.reduce(0) { $0 + (place($1).0 > place(slowest).0 ? $1.tokensTotal : $1.tokensDone) }
        tokensTotal = ranks.reduce(0) { $0 + $1.tokensTotal }
    }
}

/// One thing that happened to a job.
public enum JobEvent: Hashable, Sendable {
    /// It has a new phase that is not its last.
    case phase(JobPhase)
    /// The workers that do it, by rank, under this membership version.
    case placed(workers: [String], epoch: Epoch)
    /// The run goes on from a broken one: this many tokens need not go through all layers again, the first `layers` of which
    /// every one of them has been through.
    case resumed(tokensKept: Int, layers: Int)
    /// An attempt failed and another will be made; tokens of the answer that were told stay as they are.
    case retrying(attempt: Int, cause: Failure)
    /// How far it is. Only the newest counts.
    case progress(JobProgress)
    /// The ring waits for one of its ranks. Told once for each rank of a run, when it is first seen.
    case slow(Straggler)
    /// Token `index` of the answer.
    case token(index: Int, id: UInt32)
    /// Settled: done, with the figures of every rank.
    case succeeded([WorkerSummary])
    /// Settled: could not be done.
    case failed(Failure)
    /// Settled: given up.
    case cancelled(reason: String)

    /// Whether nothing can follow.
    public var isFinal: Bool {
        switch self {
        case .succeeded, .failed, .cancelled: true
        case .phase, .placed, .resumed, .retrying, .progress, .slow, .token: false
        }
    }

    /// Whether it is kept: progress is not, since only the newest counts.
    public var isDurable: Bool {
        if case .progress = self { return false }
        return true
    }
}

/// An event with its place among the durable events of its job, as it goes out to followers.
public struct JobNews: Hashable, Sendable {
    /// 1, 2, ... for durable events; `nil` for progress. A follower that comes back asks for what follows the last it saw.
    public var sequence: Int?
    /// When, in seconds since 1970.
    public var at: Double
    /// What happened.
    public var event: JobEvent

    /// News of its parts.
    public init(sequence: Int?, at: Double, event: JobEvent) {
        self.sequence = sequence
        self.at = at
        self.event = event
    }
}
