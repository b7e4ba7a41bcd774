// The small values of the transport's seam.
import RingCore

/// Names registered memory within one transport.
public struct RegionKey: Hashable, Sendable {
    /// The place in the transport's table of regions.
    public let index: Int

    package init(index: Int) { self.index = index }
}

/// A run of bytes inside a registered region.
public struct BlockRef: Hashable, Sendable {
    /// The region that holds it.
    public var region: RegionKey
    /// Bytes from the region's beginning.
    public var offset: Int
    /// Length in bytes; zero is legal.
    public var byteCount: Int

    /// Bytes `offset ..< offset + byteCount` of `region`; checked when it is posted.
    public init(region: RegionKey, offset: Int, byteCount: Int) {
        self.region = region
        self.offset = offset
        self.byteCount = byteCount
    }
}

/// Names one post; unique within a transport.
public struct Ticket: Hashable, Sendable {
    /// Counted from one in the order of posts.
    public let number: UInt64

    package init(number: UInt64) { self.number = number }
}

/// What became of a post.
public enum Posted: Hashable, Sendable {
    /// Accepted; a completion with this ticket will follow.
    case ticket(Ticket)
    /// Too much is outstanding: nothing was posted. Poll, then try again.
    case full
}

/// The end of one post.
public struct Completion: Hashable, Sendable {
    /// How it ended.
    public enum Outcome: UInt8, Hashable, Sendable {
        /// The peer has the bytes and their checksum holds there.
        case sent
        /// The bytes are in the block and their checksum holds.
        case received
        /// The peer is gone; `lossReason(of:)` says why. A receive's block holds undefined bytes.
        case lost
        /// The checksum failed on every allowed transmission; the link goes on. A receive's block holds undefined bytes.
        case damaged
        /// The transport was closed first.
        case cancelled
    }

    /// The post that ended.
    public let ticket: Ticket
    /// The other rank.
    public let peer: Rank
    /// The message's tag.
    public let tag: MessageTag
    /// How it ended.
    public let outcome: Outcome
    /// The block's length in bytes.
    public let byteCount: Int
}

/// What a transport has moved since it began. Payload only: headers, checksummed again or not, are not counted.
public struct TransportCounters: Hashable, Sendable {
    /// Payload bytes of sends that the peer acknowledged.
    public var bytesSent: UInt64 = 0
    /// Payload bytes of receives that completed.
    public var bytesReceived: UInt64 = 0
    /// Those of them that were copied once, straight out of a peer's memory, on this host.
    public var bytesBorrowed: UInt64 = 0
    /// Sends that the peer acknowledged.
    public var messagesSent: UInt64 = 0
    /// Receives that completed.
    public var messagesReceived: UInt64 = 0
    /// Slices this rank sent again because the peer's checksum failed.
    public var retransmissions: UInt64 = 0
    /// Slices whose checksum failed at this rank.
    public var checksumFailures: UInt64 = 0

    /// All zero.
    public init() {}
}
