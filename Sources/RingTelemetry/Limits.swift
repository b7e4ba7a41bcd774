// Bounds of what is measured and logged, each with what raising it would cost.

/// Bounds of telemetry.
public enum TelemetryLimits {
    /// Most series of one family. Each is a line (a histogram: a line a bucket) on every scrape and a series for ever in the
    /// database behind it; 2,048 hold a cluster of the largest size, one series a worker, with room to spare.
    public static let series = 2048
    /// Most buckets of a histogram, which every one of its series repeats.
    public static let buckets = 32
    /// Most log lines that wait to be written, and most bytes of them. More are dropped and counted: whoever does not read for that long
    /// will not miss them, and memory is the cluster's.
    public static let logLines = 4096, logBytes = 1 << 20
    /// Most characters of one value in a log line; the rest is cut. A sentence about a failure has some 300.
    public static let logValueScalars = 1024
    /// Most elements of a list in a log line: the workers of a large job.
    public static let logElements = 64
    /// Bytes that Linux writes to a pipe in one piece (PIPE_BUF): lines of several processes that share one do not mix.
    static let logWriteBytes = 4096
    /// Seconds that a process which ends waits for its log to be written.
    static let logFlushSeconds = 1.0
}
