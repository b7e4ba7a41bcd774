// How fast this machine's transport is over one lane or another: bytes per second by message size, beside what a bare socket,
// a plain memory copy and the checksum reach in the same run.
import RingCore
import Synchronization

/// Measures a pair of ranks, two threads of this process, over TCP on loopback or over memory that they share.
public enum TransportBenchmark {
    /// One message size.
    public struct Row: Hashable, Sendable {
        /// Payload of a message.
        public let messageBytes: Int
        /// Messages that were moved.
        public let messages: Int
        /// Messages under way at a time.
        public let window: Int
        /// From the first post to the last acknowledgement.
        public let seconds: Double

        /// Payload per second.
        public var bytesPerSecond: Double { Double(messageBytes) * Double(messages) / seconds }
        /// Messages per second.
        public var messagesPerSecond: Double { Double(messages) / seconds }
    }

    /// A whole measurement.
    public struct Report: Hashable, Sendable {
        /// What the pair's frames travelled by.
        public let lane: LaneKind
        /// By message size, in the order asked for.
        public let rows: [Row]
        /// One bare socket on loopback, two threads, no checksum: the roofline of `rows` over TCP.
        public let socketBytesPerSecond: Double
        /// Copying 64 MiB from one block of memory to another, one thread: the roofline of `rows` over shared memory.
        public let copyBytesPerSecond: Double
        /// CRC32C over 256 KiB that lie in the cache, one thread.
        public let checksumBytesPerSecond: Double
        /// AES-256-GCM over 64 KiB that lie in the cache, one thread; the roofline of an encrypted link's each end.
        public let cipherBytesPerSecond: Double
        /// From posting a 64-byte message to holding the peer's answer, median.
        public let roundTripSeconds: Double

        /// What `rows` cannot exceed by this lane.
        public var rooflineBytesPerSecond: Double {
            switch lane {
            case .tcp: socketBytesPerSecond
            // What the device itself reaches, its own measuring programs say (perftest); no copy can be beaten.
            case .sharedMemory, .rdma: copyBytesPerSecond
            }
        }
    }

    /// Message sizes that show where calls end and bytes begin to count.
    public static let sizes = [64, 4 << 10, 64 << 10, 256 << 10, 1 << 20, 16 << 20]

    /// Moves about `bytesPerSize` bytes (at most 20,000 messages) for each size of `messageBytes`, `window` messages at a
    /// time. Takes about a second per two gibibytes. Throws what connecting or registering throws, or `.lost`.
    public static func run(
        messageBytes: [Int] = sizes, bytesPerSize: Int = 1 << 30, window: Int = 8, lane: LaneKind = .tcp, isSealed: Bool = false
    ) throws(TransportError) -> Report {
        precondition(window >= 1 && window <= TransportLimits.receivesPerPeer, "a window of \(window) messages")
        precondition(messageBytes.allSatisfy { $0 > 0 }, "a message has at least one byte")
        let plan = plan(messageBytes, bytesPerSize, window)
        let peer = try BenchmarkPeer.start(plan, window: window, lane: lane, isSealed: isSealed)
        var end = try BenchmarkEnd.connect(
            rank: Rank(0), listeners: peer.listeners, plan: plan, window: window, lane: lane, isSealed: isSealed)
        let roundTrip = try end.roundTrips(answering: false)
        var rows: [Row] = []
        for (bytes, count) in plan {
            let seconds = try end.stream(bytes, count, sending: true)
            rows.append(Row(messageBytes: bytes, messages: count, window: window, seconds: seconds))
        }
        end.close()
        try peer.finish()
        return Report(
            lane: lane, rows: rows, socketBytesPerSecond: try BareSocket.bytesPerSecond(byteCount: bytesPerSize),
            copyBytesPerSecond: try copySpeed(),
            checksumBytesPerSecond: try checksumSpeed(), cipherBytesPerSecond: try cipherSpeed(),
            roundTripSeconds: roundTrip)
    }

    /// Sizes, and how many messages of each.
    static func plan(_ messageBytes: [Int], _ bytesPerSize: Int, _ window: Int) -> [(Int, Int)] {
        messageBytes.map { ($0, min(max(bytesPerSize / $0, window), 20_000)) }
    }

    private static func copySpeed() throws(TransportError) -> Double {
        let (from, to) = (try AnonymousMemory(byteCount: 64 << 20), try AnonymousMemory(byteCount: 64 << 20))
        return best(of: 5, byteCount: from.byteCount) { unsafe to.bytes.copyMemory(from: UnsafeRawBufferPointer(from.bytes)) }
    }

