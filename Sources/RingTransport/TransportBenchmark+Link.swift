// A link in a fraction of a second: what a planner asks of it, without the rooflines that a person compares it with.
import Glibc
import RingCore

extension TransportBenchmark {
    /// What one link of this machine does.
    public struct Link: Hashable, Sendable {
        /// Payload per second in each direction while both are in use, as in a ring, in large messages.
        public let bytesPerSecond: Double
        /// Seconds of cores that one byte takes, both ends together.
        public let coreSecondsPerByte: Double
        /// From posting a small message to holding the peer's answer, median.
        public let roundTripSeconds: Double
    }

    /// Measures a link of this machine, over `lane` or the best there is, with `count` messages of `messageBytes` from each end to the other
    /// at once, each out of memory that is in no cache, into memory that
    /// nobody has touched: a pass moves its bytes but once.
    public static func link(messageBytes: Int = 8 << 20, count: Int = 8, lane: LaneKind? = nil, isSealed: Bool = false)
        throws(TransportError) -> Link
    {
        precondition(messageBytes > 0 && count > 0, "\(count) messages of \(messageBytes) bytes")
        // Half of the memory is sent from, half received into.
        let plan = [(messageBytes, count)], window = 2 * count
        let peer = try BenchmarkPeer.start(plan, window: window, lane: lane, isSealed: isSealed, exchanges: true)
        var end = try BenchmarkEnd.connect(
            rank: Rank(0), listeners: peer.listeners, plan: plan, window: window, lane: lane, isSealed: isSealed,
            touches: count * messageBytes)
        let roundTrip = try end.roundTrips(answering: false)
        let before = clock()
        let seconds = try end.exchange(messageBytes, count)
        let cores = Double(clock() - before) / Double(CLOCKS_PER_SEC)
        end.close()
        try peer.finish()
        let bytes = Double(messageBytes * count)
        return Link(bytesPerSecond: bytes / seconds, coreSecondsPerByte: cores / (2 * bytes), roundTripSeconds: roundTrip)
    }
}
