// Every bound of the data plane in one place, each with what raising it would cost.
import RingCore

/// Bounds of the transports.
public enum TransportLimits {
    /// Most regions one transport knows. A table entry each; verbs devices allow far fewer large ones than small.
    public static let regions = 1024
    /// Most outstanding sends of one transport; as many ranks as a world can have, twice. 96 bytes each.
    public static let sends = 2048
    /// Most outstanding receives of one transport. 96 bytes each.
    public static let receives = 2048
    /// Most outstanding sends to one peer. The peer must remember each one that it has not matched, so this bounds its
    /// table: `sendsPerPeer` * 32 bytes a peer.
    public static let sendsPerPeer = 256
    /// Most outstanding receives from one peer; each is looked at when a message of that peer arrives.
    public static let receivesPerPeer = 256
    /// Largest message that travels ahead of its receive: a decode step's queries and partials fit. A larger message
    /// waits one round trip for the peer's consent.
    public static let eagerBytes = 64 << 10
    /// Small messages that may travel ahead to one peer. The peer keeps room for `eagerSlots` * `eagerBytes` = 2 MiB
    /// per peer, address space until it is used.
    public static let eagerSlots = 32
    /// Payload of one frame. Smaller: more headers and calls. Larger: control frames wait longer behind it, and the
    /// checksum no longer finds the slice in the second-level cache.
    public static let sliceBytes = 256 << 10
    /// How often a damaged slice's message is sent again before it counts as damaged.
    public static let retransmissions = 3
    /// Largest message. Raising it costs nothing but the meaning of a lying header.
    public static let messageBytes = 1 << 40
    /// Frames waiting to be written that carry no payload, per link. The rules of the protocol keep the number below
    /// `sendsPerPeer` consents, acknowledgements and farewells each, plus four complaints per message; a peer that
    /// drives it higher is lost.
    static let controlFrames = 2048
    /// Bytes read from or written to one link before the next link's turn.
    static let turnBytes = 1 << 20
    /// How long an I/O thread waits awake for a lane that has just been busy before it sleeps. Longer: more of the core that
    /// the computing threads want; shorter: more wake-ups in the middle of a message.
    static let spinNanoseconds: Int64 = 20_000
    /// Larger messages are copied past the caches into their blocks, where they come through shared memory: half the traffic on the
    /// memory's bus. Smaller ones are likely to be read soon.
    static let streamedBytes = 128 << 10
    /// Slices in memory that was lent to one peer that may be announced to it before it has read the first. More: whatever comes
    /// behind them waits longer, some 20 us each; fewer: one side waits for the other.
    static let references = 8
    /// Regions that one peer may have of ours, and we of it. An entry each, looked through for each slice.
    static let lentRegions = 64
    /// Address space that one peer's memory may take here, of the 128 TiB that there are.
    static let lentBytes = 4 << 40
    /// Bytes read out of one peer's memory before its pages are let go of: so much of a process's resident memory may be a peer's, where a
    /// rank promises to hold its own and two blocks. Fewer: more faults where the same bytes are read again, 5 us a MiB on huge pages.
    static let borrowedBytes = 4 << 20
    /// Bytes copied by one turn of the in-process mover.
    static let copyBytes = 1 << 20
    /// Connections at one port that have not said a whole greeting; beyond it the oldest is dropped, so that silent
    /// strangers cannot keep members out. A descriptor each.
    public static let pendingHandshakes = 64
    /// Callers with a greeting that wait for a mesh, or for the end of their handshake; as many as a ring may have and
    /// some strangers. A descriptor each.
    public static let waitingCallers = Limits.ranks + pendingHandshakes
    /// Lines that one listener writes about refused connections; after that they are only counted.
    public static let refusalLines = 16
}
