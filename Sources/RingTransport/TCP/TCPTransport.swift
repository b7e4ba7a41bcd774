// Registered memory over a mesh of TCP connections, one to each other rank, and one I/O thread. Each pair moves its frames
// over the lane that it chose (Lanes/Lane.swift), its connection or something faster. The caller's half is TransportFront,
// the thread's half is TCPLoop; this file joins them and makes the mesh.
import CRingSystem
import RingCore

/// A rank's end of a ring over TCP.
public struct TCPTransport: ~Copyable, Transport {
    private var front: TransportFront
    private let thread: PinnedThread
    /// By rank, what each pair chose; `nil` for the own rank.
    public let lanes: [LaneChoice?]

    private init(front: consuming TransportFront, thread: PinnedThread, lanes: [LaneChoice?]) {
        self.front = front
        (self.thread, self.lanes) = (thread, lanes)
    }

    deinit {
        front.mailbox.close()
        thread.join()
    }

    /// Connects `rank` with every other rank of the ring and returns when all links stand.
    ///
    /// `peers` holds an address for each rank; the own entry is not used. Every rank of one ring has the same `secret`,
    /// `epoch` and `job`; connections that do not fit are refused, counted by `listener`, and waited out. Throws
    /// `.refused` when a peer refuses us for good, `.unreachable` or `.timedOut` with the first missing rank at the
    /// deadline, `.system`. Blocks up to `deadline`: not for the async world.
    public static func connect(
        listener: TCPListener, rank: Rank, world: WorldSize, peers: [PeerAddress], secret: [UInt8], epoch: Epoch, job: JobNumber,
        deadline: Duration, options wishes: TCPOptions = TCPOptions()
    ) throws(TransportError) -> TCPTransport {
        let loans = LoanBook()
        let options = wishes.withRDMA(world, ownAddress: listener.host).lending(loans)
        precondition(rank.index < world.count, "\(rank) is outside a world of \(world)")
        precondition(peers.count == world.count, "\(peers.count) addresses for \(world) ranks")
        let identity = HandshakeIdentity(
            rank: rank, world: world, epoch: epoch, job: job, secret: secret, isSealed: options.isSealed)
        var builder = try MeshBuilder(listener: listener, identity: identity, peers: peers, options: options, deadline: deadline)
        let mesh = try builder.build()
        do {
            let mailbox = try Mailbox(world: world, moverBell: Doorbell())
            let loop = try TCPLoop(identity: identity, mesh: mesh, options: options, mailbox: mailbox)
            let thread = try PinnedThread.start(name: "ring-io-\(rank.index)", cpu: options.ioCPU) { loop.run() }
            let front = TransportFront(rank: rank, world: world, mailbox: mailbox, registrar: options.registrar(of: mesh), loans: loans)
            return TCPTransport(front: front, thread: thread, lanes: mesh.map { $0?.choice })
        } catch {
            // The loop's thread, which would close them, never ran.
            for case let end? in mesh { end.close() }
            throw error
        }
    }

    /// The caller's own place in the ring.
    public var rank: Rank { front.rank }
    /// The number of ranks.
    public var world: WorldSize { front.world }
    /// True when a peer shares memory with us; see `Transport`.
    public var lendsMemory: Bool { lanes.contains { $0?.kind == .sharedMemory } }

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

    /// Leaves the ring; see `Transport`. Takes at most `TCPOptions.closeLinger` and a little.
    public mutating func close() {
        front.close()
        thread.join()
    }
}

extension TCPOptions {
    /// With RDMA among what may be chosen, last of all, if nothing else is ordered. Its source belongs to one transport.
    fileprivate func withRDMA(_ world: WorldSize, ownAddress: String) -> TCPOptions {
        // Where there is none, or none that encrypts, nobody need be told why it was not chosen.
        guard lane == .rdma || (lane == nil && !isSealed && RDMADevice.all().contains { $0.isActive }) else { return self }
        var options = self
        options.laneSources.append(
            VerbsSource(rdma, world: world, ownAddress: ownAddress, isSealed: isSealed, isForced: lane == .rdma))
        return options
    }

    /// With sources of shared memory that lend what is in `loans`, those of one transport.
    fileprivate func lending(_ loans: LoanBook) -> TCPOptions {
        var options = self
        options.laneSources = laneSources.map { source in
            (source as? SharedMemorySource).map { $0.lending(loans) as any LaneSource } ?? source
        }
        return options
    }

    /// Where memory must be registered: with the source of lanes that write into it, if a pair has chosen one.
    fileprivate func registrar(of mesh: [MeshLink?]) -> (any MemoryRegistrar)? {
        laneSources.first { source in source.registrar != nil && mesh.contains { $0?.choice.kind == source.kind } }?.registrar
    }
}
