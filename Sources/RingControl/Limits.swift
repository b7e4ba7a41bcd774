// Every bound of the control plane's decisions in one place, each with what raising it would cost.

/// Bounds of jobs, members and messages.
public enum ControlLimits {
    /// Most workers a coordinator keeps. Each costs one open response stream, and a scan of all of them every half a second.
    public static let members = 16384
    /// Most jobs that wait or run. A job costs its prompt (4 bytes a token) until it is settled.
    public static let jobsOpen = 256
    /// Settled jobs that can still be asked about; the oldest goes first.
    public static let jobsKept = 1024
    /// Most tokens one job may generate: each is kept as an event until the job is forgotten.
    public static let tokensGenerated = 1 << 20
    /// What a coordinator takes for granted when it weighs schedules: GFLOP/s of a thread that was not measured, a link of 10 Gb/s and its
    /// delay, and the speed at which partials are merged. For workers whose links nobody measured (`bench links`) or described (`coordinator --link-gbits`).
    static let speedAssumed = 100.0, linkBytesPerSecondAssumed = 1.25e9, linkSecondsAssumed = 1e-4, mergeBytesPerSecondAssumed = 4e9
    /// Most row ranges or row numbers in one specification.
    public static let rowRanges = 1 << 16
    /// Most documents in one context: every rank is told of each, some 8 bytes in an assignment's line.
    public static let documents = 1 << 16
    /// How many slower workers one may be said to be worth: a speed that is off by more would starve its neighbours.
    public static let speedRatio = 64.0
    /// Speeds that differ by less than this count as one: what a measurement of a busy machine gives by chance.
    public static let speedsAlike = 0.85
    /// Seconds that each rank must have computed for a run to correct what is known of speeds, and how far it does.
    public static let speedSeconds = 1.0, speedCorrection = 0.75
    /// Share of a worker's memory that a shard may take before its width is bounded; the rest is the system's, the program's, other jobs'.
    public static let memoryShare = 0.7
    /// Most bytes in a name, a path or a message; longer ones are cut or refused.
    public static let textBytes = 4096
    /// Most entries in a list of a worker's facts, and most bytes of a text there: `/v1/workers` tells all of them of every worker.
    public static let facts = 64, factBytes = 256
    /// Workers that one tries to reach at a time: those that would come next in a ring. More would be N x N connections.
    public static let peersTried = 4
    /// Most bytes of an idempotency key: a UUID fits many times.
    public static let keyBytes = 255
    /// Most retries of a job: each may cost its whole prefill.
    public static let retries = 100
    /// Longest time limit of a job, in seconds: thirty days.
    public static let timeoutSeconds = 2_592_000.0
    /// Most runs of a job, also those that were handed back by workers which left.
    public static let attempts = 1000
    /// Most shares of a ring that goes on from a broken one: every rank is told of all of them.
    public static let sharesKept = 1024
    /// Epochs that are set aside in the store at a time: a coordinator that was killed goes on behind all it may have used.
    public static let epochsReserved: UInt64 = 1024
    /// Most that a count in a worker's progress is taken for. Sums over a ring's 1,024 ranks stay far from overflow.
    public static let progressCount = 1 << 40
    /// Most letters of what a worker says that its data travels by.
    public static let transportLetters = 80
    /// Most letters of that reason; every view of the worker carries it.
    public static let remarkLetters = 500
    /// Most seconds that a worker is believed to have computed in one run: thirty years.
    public static let progressSeconds = 1e9
    /// Most entries of ring steps that the summaries of one job hold, over all ranks, each some 250 bytes of the line that tells its end. A
    /// ring of up to 64 ranks has one a step; in a larger one an entry stands for several steps.
    public static let stepFigures = 4096
    /// Most bytes or operations that one entry of ring steps is taken for.
    public static let stepCount = 1 << 50
    /// Most bytes of a message by which links are measured.
    public static let measuredMessageBytes = 64 << 20
    /// Most messages under way each way between two ranks that measure their link.
    public static let measuredMessages = 64
    /// Most bytes of all those together: a worker holds twice as many while it measures, whatever memory it has.
    public static let measuredBytes = 256 << 20
    /// Most workers of a job that measures links: each tells of its link to each other, and all of it is one line of the job's end.
    public static let measuredWorkers = 64
    /// Links of which figures are kept, some 100 bytes each.
    static let linksKept = 65_536
    /// Most stop tokens in one specification.
    public static let stopTokens = 64
}
