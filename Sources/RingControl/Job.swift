// One job from its submission to the event that settles it, as the coordinator's machine keeps it.

import RingCore

/// A job and the ranks that do it.
struct Job: Sendable {
    /// One place of the job's ring.
    struct Place: Sendable {
        let worker: WorkerID
        let name: String
        var isReady = false
        var progress: WorkerProgress?
        var summary: WorkerSummary?
    }

    /// Word from one rank that another is lost, kept until the lost one's own word comes or `deadline` passes.
    struct Suspicion: Sendable {
        let lostRank: Int
        let code: FailureCode
        let message: String
        let deadline: Moment
    }

    let number: JobNumber
    let submission: Submission
    var phase = JobPhase.queued
    var hasPrompt: Bool
    /// Until when its workers must have joined (queued) or be ready (preparing); unused afterwards.
    var deadline: Moment
    var epoch = Epoch(0)
    /// By rank; empty while queued.
    var places: [Place] = []
    var suspicion: Suspicion?
    var failure: Failure?
    var tokensGenerated = 0

    /// The rank that `worker` holds in this job.
    func rank(of worker: WorkerID) -> Int? { places.firstIndex { $0.worker == worker } }

    /// `worker-01 (rank 1 of 4)`.
    func describe(_ rank: Int) -> String { "worker \(places[rank].name) (rank \(rank) of \(places.count))" }

    /// `while it loaded` or `in prefill at layer 1 of 2, ring step 2 of 4`, from what the rank last reported.
    func whereabouts(of rank: Int) -> String {
        guard let progress = places[rank].progress, progress.phase != .loading else {
            return phase == .running ? "in its first ring step" : "while it loaded"
        }
        let step = progress.phase == .decode ? "token" : "ring step"
        let layer = min(progress.layer + 1, max(progress.layers, 1))
        return "in \(progress.phase.rawValue) at layer \(layer) of \(progress.layers), "
            + "\(step) \(min(progress.step + 1, max(progress.steps, 1))) of \(progress.steps)"
    }
}

/// What can be asked about a job at any time.
public struct JobView: Hashable, Sendable, Codable {
    /// Its number.
    public var id: JobNumber
    /// `generate` or `attend`.
    public var kind: String
    /// Where it stands.
    public var phase: JobPhase
    /// Tokens that are dealt.
    public var tokens: Int
    /// Its workers by rank, once it has some.
    public var workers: [String]
    /// How far it is.
    public var progress: JobProgress?
    /// Tokens of the answer so far.
    public var tokensGenerated: Int
    /// Why it failed, if it did.
    public var failure: Failure?

    init(_ job: Job) {
        id = job.number
        kind = job.submission.spec.kind
        phase = job.phase
        tokens = job.submission.spec.tokens
        workers = job.places.map(\.name)
        progress = JobProgress(of: job.places.compactMap(\.progress))
        tokensGenerated = job.tokensGenerated
        failure = job.failure
    }
}
