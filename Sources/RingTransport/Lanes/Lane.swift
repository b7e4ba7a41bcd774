// The seam by which a pair of ranks chooses how its bytes move. The mesh of TCP connections is made and authenticated first,
// whatever comes after; then each pair agrees on a lane. Frames, matching, credits, checksums and repetitions are the same
// over every lane: a lane only brings the bytes of frames from one side to the other, in order.
//
// To add a kind: a case of `LaneKind`, a `LaneSource` in `TCPOptions.laneSources`, and a `Lane`.

/// What moves the frames of one pair of ranks. Made while the mesh comes about; from then on the I/O thread alone uses it.
package protocol Lane: AnyObject {
    var kind: LaneKind { get }

    /// Whether frames travel beside the pair's connection. Then the connection carries nothing but its end, and what the
    /// lane still holds when that comes is read first.
    var isApart: Bool { get }

    /// A descriptor that turns readable when an armed lane should be looked at; negative for none. For lanes apart.
    var bell: Int32 { get }

    /// Writes what waits on the link: control frames, and the frame that `TCPLoop.begin` prepared, whose header it encodes
    /// with the payload's checksum. Reports progress through `Link.account`. A frame that has begun is finished before
    /// control frames follow it.
    func write(_ link: Link) -> LaneProgress

    /// Reads into the payload under way (continuing `link.checksum` over it), else into the staging buffer. How many bytes of
    /// each came, or why none did. Without `mayFetch` only what needs no system call.
    func read(_ link: Link, mayFetch: Bool) -> LaneIntake

    /// Bytes were taken from the link that have not left yet.
    var hasOutput: Bool { get }
    /// Something can be read that no descriptor will report.
    var hasInput: Bool { get }
    /// A write would make progress. For lanes apart.
    var hasRoom: Bool { get }

    /// Before sleeping: asks the peer to ring when something can be read, or (`forRoom`) written. False when something can
    /// be already. For lanes apart.
    func arm(forRoom: Bool) -> Bool
    /// After sleeping.
    func disarm()
    /// The bell rang: silences it. False when the peer has let go of its end, and so of the lane.
    func hush() -> Bool
    /// The link is over. The connection itself belongs to the link.
    func close()

    /// Largest message that travels ahead of its receive.
    var aheadBytes: Int { get }
    /// How the peer names a block of ours, where its lane writes into our blocks itself: the receiver's consent, queued next,
    /// says it.
    func name(of start: UnsafeMutableRawPointer, _ byteCount: Int, in region: Int) -> RemotePlace?
    /// The message for which a block was named has ended; its frame of ours about that, if there is one, is queued next.
    func forget(key: UInt32)

    /// Where the peer can read a message of ours itself, where its lane does so: the sender's announcement says it.
    func lend(_ start: UnsafeMutableRawPointer, _ byteCount: Int, in region: Int) -> RemotePlace?
    /// The bytes at `offset` of what the peer's announcement names, to be read here; `nil` if they do not lie in memory of the peer's
    /// that this side has mapped.
    func borrowed(_ place: RemotePlace, _ offset: Int, _ byteCount: Int) -> UnsafeRawPointer?
    /// So many of them were read.
    func didRead(_ byteCount: Int)
    /// The key of memory that was lent and is forgotten here, once for each; the peer is told.
    func nextReturned() -> UInt32?
    /// The peer has forgotten memory that it lent.
    func giveBack(_ key: UInt32)
}

extension Lane {
    package var aheadBytes: Int { TransportLimits.eagerBytes }
    package func name(of start: UnsafeMutableRawPointer, _ byteCount: Int, in region: Int) -> RemotePlace? { nil }
    package func forget(key: UInt32) {}
    package func lend(_ start: UnsafeMutableRawPointer, _ byteCount: Int, in region: Int) -> RemotePlace? { nil }
    package func borrowed(_ place: RemotePlace, _ offset: Int, _ byteCount: Int) -> UnsafeRawPointer? { nil }
    package func didRead(_ byteCount: Int) {}
    package func nextReturned() -> UInt32? { nil }
    package func giveBack(_ key: UInt32) {}
}

/// Registered memory as another rank names it: a place in a registration, never an address, and the key to it.
package struct RemotePlace: BitwiseCopyable, Sendable {
    package var place: UInt64
    package var key: UInt32

    /// No place, or one of them.
    package init(place: UInt64 = 0, key: UInt32 = 0) { (self.place, self.key) = (place, key) }
}

/// Where memory has to be registered before lanes of a kind can move it. Called on the thread that owns the transport.
package protocol MemoryRegistrar: Sendable {
    /// Throws `.system`, with the way out where the system's limit on locked memory is the reason.
    func register(_ bytes: UnsafeMutableRawBufferPointer, at index: Int) throws(TransportError)
    /// No post on the memory is outstanding any more.
    func unregister(at index: Int)
}

/// What came of one write.
package enum LaneProgress {
    /// Bytes that waited and bytes that were taken.
    case wrote(offered: Int, written: Int)
    /// The lane has failed; an errno value.
    case failed(Int32)
}

/// What came of one read.
package enum LaneIntake {
    /// Bytes of payload and of headers; `isAll` says that there was no more to be had.
    case bytes(payload: Int, staging: Int, isAll: Bool)
    /// Nothing is there.
    case nothing
    /// The peer has closed its side.
    case ended
    /// Completes "lost: ...".
    case failed(String)
}

/// Where lanes of one kind come from. One for a whole transport.
package protocol LaneSource: Sendable {
    var kind: LaneKind { get }
    /// Begins a lane with one peer. Throws when this host cannot have any.
    func maker() throws(LaneFailure) -> any LaneMaker
    /// Where the transport's memory must be registered, once a pair has chosen the kind.
    var registrar: (any MemoryRegistrar)? { get }
}

extension LaneSource {
    package var registrar: (any MemoryRegistrar)? { nil }
}

/// One lane while it is agreed upon. What one side's functions return is what the other's are given, at most
/// `LaneMessage.parameterBytes` bytes, proved to come from the peer. A maker that is dropped lets go of what it holds.
///
///     caller                 listener
///     offer()          ->    answer(offer)
///     confirm(answer)  ->    settle(confirmation)
///     lane()                 lane()
package protocol LaneMaker: AnyObject {
    func offer() throws(LaneFailure) -> [UInt8]
    func answer(_ offer: [UInt8], session: HandshakeSession) throws(LaneFailure) -> [UInt8]
    func confirm(_ answer: [UInt8], session: HandshakeSession) throws(LaneFailure) -> [UInt8]
    func settle(_ confirmation: [UInt8], session: HandshakeSession) throws(LaneFailure)
    /// The finished lane; called once, after `confirm` and its peer's `settle`, or after `settle`.
    func lane() -> any Lane
}
