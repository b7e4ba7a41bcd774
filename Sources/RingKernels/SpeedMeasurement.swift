// How fast a compute thread of this machine is when all of them work: what the widths of shards go by. It is measured by the clock on the
// wall, so that a quota of a control group counts as the slowness that it is.

/// Measures this machine as a worker of a ring.
public enum SpeedMeasurement {
    /// Seconds to measure: several periods of a quota (0.1 s).
    static let seconds = 0.5

    /// GFLOP/s of attention of one of `threads` threads that work side by side, in f32 with 128 elements a head: the ratio of two machines is
    /// about the same in other types.
    public static func gflopsPerThread(_ kernels: Kernels, threads: Int) throws(KernelError) -> Double {
        let benchmark = AttentionBenchmark(
            tokens: 768, heads: threads, kvHeads: 1, headDim: 128, element: .f32, causal: false, threads: threads, repeats: 1)
        let begun = MonotonicClock.now
        var (operations, spent) = (0.0, 0.0)
        // The mean and not the median of many short rounds: a quota stops few of them, for long.
        repeat {
            spent += try benchmark.run(kernels).seconds
            operations += benchmark.visiblePairs * 512
        } while MonotonicClock.now - begun < seconds
        return operations / spent / 1e9 / Double(threads)
    }
}
