// The same measurement between two processes, on two machines or in two network namespaces: one end answers, the other measures. What a link
// of real hardware, or one that is shaped, does to the transport.
import RingCore

extension TransportBenchmark {
    /// What both ends must be told alike.
    public struct Terms: Sendable {
        /// Bytes to move for each message size, and messages under way at a time.
        public var bytesPerSize: Int, window: Int
        /// Whether the link is encrypted.
        public var isSealed: Bool
        /// What each end proves to the other that it knows.
        public var secret: [UInt8]
        /// How long to wait for the other end.
        public var patience: Duration

        /// Terms of their parts.
        public init(bytesPerSize: Int, window: Int, isSealed: Bool, secret: [UInt8], patience: Duration = .seconds(60)) {
            (self.bytesPerSize, self.window, self.isSealed) = (bytesPerSize, window, isSealed)
            (self.secret, self.patience) = (secret, patience)
        }

        fileprivate var plan: [(Int, Int)] { TransportBenchmark.plan(sizes, bytesPerSize, window) }
    }

    /// What an end that measures has found.
    public struct Reach: Hashable, Sendable {
        /// By message size.
        public let rows: [Row]
        /// From posting a 64-byte message to holding the peer's answer, median.
        public let roundTripSeconds: Double
    }

    /// Waits at `listener` for the end that measures, and answers it to its end.
    public static func answer(at listener: TCPListener, _ terms: Terms) throws(TransportError) {
        // The caller's address is not asked for: it calls us.
        var end = try BenchmarkEnd.connect(
            rank: Rank(0), listener: listener, peers: [listener.address, listener.address], secret: terms.secret,
            deadline: terms.patience, plan: terms.plan, window: terms.window, lane: .tcp, isSealed: terms.isSealed)
        _ = try end.roundTrips(answering: true)
        for (bytes, count) in terms.plan { _ = try end.stream(bytes, count, sending: false) }
        end.close()
    }

    /// Measures the link to an end that answers at `peer`.
    public static func measure(to peer: PeerAddress, _ terms: Terms) throws(TransportError) -> Reach {
        let listener = try TCPListener()
        var end = try BenchmarkEnd.connect(
            rank: Rank(1), listener: listener, peers: [peer, listener.address], secret: terms.secret, deadline: terms.patience,
            plan: terms.plan, window: terms.window, lane: .tcp, isSealed: terms.isSealed)
        let roundTrip = try end.roundTrips(answering: false)
        var rows: [Row] = []
        for (bytes, count) in terms.plan {
            let seconds = try end.stream(bytes, count, sending: true)
            rows.append(Row(messageBytes: bytes, messages: count, window: terms.window, seconds: seconds))
        }
        end.close()
        return Reach(rows: rows, roundTripSeconds: roundTrip)
    }
}
