// What every claim of the suite stands on: a ring of some implementation, one thread a rank, and an endpoint that a claim
// can drive without knowing which implementation it is. Every wait has a deadline.
import Glibc
import RingCore
import RingTransport
import Synchronization
import Testing

/// The implementations under test. A new one is added here and has to satisfy every claim.
enum Kind: String, CaseIterable, Sendable, CustomTestStringConvertible {
    case inProcess, tcp, sealedTCP, sharedMemory, lentMemory, rdma
    var testDescription: String { rawValue }

    /// RDMA where this machine has a port that is up; `Scripts/lab-test` makes one that has.
    static let hasRDMA = (try? RDMADevice.choose()) != nil
    /// Those that can be had here. In the lab the others, which run everywhere, are left out.
    static var allCases: [Kind] {
        let only = unsafe getenv("RINGMASTER_TEST_LANE").map { unsafe String(cString: $0) }
        let all = [inProcess, tcp, sealedTCP, sharedMemory, lentMemory] + (hasRDMA ? [rdma] : [])
        return all.filter { only == nil || $0.rawValue == only }
    }
}

/// The small virtual machines of `Scripts/lab-test`.
enum Lab {
    /// This machine is one of them: it is ours, and its network may be taken down.
    static let isHere = unsafe getenv("RINGMASTER_LAB") != nil
    /// What stands for "very large": its memory is small and every byte of it emulated.
    static func bytes(_ byteCount: Int) -> Int { isHere ? min(byteCount, 96 << 20) : byteCount }
}

/// A claim that failed off the test's own thread, or a wait that took too long.
struct Failure: Error, CustomStringConvertible {
    var description: String
    init(_ text: String) { description = text }
}

/// One rank as a claim sees it. Methods block at most `patience`.
class Endpoint {
    static let patience = 60.0
    let rank: Rank
    let world: WorldSize
    let barrier: Barrier
    /// Whether its memory is of the kind that can be lent.
    var lends = false
    private var regions: [(AnonymousMemory, RegionKey)] = []
    private var early: [Completion] = []

    init(rank: Rank, world: WorldSize, barrier: Barrier) {
        (self.rank, self.world, self.barrier) = (rank, world, barrier)
    }

    // The implementation's own, by subclass.
    func register(_ memory: AnonymousMemory, keeping: Bool) throws(TransportError) -> RegionKey { fatalError() }
    func unregister(_ region: RegionKey) throws(TransportError) { fatalError() }
    func post(send block: BlockRef, to peer: Rank, tag: MessageTag) throws(TransportError) -> Posted { fatalError() }
    func post(receive block: BlockRef, from peer: Rank, tag: MessageTag) throws(TransportError) -> Posted { fatalError() }
    func poll(into completions: inout [Completion]) -> Int { fatalError() }
    func wait(atMost timeout: Duration) -> Bool { fatalError() }
    var counters: TransportCounters { fatalError() }
    var lostPeers: [Rank] { fatalError() }
    func lossReason(of peer: Rank) -> String? { fatalError() }
    func close() { fatalError() }

    func register(_ memory: AnonymousMemory) throws(TransportError) -> RegionKey { try register(memory, keeping: false) }

    /// Registered memory that lives as long as the endpoint.
    func memory(_ byteCount: Int) throws -> Block {
        let memory = try AnonymousMemory(byteCount: max(byteCount, 1), isShareable: lends)
        let region = try register(memory, keeping: lends)
        regions.append((memory, region))
        return Block(memory: memory, region: region, offset: 0, byteCount: byteCount)
    }

    func send(_ block: Block, to peer: Rank, _ tag: MessageTag) throws -> Ticket {
        try posted(try post(send: block.ref, to: peer, tag: tag))
    }

    func receive(_ block: Block, from peer: Rank, _ tag: MessageTag) throws -> Ticket {
        try posted(try post(receive: block.ref, from: peer, tag: tag))
    }

    private func posted(_ posted: Posted) throws -> Ticket {
        guard case .ticket(let ticket) = posted else { throw Failure("\(rank): a post was turned away as full") }
        return ticket
    }

