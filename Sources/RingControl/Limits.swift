// Every bound of the control plane's decisions in one place, each with what raising it would cost.

/// Bounds of jobs, members and messages.
public enum ControlLimits {
    /// Most workers a coordinator keeps. Each costs one open response stream and a scan on every tick.
    public static let members = 1024
    /// Most jobs that wait or run. A job costs its prompt (4 bytes a token) until it is settled.
    public static let jobsOpen = 256
    /// Settled jobs that can still be asked about; the oldest goes first.
    public static let jobsKept = 1024
    /// Most tokens one job may generate: each is kept as an event until the job is forgotten.
    public static let tokensGenerated = 1 << 20
    /// Most row ranges or row numbers in one specification.
    public static let rowRanges = 1 << 16
    /// Most bytes in a name, a path or a message; longer ones are cut or refused.
    public static let textBytes = 4096
    /// Most stop tokens in one specification.
    public static let stopTokens = 64
}

/// How long the coordinator waits for what; each value states what a longer one costs.
public struct CoordinatorPolicy: Hashable, Sendable {
    /// Seconds until the workers of a job must have joined. Longer: a cluster that cannot come up is reported later.
    public var joinSeconds: Double
    /// Seconds until every worker must have loaded its shard. Long, because a checkpoint can come from a slow disk.
    public var prepareSeconds: Double
    /// Seconds of silence after which a worker counts as gone. Shorter: a machine under load is taken for dead.
    public var silenceSeconds: Double
    /// Seconds to wait, when a rank says that another is lost, for word from or about the lost one itself: its own error
    /// or the signal that killed it says more than "connection reset".
    public var suspicionSeconds: Double

    /// The defaults, or other values.
    public init(
        joinSeconds: Double = 30, prepareSeconds: Double = 1800, silenceSeconds: Double = 10, suspicionSeconds: Double = 1
    ) {
        self.joinSeconds = joinSeconds
        self.prepareSeconds = prepareSeconds
        self.silenceSeconds = silenceSeconds
        self.suspicionSeconds = suspicionSeconds
    }
}
