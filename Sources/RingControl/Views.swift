// What can be asked of a coordinator at any time: jobs, workers, the cluster as a whole.

import RingCore

/// What can be asked about a job.
public struct JobView: Hashable, Sendable, Codable {
    /// Its number.
    public var id: JobNumber
    /// `generate`, `attend` or `measure`.
    public var kind: String
    /// Where it stands.
    public var state: JobPhase
    /// Whose it is.
    public var owner: String
    /// A higher one goes first.
    public var priority: Int
    /// Tokens that are dealt.
    public var tokens: Int
    /// Its workers by rank, while it has some.
    public var workers: [String]
    /// Ranks of a group, where its ring is one of groups of near workers (`RingTour`).
    public var groupSize: Int?
    /// How many workers it asked for; `nil` is as many as are idle.
    public var wantedWorkers: Int?
    /// Runs so far.
    public var attempt: Int
    /// How many more runs it may have after a fault.
    public var retries: Int
    /// The membership version of its newest run.
    public var epoch: Epoch
    /// How far it is.
    public var progress: JobProgress?
    /// The worker for which its ring waits, while one is slow.
    public var straggler: Straggler?
    /// Tokens of the answer so far.
    public var tokensGenerated: Int
    /// Seconds since 1970.
    public var submittedAt: Double
    /// When its newest run was placed.
    public var startedAt: Double?
    /// When it was settled.
    public var settledAt: Double?
    /// Seconds from its submission within which it must have ended.
    public var timeoutSeconds: Double?
    /// Why it failed, if it did.
    public var failure: Failure?
    /// The figures of every rank, once it has succeeded.
    public var summaries: [WorkerSummary]?

    init(_ job: Job) {
        let record = job.record
        id = record.number
        kind = record.submission.spec.kind
        state = record.phase
        owner = record.submission.owner
        priority = record.submission.priority
        tokens = record.submission.spec.tokens
        workers = job.places.map(\.name)
        groupSize = job.places.isEmpty ? nil : job.groupSize
        wantedWorkers = record.submission.workers
        attempt = record.attempt
        retries = record.submission.retries
        epoch = record.epoch
        progress = JobProgress(of: job.places.compactMap(\.progress))
        straggler = job.straggler
        tokensGenerated = job.tokensGenerated
        submittedAt = record.submittedAt.secondsSince1970
        startedAt = record.startedAt?.secondsSince1970
        settledAt = record.settledAt?.secondsSince1970
        timeoutSeconds = record.submission.timeoutSeconds
        failure = record.failure
        summaries = record.summaries.isEmpty ? nil : record.summaries
    }
}

extension Moment {
    /// The moments of a coordinator count from 1970, so that they mean the same to the next one that reads its store.
    public var secondsSince1970: Double { Double(nanoseconds) / 1e9 }
}

/// How a worker is.
public enum WorkerHealth: String, Hashable, Sendable, Codable, CaseIterable {
    /// It can be given work.
    case ok
    /// It can be given work, and in the newest run in which that was measured its ring had to wait for it.
    case slow
    /// It is silent for longer than it should be, or its connection has closed.
    case suspected
    /// It is to leave when it holds no run.
    case draining
}

/// What can be asked about a worker.
public struct WorkerView: Hashable, Sendable, Codable {
    /// Its number.
    public var id: WorkerID
    /// What it said of itself.
    public var registration: WorkerRegistration
    /// Seconds since it was last heard.
    public var silentSeconds: Double
    /// How it is.
    public var health: WorkerHealth
    /// How many times as long as the median rank of its ring it needed for its share, in the newest run in which that was measured:
    /// 1 is as fast as the others, 2 half as fast.
    public var pace: Double?
    /// The job that holds it.
    public var job: JobNumber?
    /// Its rank in that job.
    public var rank: Int?
    /// How far it is in that job.
    public var progress: WorkerProgress?
    /// Where its memory lay at the end of the newest run in which it told; `nil` if it never did.
    public var locality: MemoryLocality?
    /// What it told of its machine last.
    public var facts: WorkerFacts?
    /// Seconds since it told that.
    public var factsSeconds: Double?

    init(_ member: Member, place: (rank: Int, progress: WorkerProgress?)?, now: Moment) {
        id = member.id
        registration = member.registration
        silentSeconds = max(0, now.seconds(since: member.heardAt))
        health = member.health
        pace = member.pace
        job = member.run?.job
        rank = place?.rank
        progress = place?.progress
        locality = member.locality
    }
}

/// What rings have cost since the coordinator started: of ranks that were through with their run.
public struct RingTotals: Hashable, Sendable, Codable {
    /// Ring steps of ranks, a trip round the ring having as many as ranks.
    public var steps = 0
    /// Seconds of ranks under the attention of ring steps.
    public var computeSeconds = 0.0
    /// Seconds in which ranks computed nothing because keys and values had not come.
    public var exposedSeconds = 0.0
    /// Payload bytes that ranks sent on.
    public var bytesSent = 0
    /// Floating-point operations of the attention.
    public var flops = 0.0