    /// The completion of `ticket`; others are kept for their own calls.
    func completion(of ticket: Ticket, within seconds: Double = patience) throws -> Completion {
        let start = MonotonicClock.now()
        while true {
            if let place = early.firstIndex(where: { $0.ticket == ticket }) { return early.remove(at: place) }
            let left = seconds - MonotonicClock.now().seconds(since: start)
            if left <= 0 { throw Failure("\(rank): ticket \(ticket.number) did not complete within \(seconds) s") }
            if wait(atMost: .seconds(left)) { _ = poll(into: &early) }
        }
    }

    func expect(_ outcome: Completion.Outcome, _ ticket: Ticket, within seconds: Double = patience) throws {
        let completion = try completion(of: ticket, within: seconds)
        guard completion.outcome == outcome else {
            let losses = lostPeers.map { "\($0): \(lossReason(of: $0) ?? "?")" }
            throw Failure("\(rank): \(completion) where \(outcome) was expected; lost: \(losses)")
        }
    }

    /// True when nothing completes for `seconds`.
    func isQuiet(for seconds: Double) -> Bool { early.isEmpty && !wait(atMost: .seconds(seconds)) }

    func eventually(_ what: String, within seconds: Double = patience, _ condition: () -> Bool) throws {
        let start = MonotonicClock.now()
        while !condition() {
            if MonotonicClock.now().seconds(since: start) > seconds { throw Failure("\(rank): not within \(seconds) s: \(what)") }
            usleep(2000)
        }
    }

    func meet() throws { try barrier.meet() }
    var next: Rank { world.next(after: rank) }
    var previous: Rank { world.previous(before: rank) }
}

/// Registered bytes.
struct Block {
    let memory: AnonymousMemory
    let region: RegionKey
    let offset: Int
    let byteCount: Int

    var ref: BlockRef { BlockRef(region: region, offset: offset, byteCount: byteCount) }
    var bytes: UnsafeMutableRawBufferPointer { unsafe UnsafeMutableRawBufferPointer(rebasing: memory.bytes[offset..<offset + byteCount]) }
    var checksum: UInt32 { unsafe Checksum.crc32c(UnsafeRawBufferPointer(bytes)) }

    subscript(range: Range<Int>) -> Block {
        Block(memory: memory, region: region, offset: offset + range.lowerBound, byteCount: range.count)
    }

    /// Bytes that depend on the seed and the place.
    func fill(seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
        let bytes = unsafe bytes
        guard let base = bytes.baseAddress else { return }
        for at in stride(from: 0, to: bytes.count, by: 8) {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            if at + 8 <= bytes.count {
                unsafe (base + at).storeBytes(of: state, as: UInt64.self)
            } else {
                for index in 0..<bytes.count - at {
                    unsafe (base + at + index).storeBytes(of: UInt8(truncatingIfNeeded: state >> UInt64(index * 8)), as: UInt8.self)
                }
            }
        }
    }
}

final class EndpointOf<Wire: Transport & ~Copyable>: Endpoint {
    fileprivate var wire: Wire

    init(_ wire: consuming Wire, barrier: Barrier) {
        let (rank, world) = (wire.rank, wire.world)
        self.wire = wire
        super.init(rank: rank, world: world, barrier: barrier)
    }

    override func register(_ memory: AnonymousMemory, keeping: Bool) throws(TransportError) -> RegionKey {
        keeping ? try unsafe wire.register(memory.bytes, keeping: memory) : try unsafe wire.register(memory.bytes)
    }
    override func unregister(_ region: RegionKey) throws(TransportError) { try wire.unregister(region) }
    override func post(send block: BlockRef, to peer: Rank, tag: MessageTag) throws(TransportError) -> Posted {
        try wire.post(send: block, to: peer, tag: tag)
    }
    override func post(receive block: BlockRef, from peer: Rank, tag: MessageTag) throws(TransportError) -> Posted {
        try wire.post(receive: block, from: peer, tag: tag)
    }
    override func poll(into completions: inout [Completion]) -> Int { wire.poll(into: &completions) }
    override func wait(atMost timeout: Duration) -> Bool { wire.wait(atMost: timeout) }
    override var counters: TransportCounters { wire.counters }
    override var lostPeers: [Rank] { wire.lostPeers }
    override func lossReason(of peer: Rank) -> String? { wire.lossReason(of: peer) }
    override func close() { wire.close() }
}

