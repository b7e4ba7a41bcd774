// How long the coordinator waits for what. Every wait has a deadline; these are all of them.

/// Deadlines of the coordinator's machine; each value states what a longer one costs.
public struct CoordinatorPolicy: Hashable, Sendable {
    /// Seconds until the workers of a job must have joined. Longer: a cluster that cannot come up is reported later.
    /// `nil` lets jobs wait in the queue for workers that may come.
    public var joinSeconds: Double?
    /// Seconds until a job's prompt must have arrived. Longer: a submitter that died half-way blocks a place in the queue.
    public var promptSeconds = 600.0
    /// Seconds until every worker must have loaded its shard. Long, because a checkpoint can come from a slow disk.
    public var prepareSeconds: Double
    /// Seconds without any progress of a running job after which its run counts as hung.
    public var stallSeconds = 900.0
    /// Seconds of silence after which a worker is suspected: named, and given no new job. Signs of life come four times a
    /// second, so that a pause of 200 ms, twice over, is not suspected.
    public var suspectSeconds = 0.8
    /// Seconds of silence after which a worker counts as gone. Shorter: a machine under load is taken for dead.
    public var silenceSeconds: Double
    /// Seconds that a worker has to come back after its connection has closed. A process that dies closes it at once, so
    /// this is how soon a death is known.
    public var reconnectSeconds = 0.4
    /// Seconds to wait, when a rank says that another is lost, for word from or about the lost one itself: its own error
    /// or the signal that killed it says more than "connection reset".
    public var suspicionSeconds: Double
    /// Seconds within which a worker must have given up a run that it was told to; after them it counts as hung.
    public var abortSeconds = 60.0
    /// Seconds for which the next run of a job waits until the workers of its broken one have given that up. Longer: one that hangs
    /// holds the others up. Shorter: what they have computed is computed again.
    public var handoverSeconds = 5.0
    /// Seconds for which a job that does not fit lets smaller ones go first.
    public var patienceSeconds = 30.0
    /// Seconds by which a wake-up may be late before the coordinator takes itself for the one that was asleep, and gives
    /// every worker that time on top.
    public var latenessSeconds = 0.1

    /// Seconds that every rank of a ring must have computed before their paces are compared. Smaller: a ring is judged by its
    /// first moments, when caches are cold and neighbours on a machine still load.
    public var paceSeconds = 2.0
    /// Part of its share that every rank must have done before that, 0 ... 1. Smaller: a moment's trouble at the beginning
    /// counts for the whole of a long share.
    public var paceFraction = 0.02
    /// Own tokens that every rank must have done before that. Fewer: a share done is told in whole tokens, and the rounding of
    /// a few of them passes for slowness.
    public var paceTokens = 16
    /// Seconds between two comparisons of a ring. Shorter: each sorts the ranks of a ring, which may be a thousand.
    public var paceIntervalSeconds = 1.0
    /// The pace from which a worker is called slow: so many times as long as the median rank for the same share. Smaller: the
    /// difference between two machines of one kind, or their neighbours' load, is called that.
    public var slowPace = 1.5
    /// The pace below which a slow worker no longer is. Nearer to `slowPace`: one that stands between is called both by turns.
    public var slowPaceEnd = 1.25

    /// Whether a job's paths must be relative, to be found below the folders that each worker was given.
    public var takesRelativePathsOnly = false
    /// Whether workers encrypt what they send each other. It costs about a second of a core for each
    /// gigabyte (`ringmaster bench transport --encrypt`).
    public var encryptsDataPlane = false
    /// Bytes of payload per second that the link of each worker carries, where somebody said so; 10 Gbit/s if `nil`. Read when schedules are
    /// weighed: told too high, a turn passes keys and values that its ranks then wait for.
    public var linkBytesPerSecond: Double?

    /// The defaults, or other values.
    public init(
        joinSeconds: Double? = 30, prepareSeconds: Double = 1800, silenceSeconds: Double = 10, suspicionSeconds: Double = 1
    ) {
        self.joinSeconds = joinSeconds
        self.prepareSeconds = prepareSeconds
        self.silenceSeconds = silenceSeconds
        self.suspicionSeconds = suspicionSeconds
    }

    /// A long-lived coordinator's: jobs wait for workers as long as it takes.
    public static var daemon: CoordinatorPolicy {
        var policy = CoordinatorPolicy(joinSeconds: nil, silenceSeconds: 5)
        policy.takesRelativePathsOnly = true
        return policy
    }
}