    private static func checksumSpeed() throws(TransportError) -> Double {
        let memory = try AnonymousMemory(byteCount: 256 << 10)
        var sum: UInt32 = 0
        let speed = best(of: 5, byteCount: 256 * memory.byteCount) {
            for _ in 0..<256 { sum = unsafe Checksum.crc32c(UnsafeRawBufferPointer(memory.bytes), continuing: sum) }
        }
        // Used, so that the optimiser keeps the loop.
        return sum == 1 ? speed.nextDown : speed
    }

    private static func cipherSpeed() throws(TransportError) -> Double {
        let key = DirectionKey(
            key: Array(repeating: 1, count: DirectionKey.keyBytes), nonce: Array(repeating: 2, count: DirectionKey.nonceBytes))
        let cipher = try RecordCipher(key, isSealing: true)
        let memory = try AnonymousMemory(byteCount: SealedStream.recordBytes + RecordCipher.tagBytes, hugePages: false)
        guard let base = unsafe memory.bytes.baseAddress else { return 0 }
        var isSound = true
        let speed = best(of: 5, byteCount: 64 * SealedStream.recordBytes) {
            for _ in 0..<64 {
                isSound = unsafe cipher.begin(header: base, count: 4) && isSound
                isSound = unsafe cipher.update(base, into: base, count: SealedStream.recordBytes) && isSound
                isSound = unsafe cipher.seal(tag: base + SealedStream.recordBytes) && isSound
            }
        }
        if !isSound { throw .system("OpenSSL's AES-256-GCM fails") }
        return speed
    }

    private static func best(of rounds: Int, byteCount: Int, _ body: () -> Void) -> Double {
        var seconds = Double.infinity
        for _ in 0...rounds {
            let start = MonotonicClock.now()
            body()
            seconds = min(seconds, MonotonicClock.now().seconds(since: start))
        }
        return Double(byteCount) / max(seconds, 1e-9)
    }
}

/// One end of the benchmark's link.
struct BenchmarkEnd: ~Copyable {
    private var wire: TCPTransport
    private let memory: AnonymousMemory
    private let region: RegionKey
    private let window: Int
    private var completions: [Completion] = []
    private var step = 0
    /// Beyond any message on loopback; the benchmark must end even if the machine does not play along.
    private static let patience = Duration.seconds(60)

    private init(_ wire: consuming TCPTransport, _ memory: AnonymousMemory, _ region: RegionKey, _ window: Int) {
        self.wire = wire
        (self.memory, self.region, self.window) = (memory, region, window)
        completions.reserveCapacity(2 * window)
    }

    static func connect(
        rank: Rank, listeners: [TCPListener], plan: [(Int, Int)], window: Int, lane: LaneKind?, isSealed: Bool, touches: Int = .max
    ) throws(TransportError) -> BenchmarkEnd {
        try connect(
            rank: rank, listener: listeners[rank.index], peers: listeners.map(\.address), secret: Array("benchmark".utf8),
            deadline: .seconds(10), plan: plan, window: window, lane: lane, isSealed: isSealed, touches: touches)
    }

    static func connect(
        rank: Rank, listener: TCPListener, peers: [PeerAddress], secret: [UInt8], deadline: Duration, plan: [(Int, Int)], window: Int,
        lane: LaneKind?, isSealed: Bool, touches: Int = .max
    ) throws(TransportError) -> BenchmarkEnd {
        var options = TCPOptions()
        (options.lane, options.isSealed) = (lane, isSealed)
        let memory = try AnonymousMemory(byteCount: window * (plan.map(\.0).max() ?? 64) + 64, isShareable: true)
        memory.settle(0..<min(touches, memory.byteCount))
        // Touched before anything is timed, the first `touches` bytes of it.
        for index in stride(from: 0, to: min(touches, memory.byteCount), by: 4096) {
            unsafe memory.bytes[index] = UInt8(truncatingIfNeeded: index)
        }
        var wire = try TCPTransport.connect(
            listener: listener, rank: rank, world: WorldSize(2), peers: peers, secret: secret, epoch: Epoch(1), job: JobNumber(1),
            deadline: deadline, options: options)
        let region = try unsafe wire.register(memory.bytes, keeping: memory)
        return BenchmarkEnd(wire, memory, region, window)
    }

    mutating func close() { wire.close() }

