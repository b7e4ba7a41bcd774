// Bounds of what is measured, each with what raising it would cost.

/// Bounds of telemetry.
public enum TelemetryLimits {
    /// Most series of one family. Each is a line (a histogram: a line a bucket) on every scrape and a series for ever in the
    /// database behind it; 2,048 hold a cluster of the largest size, one series a worker, with room to spare.
    public static let series = 2048
    /// Most buckets of a histogram, which every one of its series repeats.
    public static let buckets = 32
}
