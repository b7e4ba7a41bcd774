// The one place where the data plane reads a clock.
import CRingSystem
import RingCore

/// The machine's monotonic clock.
public enum MonotonicClock {
    /// The present moment; never goes back, does not count the time in which the machine sleeps.
    public static func now() -> Moment { Moment(nanoseconds: ring_clock_nanoseconds()) }
}

extension Duration {
    /// Whole nanoseconds, saturated; `Duration` itself is 128 bits wide.
    var nanosecondsClamped: Int64 {
        let (seconds, attoseconds) = components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        if overflow { return seconds < 0 ? .min : .max }
        let (sum, carry) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
        return carry ? .max : sum
    }

    /// Seconds, for messages and arithmetic that need no more than double precision.
    var inSeconds: Double { Double(components.seconds) + Double(components.attoseconds) * 1e-18 }
}
