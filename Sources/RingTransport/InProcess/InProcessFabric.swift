// A ring inside one process: every rank is a thread, and one mover thread copies between their memories. Full semantics
// of the seam, no sockets; for tests, for simulations with real kernels, and for worlds that fit one process.
import RingCore
import Synchronization

/// Hands out one transport per rank. The ranks may live on different threads.
public final class InProcessFabric: Sendable {
    /// The number of ranks.
    public let world: WorldSize
    private let keeper: MoverKeeper
    private let handedOut: Mutex<[Bool]>

    /// A ring of `world` ranks in which `faults` will happen. Throws `.system` when no thread or doorbell can be made.
    public init(world: WorldSize, faults: [TransportFault] = []) throws(TransportError) {
        self.world = world
        let bell = try Doorbell()
        var mailboxes: [Mailbox] = []
        for _ in world.ranks { mailboxes.append(try Mailbox(world: world, moverBell: bell)) }
        keeper = try MoverKeeper(mailboxes: mailboxes, bell: bell, faults: faults)
        handedOut = Mutex(Array(repeating: false, count: world.count))
    }

    /// The transport of `rank`; each rank once.
    public func transport(for rank: Rank) -> InProcessTransport {
        precondition(rank.index < world.count, "\(rank) is outside a world of \(world)")
        let isSecond = handedOut.withLock { taken in
            defer { taken[rank.index] = true }
            return taken[rank.index]
        }
        precondition(!isSecond, "the transport of \(rank) was handed out before")
        return InProcessTransport(rank: rank, world: world, mailbox: keeper.mailboxes[rank.index], keeper: keeper)
    }
}

/// One rank's transport of an `InProcessFabric`.
public struct InProcessTransport: ~Copyable, Transport {
    private var front: TransportFront
    /// Keeps the mover alive as long as any rank is.
    private let keeper: MoverKeeper

    fileprivate init(rank: Rank, world: WorldSize, mailbox: Mailbox, keeper: MoverKeeper) {
        front = TransportFront(rank: rank, world: world, mailbox: mailbox)
        self.keeper = keeper
    }

    deinit {
        // The memory of the regions may go as soon as this returns.
        front.mailbox.close()
    }

    /// The caller's own place in the ring.
    public var rank: Rank { front.rank }
    /// The number of ranks.
    public var world: WorldSize { front.world }

    /// Makes memory known; see `Transport`.
    public mutating func register(_ memory: UnsafeMutableRawBufferPointer) throws(TransportError) -> RegionKey {
        try unsafe front.register(memory)
    }

    /// Makes memory known and keeps its owner alive; see `Transport`.
    public mutating func register(_ memory: UnsafeMutableRawBufferPointer, keeping owner: any AnyObject & Sendable)
        throws(TransportError) -> RegionKey
    {
        try unsafe front.register(memory, keeping: owner)
    }

    /// Forgets a region; see `Transport`.
    public mutating func unregister(_ region: RegionKey) throws(TransportError) { try front.unregister(region) }

    /// Sends; see `Transport`.
    public mutating func post(send block: BlockRef, to peer: Rank, tag: MessageTag) throws(TransportError) -> Posted {
        try front.post(isSend: true, block, peer, tag)
    }

    /// Receives; see `Transport`.
    public mutating func post(receive block: BlockRef, from peer: Rank, tag: MessageTag) throws(TransportError) -> Posted {
        try front.post(isSend: false, block, peer, tag)
    }

    /// Collects completions; see `Transport`.
    public mutating func poll(into completions: inout [Completion]) -> Int { front.poll(into: &completions) }

    /// Sleeps until there is one; see `Transport`.
    public mutating func wait(atMost timeout: Duration) -> Bool { front.wait(atMost: timeout) }

    /// What has been moved so far.
    public var counters: TransportCounters { front.mailbox.counters.values }

    /// Ranks that are gone.
    public var lostPeers: [Rank] { front.mailbox.losses.ranks }

    /// Why a rank is gone.
    public func lossReason(of peer: Rank) -> String? { front.mailbox.losses.reason(of: peer) }

    /// Leaves the ring; see `Transport`.
    public mutating func close() { front.close() }
}

/// Owns the mover thread: when the fabric and all transports are gone, the thread ends.
final class MoverKeeper: Sendable {
    let mailboxes: [Mailbox]
    private let mover: InProcessMover
    private let thread: PinnedThread

    init(mailboxes: [Mailbox], bell: Doorbell, faults: [TransportFault]) throws(TransportError) {
        self.mailboxes = mailboxes
        let mover = InProcessMover(mailboxes: mailboxes, bell: bell, faults: faults)
        self.mover = mover
        thread = try PinnedThread.start(name: "ring-mover") { mover.run() }
    }

    deinit {
        mover.stop()
        thread.join()
    }
}
