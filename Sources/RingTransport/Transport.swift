// The seam of the data plane, shaped after verbs, its fussiest implementation: register memory, post sends and receives,
// poll for completions. In-process and TCP imitate it. Docs/WIRE.md says what travels for each call.
import RingCore

/// Moves registered memory between the ranks of one ring. One thread at a time uses a transport; the work is done by a
/// thread of the transport's own, so that a post never blocks and bytes move while the caller computes.
///
/// **Matching.** Between an ordered pair of ranks the k-th send with a tag meets the k-th receive with that tag, whatever
/// the order among different tags. The receive's byte count must equal the message's; if not, the two ranks are lost to
/// each other, and the reason names the tag and both sizes.
///
/// **Completion.** Every posted ticket completes exactly once. A receive is `.received` when all bytes are in its block
/// and their checksum holds. A send is `.sent` when the receiver has said so; until then its block must not change,
/// because a damaged slice is sent again from it, at most `TransportLimits.retransmissions` times, then both ends see
/// `.damaged`. When a peer is gone, what is outstanding with it completes with `.lost`, and later posts throw `.lost`.
/// Closing the transport completes what is outstanding with `.cancelled`.
///
/// **Back-pressure.** A send waits at its own end until the peer has posted the receive (small messages travel ahead
/// into a bounded store). Nothing is buffered beyond that: when too much is outstanding a post returns `.full`.
public protocol Transport: ~Copyable, Sendable {
    /// The caller's own place in the ring.
    var rank: Rank { get }
    /// The number of ranks.
    var world: WorldSize { get }

    /// True when large messages from shareable memory (`AnonymousMemory.isShareable`), registered together with its owner, are
    /// copied but once on their way to some peer.
    var lendsMemory: Bool { get }

    /// Makes memory known. It must stay valid until `unregister` or `close` returns.
    /// Throws `.tooManyRegions` beyond `TransportLimits.regions`, `.closed`.
    mutating func register(_ memory: UnsafeMutableRawBufferPointer) throws(TransportError) -> RegionKey

    /// Makes memory known and keeps its owner alive until it is forgotten or the transport is gone, so that no order of
    /// clearing up can take the memory away under a message. Errors as above.
    mutating func register(_ memory: UnsafeMutableRawBufferPointer, keeping owner: any AnyObject & Sendable) throws(TransportError)
        -> RegionKey

    /// Forgets a region. Throws `.regionInUse` while a post on it has not been polled as complete.
    mutating func unregister(_ region: RegionKey) throws(TransportError)

    /// Sends `block` to `peer`. Returns `.full` when `TransportLimits` allows no further outstanding send: poll, then try
    /// again. Throws `.lost`, `.outOfBounds`, `.unreachable` (no such peer), `.closed`.
    mutating func post(send block: BlockRef, to peer: Rank, tag: MessageTag) throws(TransportError) -> Posted

    /// Receives into `block` from `peer`; the bytes are undefined until the completion. Result and errors as for sends.
    mutating func post(receive block: BlockRef, from peer: Rank, tag: MessageTag) throws(TransportError) -> Posted

    /// Appends what has completed since the last poll and returns how many there were. Never blocks. Allocates only if
    /// `completions` has to grow.
    mutating func poll(into completions: inout [Completion]) -> Int

    /// Sleeps until a completion can be polled or `timeout` is over; true when one can be polled.
    mutating func wait(atMost timeout: Duration) -> Bool

    /// What has been moved so far.
    var counters: TransportCounters { get }

    /// Ranks that are gone, in order of rank. A rank that closed its transport is among them.
    var lostPeers: [Rank] { get }

    /// Why `peer` is gone, or `nil` while it is not.
    func lossReason(of peer: Rank) -> String?

    /// Leaves the ring: tells the peers, completes what is outstanding with `.cancelled`, and returns when the memory of
    /// the regions is no longer touched. Closing again does nothing.
    mutating func close()
}

extension Transport where Self: ~Copyable {
    /// A transport to which all memory is alike.
    public var lendsMemory: Bool { false }
}
