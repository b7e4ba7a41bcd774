// Where RDMA lanes come from while a mesh comes about: the device is opened when the first pair asks for it, and each pair's
// ends tell each other where they are. After `settle` both queue pairs stand, so no frame comes too early.
import RingCore
import Synchronization

/// The lanes of one transport. Unlike the lanes it is used by two threads: the one that connects, and later the caller's,
/// which registers memory.
package final class VerbsSource: LaneSource {
    package let kind = LaneKind.rdma
    private let options: RDMAOptions
    private let links: Int
    private let isSealed: Bool
    private let isForced: Bool
    private let ownAddress: String
    private let context = Mutex<Result<VerbsContext, LaneFailure>?>(nil)

    /// Blocks of a worker are larger than this.
    private static let lockedBytesMin: UInt64 = 1 << 30

    /// For a rank of `world` whose data plane listens at `ownAddress`. Forced means that nothing else will do.
    package init(
        _ options: RDMAOptions = RDMAOptions(), world: WorldSize, ownAddress: String, isSealed: Bool = false, isForced: Bool = false
    ) {
        (self.options, links, self.ownAddress) = (options, world.count - 1, ownAddress)
        (self.isSealed, self.isForced) = (isSealed, isForced)
    }

    package func maker() throws(LaneFailure) -> any LaneMaker {
        if !isForced, let limit = RDMADevice.lockedBytesLimit, limit < Self.lockedBytesMin {
            // Where RDMA is a choice and not an order, a job must not end for want of it.
            throw LaneFailure(
                "this process may lock only \(limit) bytes of memory (ulimit -l); LimitMEMLOCK=infinity in the service's unit lifts that")
        }
        if isSealed { throw LaneFailure("it does not encrypt, and this ring shall be encrypted") }
        return VerbsMaker(try opened().get(), links: links)
    }

    /// Registers memory with the device, if there are lanes.
    package var registrar: (any MemoryRegistrar)? { try? context.withLock { $0 }?.get() }

    private func opened() -> Result<VerbsContext, LaneFailure> {
        context.withLock { context in
            if let context { return context }
            let made: Result<VerbsContext, LaneFailure>
            do throws(TransportError) {
                let device = try RDMADevice.choose(options, ownAddress: ownAddress)
                made = .success(try VerbsContext(device, options: options))
            } catch { made = .failure(LaneFailure(error.description)) }
            context = made
            return made
        }
    }
}

/// One lane while it is agreed upon.
private final class VerbsMaker: LaneMaker {
    private let context: VerbsContext
    private let links: Int
    private var made: VerbsLane?

    init(_ context: VerbsContext, links: Int) { (self.context, self.links) = (context, links) }

    func offer() throws(LaneFailure) -> [UInt8] { try prepared().offer.bytes }

    func answer(_ offer: [UInt8], session: HandshakeSession) throws(LaneFailure) -> [UInt8] {
        let lane = try prepared()
        try connect(lane, offer, session, rank: session.greeting.destination)
        return lane.offer.bytes
    }

    func confirm(_ answer: [UInt8], session: HandshakeSession) throws(LaneFailure) -> [UInt8] {
        try connect(try prepared(), answer, session, rank: session.greeting.source)
        return []
    }

    // Both ends stand: ours since the answer, the peer's since it confirmed.
    func settle(_ confirmation: [UInt8], session: HandshakeSession) throws(LaneFailure) {}

    func lane() -> any Lane {
        guard let made else { preconditionFailure("a lane was taken before it was agreed upon") }
        return made
    }

    private func prepared() throws(LaneFailure) -> VerbsLane {
        if let made { return made }
        do throws(TransportError) {
            let lane = try VerbsLane(context, links: links)
            made = lane
            return lane
        } catch { throw LaneFailure(error.description) }
    }

    private func connect(_ lane: VerbsLane, _ words: [UInt8], _ session: HandshakeSession, rank: Int) throws(LaneFailure) {
        let offer: VerbsOffer
        do throws(VerbsOffer.Failure) { offer = try VerbsOffer(decoding: words) } catch { throw LaneFailure(error.description) }
        let greeting = session.greeting
        let heartbeat = FrameHeader(.heartbeat, from: Rank(rank), epoch: greeting.epoch, job: greeting.job)
        do throws(TransportError) { try lane.connect(offer, heartbeat: heartbeat) } catch { throw LaneFailure(error.description) }
    }
}
