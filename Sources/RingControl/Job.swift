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
        /// How many times as long as the median rank it needs for its share, once that is known.
        var pace: Double?
        /// Whether that is too long.
        var isSlow = false
        /// Whether it has been called slow in this run: once is enough.
        var wasNamed = false
    }

    /// Word from one rank that another is lost, kept until the lost one's own word comes or `deadline` passes.
    struct Suspicion: Sendable {
        let lostRank: Int
        let code: FailureCode
        let message: String
        let deadline: Moment
    }

    /// What of it is kept in the store.
    var record: JobRecord
    /// Since when it has waited for its turn, or been at its present run.
    var since: Moment
    /// By rank; empty while queued.
    var places: [Place] = []
    var suspicion: Suspicion?
    /// When any rank last had something new to tell.
    var movedAt: Moment
    /// When the paces of its ranks were last compared.
    var judgedAt: Moment?
    /// Workers at whose fault an attempt ended: others are taken first.
    var avoided: [String] = []
    /// What workers still hold of its newest run, once that has broken: a next run may go on from there.
    var kept: [WorkerID: [Share]] = [:]
    /// Until when its next run waits for the workers of its broken one.
    var handoverUntil: Moment?
    /// Ranks of a group in its newest run's ring, where there are groups of near workers.
    var groupSize: Int?
    /// Whether its newest run goes on from a broken one.
    var isResumed = false
    /// The workers of its newest run, also when that is over.
    var formerRing: [WorkerID] = []
    var tokensGenerated = 0
    /// Durable events so far: the sequence number of the last one.
    var events = 0

    /// Compute threads of a worker whose machine holds `sharing` of the job's workers.
    func threads(of worker: WorkerRegistration, sharing: Int) -> Int {
        submission.threads ?? max(1, worker.cpus / max(sharing, 1))
    }

    init(_ record: JobRecord, now: Moment) {
        self.record = record
        since = now
        movedAt = now
    }

    var number: JobNumber { record.number }
    var phase: JobPhase { record.phase }
    var submission: Submission { record.submission }
    var run: Run { Run(record.number, record.epoch) }
    var isPlaced: Bool { record.phase == .admitted || record.phase == .running }

    /// When it must have ended.
    var timeout: Moment? { submission.timeoutSeconds.map { record.submittedAt.advanced(bySeconds: $0) } }

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

    /// The specification of its next attempt: tokens of the answer that were told are part of the prompt from then on, so
    /// that the answer goes on where it stopped and no follower sees it change.
    var specOfNextRun: JobSpec {
        guard case .generate(var spec) = submission.spec, tokensGenerated > 0 else { return submission.spec }
        if spec.logitsPath != nil, spec.logitsRows == nil { spec.logitsRows = [RowRange(start: 0, count: spec.promptTokenCount)] }
        spec.answered = tokensGenerated
        spec.promptTokenCount += tokensGenerated
        spec.maxTokens = max(0, spec.maxTokens - tokensGenerated)
        return .generate(spec)
    }
}
