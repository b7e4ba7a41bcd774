// Every way in which the data plane says no, named for what the caller can do about it.
import RingCore

/// Why a call on a transport failed.
public enum TransportError: Error, Hashable, Sendable, CustomStringConvertible {
    /// No connection to the rank could be made, or there is no such rank. Check its address and that it runs.
    case unreachable(Rank, reason: String)
    /// The rank was there and is gone. Only a transport of a new epoch brings it back.
    case lost(Rank, reason: String)
    /// The peer, or we, turned the connection down: secret, version, epoch or job do not fit.
    case refused(reason: String)
    /// The block does not lie in a registered region.
    case outOfBounds(BlockRef)
    /// A post on the region has not been polled as complete.
    case regionInUse(RegionKey)
    /// `TransportLimits.regions` are registered.
    case tooManyRegions
    /// The transport is closed.
    case closed
    /// The deadline passed; the rank, where one is to blame, is the first that was missing.
    case timedOut(Rank?, seconds: Double)
    /// The operating system refused something; the text names what and why.
    case system(String)

    /// A sentence for people, without a leading `error:`.
    public var description: String {
        switch self {
        case .unreachable(let rank, let reason): "\(rank) cannot be reached: \(reason)"
        case .lost(let rank, let reason): "\(rank) is lost: \(reason)"
        case .refused(let reason): "the data-plane connection was refused: \(reason)"
        case .outOfBounds(let block):
            "bytes \(block.offset) + \(block.byteCount) do not lie in registered region \(block.region.index)"
        case .regionInUse(let region): "region \(region.index) has posts that are not complete; poll them first"
        case .tooManyRegions: "more than \(TransportLimits.regions) memory regions; register fewer, larger ones"
        case .closed: "the transport is closed"
        case .timedOut(let rank?, let seconds): "\(rank) did not answer within \(seconds) s"
        case .timedOut(nil, let seconds): "the deadline of \(seconds) s passed"
        case .system(let text): text
        }
    }
}