    /// Moves `count` messages and returns the seconds it took.
    mutating func stream(_ bytes: Int, _ count: Int, sending: Bool) throws(TransportError) -> Double {
        step += 1
        let start = MonotonicClock.now()
        var (posted, done) = (0, 0)
        while done < count {
            while posted < count && posted - done < window {
                try post(sending, BlockRef(region: region, offset: posted % window * bytes, byteCount: bytes), posted)
                posted += 1
            }
            done += try collect()
        }
        return MonotonicClock.now().seconds(since: start)
    }

    /// Sends `count` messages, each from its own place in the first half of the memory, and receives as many in the second; returns the
    /// seconds it took.
    mutating func exchange(_ bytes: Int, _ count: Int) throws(TransportError) -> Double {
        step += 1
        let start = MonotonicClock.now()
        for place in 0..<count {
            try post(false, BlockRef(region: region, offset: (count + place) * bytes, byteCount: bytes), place)
            try post(true, BlockRef(region: region, offset: place * bytes, byteCount: bytes), place)
        }
        var done = 0
        while done < 2 * count { done += try collect() }
        return MonotonicClock.now().seconds(since: start)
    }

    /// Median time of a small message and its answer.
    mutating func roundTrips(answering: Bool) throws(TransportError) -> Double {
        step += 1
        let block = BlockRef(region: region, offset: 0, byteCount: 64)
        var times: [Double] = []
        for piece in 0..<1000 {
            let start = MonotonicClock.now()
            try post(false, block, piece)
            var done = answering ? try collect() : 0
            try post(true, block, piece)
            while done < 2 { done += try collect() }
            times.append(MonotonicClock.now().seconds(since: start))
        }
        return times.sorted()[times.count / 2]
    }

    private mutating func post(_ sending: Bool, _ block: BlockRef, _ piece: Int) throws(TransportError) {
        let tag = MessageTag(.probe, layer: 0, step: step, piece: piece)
        let peer = Rank(1 - wire.rank.index)
        _ = sending ? try wire.post(send: block, to: peer, tag: tag) : try wire.post(receive: block, from: peer, tag: tag)
    }

    private mutating func collect() throws(TransportError) -> Int {
        guard wire.wait(atMost: Self.patience) else { throw .timedOut(Rank(1 - wire.rank.index), seconds: 60) }
        completions.removeAll(keepingCapacity: true)
        let count = wire.poll(into: &completions)
        for completion in completions where completion.outcome != .sent && completion.outcome != .received {
            throw .lost(completion.peer, reason: wire.lossReason(of: completion.peer) ?? "a message was \(completion.outcome)")
        }
        return count
    }
}

/// The other end, on a thread of its own.
final class BenchmarkPeer: Sendable {
    let listeners: [TCPListener]
    private let failure = Mutex<TransportError?>(nil)
    private let thread = Mutex<PinnedThread?>(nil)

    private init(_ listeners: [TCPListener]) { self.listeners = listeners }

    /// With `exchanges` it sends as much as it receives, at once, into memory that is fresh, as that of a ring's receive buffers is.
    static func start(
        _ plan: [(Int, Int)], window: Int, lane: LaneKind?, isSealed: Bool, exchanges: Bool = false
    ) throws(TransportError) -> BenchmarkPeer {
        let peer = BenchmarkPeer([try TCPListener(), try TCPListener()])
        let thread = try PinnedThread.start(name: "bench-peer") { peer.answer(plan, window, lane, isSealed, exchanges) }
        peer.thread.withLock { $0 = thread }
        return peer
    }

    private func answer(_ plan: [(Int, Int)], _ window: Int, _ lane: LaneKind?, _ isSealed: Bool, _ exchanges: Bool) {
        do throws(TransportError) {
            let half = plan.reduce(0) { $0 + $1.0 * $1.1 }
            var end = try BenchmarkEnd.connect(
                rank: Rank(1), listeners: listeners, plan: plan, window: window, lane: lane, isSealed: isSealed,
                touches: exchanges ? half : .max)
            _ = try end.roundTrips(answering: true)
            for (bytes, count) in plan { _ = exchanges ? try end.exchange(bytes, count) : try end.stream(bytes, count, sending: false) }
            end.close()
        } catch {
            failure.withLock { $0 = error }
        }
    }

    func finish() throws(TransportError) {
        let thread = thread.withLock { $0 }
        thread?.join()
        if let error = failure.withLock({ $0 }) { throw error }
    }
}