    /// Nothing yet.
    public init() {}

    /// Adds what a rank has said, as far as it can be believed.
    mutating func add(_ figures: RingStepFigures) {
        func seconds(_ value: Double) -> Double { value > 0 ? min(value, ControlLimits.progressSeconds) : 0 }
        func count(_ value: Int) -> Int { min(max(value, 0), ControlLimits.stepCount) }
        let (passes, places) = (min(count(figures.passes), Limits.layers), min(count(figures.steps), Limits.ranks))
        steps = Self.sum(steps, passes * places)
        computeSeconds += seconds(figures.computeSeconds)
        exposedSeconds += seconds(figures.exposedSeconds)
        bytesSent = Self.sum(bytesSent, count(figures.bytesSent))
        if figures.flops > 0 { flops += min(figures.flops, 1e24) }
    }

    private static func sum(_ left: Int, _ right: Int) -> Int {
        let (sum, overflow) = left.addingReportingOverflow(right)
        return overflow ? .max : sum
    }
}

/// What has happened since the coordinator started. Counts never go down.
public struct ClusterTotals: Hashable, Sendable, Codable {
    /// Jobs taken in.
    public var jobsSubmitted = 0
    /// Jobs that succeeded.
    public var jobsSucceeded = 0
    /// Jobs that failed.
    public var jobsFailed = 0
    /// Jobs that were cancelled.
    public var jobsCancelled = 0
    /// Runs that failed and were followed by another.
    public var retries = 0
    /// Workers let in.
    public var workersJoined = 0
    /// Workers that went without being told to.
    public var workersLost = 0
    /// Tokens of answers.
    public var tokensGenerated = 0
    /// Tokens dealt to the ranks of runs that were placed.
    public var promptTokens = 0
    /// What rings have cost; a coordinator that does not count it leaves it out.
    public var ring: RingTotals?
}

/// What can be asked about the cluster as a whole.
public struct ClusterView: Hashable, Sendable, Codable {
    /// How many workers there are.
    public struct Workers: Hashable, Sendable, Codable {
        /// All of them.
        public var total = 0
        /// Those that can be given work now.
        public var idle = 0
        /// Those that hold a run.
        public var busy = 0
        /// Those that are silent for longer than they should be.
        public var suspected = 0
        /// Those that are to leave.
        public var draining = 0
    }

    /// How many jobs there are.
    public struct Jobs: Hashable, Sendable, Codable {
        /// Waiting.
        public var queued = 0
        /// Placed, loading.
        public var admitted = 0
        /// Computing.
        public var running = 0
        /// Done, and kept.
        public var succeeded = 0
        /// Failed, and kept.
        public var failed = 0
        /// Cancelled, and kept.
        public var cancelled = 0
    }

    /// The program's version.
    public var version: String
    /// When the coordinator started, in seconds since 1970.
    public var startedAt: Double
    /// Seconds since then.
    public var uptimeSeconds: Double
    /// The newest membership version that was used.
    public var epoch: Epoch
    /// Whether no new job is taken.
    public var isDraining: Bool
    /// Whether workers encrypt what they send each other.
    public var encryptsDataPlane: Bool
    /// How many workers there are.
    public var workers = Workers()
    /// How many jobs there are.
    public var jobs = Jobs()
    /// Most jobs that may be open.
    public var queueLimit: Int
    /// What has happened since the coordinator started.
    public var totals: ClusterTotals

    /// The view of `coordinator`.
    init(_ coordinator: Coordinator, startedAt: Moment, now: Moment) {
        version = coordinator.version
        self.startedAt = startedAt.secondsSince1970
        uptimeSeconds = now.seconds(since: startedAt)
        epoch = Epoch(coordinator.epoch)
        isDraining = coordinator.isDraining || coordinator.isStopping
        encryptsDataPlane = coordinator.policy.encryptsDataPlane
        queueLimit = ControlLimits.jobsOpen
        totals = coordinator.totals
        for member in coordinator.members {
            workers.total += 1
            workers.idle += member.isIdle ? 1 : 0
            workers.busy += member.run != nil ? 1 : 0
            workers.suspected += member.health == .suspected ? 1 : 0
            workers.draining += member.health == .draining ? 1 : 0
        }
        for job in coordinator.jobs {
            switch job.phase {
            case .queued: jobs.queued += 1
            case .admitted: jobs.admitted += 1
            case .running: jobs.running += 1
            case .succeeded: jobs.succeeded += 1
            case .failed: jobs.failed += 1
            case .cancelled: jobs.cancelled += 1
            }
        }
    }
}
