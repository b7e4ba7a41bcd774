// Every bound of a worker's control session in one place, each with what raising it would cost.

/// Bounds of a worker's control session.
public enum WorkerLimits {
    /// Seconds between two signs of life. Shorter: more requests; longer: a coordinator that waits 0.8 s suspects a worker
    /// whose machine only paused for a moment.
    public static let heartbeatSeconds = 0.25
    /// Least seconds between two batches that hold nothing but progress: five a second are enough for a progress bar.
    public static let progressSeconds = 0.2
    /// Longest pause between two attempts to send a batch, in seconds; the first is a tenth of it.
    public static let retryPauseSecondsMax = 0.5
    /// Seconds that one request may take. Longer: a connection that hangs takes the signs of life with it.
    public static let requestSeconds = 3.0
    /// Seconds that one piece of a prompt may take.
    public static let promptSeconds = 60.0
    /// Seconds between two tellings of a worker's facts, and at first, while others join too. Shorter: a request more of every worker; longer:
    /// `doctor --cluster` sees what was.
    public static let factsSeconds = 30.0, factsSecondsAtFirst = 2.5
    /// Seconds that another worker's port may take to answer.
    public static let reachSeconds = 2.0
    /// Seconds that a trace may take to get to the coordinator; its run ends that much later.
    public static let traceSeconds = 30.0
    /// Seconds that the last reports get to be sent when a worker leaves.
    public static let lastWordSeconds = 1.0
    /// Most tokens of a prompt that are fetched in one request: 4 MiB.
    public static let promptTokensPerRequest = 1 << 20
    /// Most reports in one batch; more wait for the next one.
    public static let reportsPerBatch = 1024
    /// Bytes of the engine thread's stack.
    public static let engineStackBytes = 8 << 20
}