extension EndpointOf where Wire == TCPTransport {
    /// What the pair's frames travel by.
    func lane(to peer: Rank) -> LaneKind? { wire.lanes[peer.index]?.kind }
}

/// Where all ranks of a test meet; fails for all when one has failed.
final class Barrier: Sendable {
    private struct State {
        var arrived = 0
        var round = 0
        var failure: String?
    }
    private let count: Int
    private let state = Mutex(State())

    init(_ count: Int) { self.count = count }

    func fail(_ reason: String) { state.withLock { if $0.failure == nil { $0.failure = reason } } }
    var failure: String? { state.withLock { $0.failure } }

    func meet() throws {
        let round = state.withLock { state in
            let round = state.round
            state.arrived += 1
            if state.arrived == count { (state.arrived, state.round) = (0, round + 1) }
            return round
        }
        let start = MonotonicClock.now()
        while true {
            let (now, failure) = state.withLock { ($0.round, $0.failure) }
            if let failure { throw Failure("another rank failed: \(failure)") }
            if now != round { return }
            if MonotonicClock.now().seconds(since: start) > Endpoint.patience { throw Failure("the ranks did not meet") }
            usleep(500)
        }
    }
}

func tag(_ piece: Int, step: Int = 0) -> MessageTag { MessageTag(.probe, layer: 0, step: step, piece: piece) }

/// Runs `body` once a rank, each on a thread of its own, and reports the first failure. Ranks close after all are done.
func withRing(
    _ kind: Kind, _ count: Int, faults: [TransportFault] = [], options: TCPOptions = TCPOptions(),
    _ body: @escaping @Sendable (Endpoint) throws -> Void
) throws {
    let world = WorldSize(count)
    let barrier = Barrier(count)
    let makers = try endpoints(kind, world, faults, options, barrier)
    var threads: [PinnedThread] = []
    for rank in world.ranks {
        threads.append(
            try PinnedThread.start(name: "rank-\(rank.index)") {
                do {
                    let endpoint = try makers(rank)
                    defer { endpoint.close() }
                    do {
                        try body(endpoint)
                        try barrier.meet()
                    } catch {
                        barrier.fail("\(error)")
                    }
                } catch {
                    barrier.fail("\(rank): \(error)")
                }
            })
    }
    for thread in threads { thread.join() }
    if let failure = barrier.failure { throw Failure(failure) }
}

private func endpoints(
    _ kind: Kind, _ world: WorldSize, _ faults: [TransportFault], _ options: TCPOptions, _ barrier: Barrier
) throws -> @Sendable (Rank) throws -> Endpoint {
    switch kind {
    case .inProcess:
        let fabric = try InProcessFabric(world: world, faults: faults)
        return { EndpointOf(fabric.transport(for: $0), barrier: barrier) }
    case .tcp, .sealedTCP, .sharedMemory, .lentMemory, .rdma:
        let listeners = try world.ranks.map { _ in try TCPListener() }
        var choices = options
        choices.faults = faults
        choices.isSealed = kind == .sealedTCP
        choices.lane = kind == .sharedMemory || kind == .lentMemory ? .sharedMemory : kind == .rdma ? .rdma : .tcp
        let chosen = choices
        return { rank in
            let wire = try TCPTransport.connect(
                listener: listeners[rank.index], rank: rank, world: world, peers: listeners.map(\.address), secret: Array("secret".utf8),
                epoch: Epoch(1), job: JobNumber(1), deadline: .seconds(20), options: chosen)
            let endpoint = EndpointOf(wire, barrier: barrier)
            endpoint.lends = kind == .lentMemory
            return endpoint
        }
    }
}
