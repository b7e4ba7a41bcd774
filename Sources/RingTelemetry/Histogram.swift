// How often a value fell into which range. The ranges are fixed when the histogram is made, so that histograms of several
// processes and of several hours can be added up.

/// Counts of observed values by range.
public struct Histogram: Hashable, Sendable {
    /// Upper ends of the ranges, ascending and finite; above the last one lies a range without an end.
    public let bounds: [Double]
    /// Observations by range, one more than `bounds`; not cumulative.
    public private(set) var counts: [Int]
    /// All observed values added up.
    public private(set) var sum = 0.0

    /// Seconds of a request to a control plane: from what memory answers to what a disk or a slow peer does.
    public static let requestSeconds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]

    /// An empty histogram.
    public init(bounds: [Double]) {
        precondition(!bounds.isEmpty && bounds.count <= TelemetryLimits.buckets, "a histogram has 1 to \(TelemetryLimits.buckets) bounds")
        precondition(bounds.allSatisfy(\.isFinite) && zip(bounds, bounds.dropFirst()).allSatisfy(<), "bounds ascend: \(bounds)")
        self.bounds = bounds
        counts = [Int](repeating: 0, count: bounds.count + 1)
    }

    /// Observations in all.
    public var count: Int { counts.reduce(0, +) }

    /// Observations at or below each bound, then all of them: what Prometheus calls buckets.
    public var cumulative: [Int] {
        var total = 0
        return counts.map { count in
            total += count
            return total
        }
    }

    /// Counts one value; a value at a bound belongs below it. NaN is nobody's value and is left out.
    public mutating func observe(_ value: Double) {
        guard !value.isNaN else { return }
        counts[bounds.firstIndex { value <= $0 } ?? bounds.count] += 1
        sum += value
    }
}
