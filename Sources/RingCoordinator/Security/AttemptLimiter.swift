// How often somebody may try. A bucket of attempts for each address or name, which time fills again; the number of buckets is bounded, so
// that an attacker with many addresses costs nothing but their own.

import Foundation
import Synchronization

/// Buckets of attempts.
package final class AttemptLimiter: Sendable {
    private struct Bucket {
        var level: Double
        var seen: ContinuousClock.Instant
    }

    private let capacity: Double
    private let secondsEach: Double
    private let buckets = Mutex<[String: Bucket]>([:])

    /// `capacity` attempts at once, one more every `secondsEach`.
    package init(capacity: Double, secondsEach: Double) { (self.capacity, self.secondsEach) = (capacity, secondsEach) }

    /// Takes one attempt; gives the seconds to wait if there is none.
    package func take(_ name: String, at now: ContinuousClock.Instant = .now) -> Double? {
        buckets.withLock { buckets in
            var bucket = level(of: name, in: buckets, at: now)
            guard bucket.level >= 1 else { return (1 - bucket.level) * secondsEach }
            bucket.level -= 1
            if buckets[name] == nil, buckets.count >= SecurityLimits.counted { Self.forgetOldest(of: &buckets) }
            buckets[name] = bucket
            return nil
        }
    }

    /// The seconds to wait before an attempt, taking none.
    package func wait(_ name: String, at now: ContinuousClock.Instant = .now) -> Double? {
        buckets.withLock { buckets in
            let bucket = level(of: name, in: buckets, at: now)
            return bucket.level >= 1 ? nil : (1 - bucket.level) * secondsEach
        }
    }

    private func level(of name: String, in buckets: [String: Bucket], at now: ContinuousClock.Instant) -> Bucket {
        guard let bucket = buckets[name] else { return Bucket(level: capacity, seen: now) }
        let (seconds, attoseconds) = (now - bucket.seen).components
        let passed = Double(seconds) + Double(attoseconds) * 1e-18
        return Bucket(level: min(capacity, bucket.level + passed / secondsEach), seen: now)
    }

    /// Half of the buckets go at a time, so that a flood of new names costs little for each.
    private static func forgetOldest(of buckets: inout [String: Bucket]) {
        let middle = buckets.values.map(\.seen).sorted()[buckets.count / 2]
        buckets = buckets.filter { $0.value.seen > middle }
    }
}
