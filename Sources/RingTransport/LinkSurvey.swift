// The links of a mesh, each pair of ranks in turn and as many pairs at a time as there can be: what a planner of whole clusters asks. In
// every round each rank measures one link, in both directions at once, which is how a ring loads its card: it sends and receives.
import RingCore

/// Measures the links of a transport's ranks.
public struct LinkSurvey: Sendable {
    /// One link, as this rank has found it.
    public struct Link: Hashable, Sendable {
        /// The other end.
        public let peer: Rank
        /// Payload per second that came from it while as much went to it.
        public let bytesPerSecond: Double
        /// From posting a small message to holding the peer's answer, median.
        public let roundTripSeconds: Double
    }

    private let messageBytes: Int, messages: Int
    private let roundTrips = 200
    /// How long a link may stand still.
    private let patience: Duration

    /// Large messages of `messageBytes`, as many as `messages` each way at once; a link that does nothing for `patience` is given up.
    public init(messageBytes: Int, messages: Int, patience: Duration = .seconds(60)) {
        precondition(messageBytes >= 64 && messages >= 1, "\(messages) messages of \(messageBytes) bytes")
        self.messageBytes = messageBytes
        self.messages = min(messages, TransportLimits.sendsPerPeer, TransportLimits.receivesPerPeer)
        self.patience = patience
    }

    /// Whom a rank meets in each round, `nil` for a round in which it waits: every pair once, by the circle method. One rank stands still
    /// and the others go round it; with an odd number of ranks nobody stands there.
    public static func partners(of rank: Rank, in world: WorldSize) -> [Rank?] {
        guard world.count > 1 else { return [] }
        let even = world.count + world.count % 2
        let (around, fixed) = (even - 1, even - 1)
        return (0..<around).map { round in
            // On the circle those whose places add up to the round meet; who would meet themselves meets the one that stands still.
            var other = rank.index == fixed ? round * (even / 2) % around : (round - rank.index + around) % around
            if other == rank.index { other = fixed }
            return other < world.count ? Rank(other) : nil
        }
    }

    /// Measures every link of this rank while the others do the same. `isCancelled` is asked now and then. By rank. Throws `.lost`,
    /// `.timedOut`, `.cancelled` as `.closed`, and what memory and posts may throw.
    public func run<Wire: Transport & ~Copyable>(
        over wire: inout Wire, isCancelled: () -> Bool = { false }
    ) throws(TransportError) -> [Link] {
        guard wire.world.count > 1 else { return [] }
        let memory = try AnonymousMemory(byteCount: 2 * messages * messageBytes)
        // Half is sent from and half received into; neither is fresh, since what counts is the link.
        for index in stride(from: 0, to: memory.byteCount, by: 4096) { unsafe memory.bytes[index] = UInt8(truncatingIfNeeded: index >> 12) }
        let region = try unsafe wire.register(memory.bytes, keeping: memory)
        var links: [Link] = []
        for (round, partner) in Self.partners(of: wire.rank, in: wire.world).enumerated() {
            guard let partner else { continue }
            var pair = Pair(peer: partner, region: region, patience: patience, round: round)
            let roundTrip = try pair.roundTrips(over: &wire, count: roundTrips, isCancelled)
            let seconds = try pair.exchange(over: &wire, messageBytes, messages, isCancelled)
            links.append(
                Link(peer: partner, bytesPerSecond: Double(messageBytes * messages) / max(seconds, 1e-9), roundTripSeconds: roundTrip))
        }
        try wire.unregister(region)
        return links.sorted { $0.peer < $1.peer }
    }
}

/// One meeting of two ranks.
private struct Pair {
    let peer: Rank
    let region: RegionKey
    let patience: Duration
    let round: Int
    private var completions: [Completion] = []

    init(peer: Rank, region: RegionKey, patience: Duration, round: Int) {
        (self.peer, self.region, self.patience, self.round) = (peer, region, patience, round)
    }

    /// Median time of a small message and its answer. The lower rank asks; the first question also waits for the other to come, and the
    /// last answer tells that both may begin with large messages.
    mutating func roundTrips<Wire: Transport & ~Copyable>(
        over wire: inout Wire, count: Int, _ isCancelled: () -> Bool
    ) throws(TransportError) -> Double {
        let (asks, block) = (wire.rank < peer, BlockRef(region: region, offset: 0, byteCount: 64))
        var times: [Double] = []
        times.reserveCapacity(count)
        for piece in 0..<count {
            let start = MonotonicClock.now()
            let tag = MessageTag(.probe, layer: 0, step: 2 * round, piece: piece)
            _ = try wire.post(receive: block, from: peer, tag: tag)
            if !asks { try collect(1, over: &wire, isCancelled) }
            _ = try wire.post(send: block, to: peer, tag: tag)
            try collect(asks ? 2 : 1, over: &wire, isCancelled)
            times.append(MonotonicClock.now().seconds(since: start))
        }
        return times.sorted()[times.count / 2]
    }

    /// Seconds in which `count` messages of `bytes` have gone each way.
    mutating func exchange<Wire: Transport & ~Copyable>(
        over wire: inout Wire, _ bytes: Int, _ count: Int, _ isCancelled: () -> Bool
    ) throws(TransportError) -> Double {
        let start = MonotonicClock.now()
        for piece in 0..<count {
            let tag = MessageTag(.probe, layer: 0, step: 2 * round + 1, piece: piece)
            _ = try wire.post(receive: BlockRef(region: region, offset: (count + piece) * bytes, byteCount: bytes), from: peer, tag: tag)
            _ = try wire.post(send: BlockRef(region: region, offset: piece * bytes, byteCount: bytes), to: peer, tag: tag)
        }
        try collect(2 * count, over: &wire, isCancelled)
        return MonotonicClock.now().seconds(since: start)
    }

    /// Waits for so many completions.
    private mutating func collect<Wire: Transport & ~Copyable>(
        _ count: Int, over wire: inout Wire, _ isCancelled: () -> Bool
    ) throws(TransportError) {
        var (done, last) = (0, MonotonicClock.now())
        while done < count {
            if isCancelled() { throw .closed }
            if !wire.wait(atMost: .milliseconds(200)) {
                let seconds = MonotonicClock.now().seconds(since: last)
                if .seconds(seconds) > patience { throw .timedOut(peer, seconds: seconds) }
                continue
            }
            completions.removeAll(keepingCapacity: true)
            let found = wire.poll(into: &completions)
            if found > 0 { last = MonotonicClock.now() }
            done += found
            for completion in completions where completion.outcome != .sent && completion.outcome != .received {
                throw .lost(completion.peer, reason: wire.lossReason(of: completion.peer) ?? "a message was \(completion.outcome)")
            }
        }
    }
}
