// Every bound of a worker's control session in one place, each with what raising it would cost.

/// Bounds of a worker's control session.
public enum WorkerLimits {
    /// Seconds without word from the coordinator after which a worker ends itself. Longer: orphans hold memory longer.
    public static let coordinatorSilenceSeconds = 5.0
    /// Seconds between two signs of life. The coordinator gives a worker up after twenty of them.
    public static let heartbeatSeconds = 0.5
    /// Least seconds between two batches that hold nothing but progress: five a second are enough for a progress bar.
    public static let progressSeconds = 0.2
    /// Seconds for which joining is tried.
    public static let joinSeconds = 10.0
    /// Longest pause between two attempts of anything, in seconds; the first is a tenth of it.
    public static let retryPauseSecondsMax = 1.0
    /// Seconds that one request may take.
    public static let requestSeconds: Int64 = 5
    /// Most bytes of one line on the directive stream: an assignment with 1024 peers and 65,536 row ranges fits.
    public static let lineBytes = 8 << 20
    /// Most bytes of an answer that is not a prompt.
    public static let answerBytes = 1 << 20
    /// Most tokens of a prompt that are fetched in one request: 4 MiB.
    public static let promptTokensPerRequest = 1 << 20
    /// Most reports in one batch; more wait for the next one.
    public static let reportsPerBatch = 1024
    /// Bytes of the engine thread's stack.
    public static let engineStackBytes = 8 << 20
    /// Seconds that a job gets to give up when the session ends.
    public static let giveUpSeconds = 1.0
}
