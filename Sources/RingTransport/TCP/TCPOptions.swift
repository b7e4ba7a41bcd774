// What may be chosen about a TCP ring, with the consequence of each choice.
import RingCore

/// Where a rank's data plane listens.
public struct PeerAddress: Hashable, Sendable {
    /// A name or a numeric address, IPv4 or IPv6.
    public var host: String
    /// The TCP port.
    public var port: UInt16

    /// `host` and `port`.
    public init(_ host: String, _ port: UInt16) { (self.host, self.port) = (host, port) }
}

/// Timing and placement of a TCP transport.
public struct TCPOptions: Sendable {
    /// An idle link says this often that it lives. Smaller finds a silent peer no sooner than `silenceLimit`.
    public var heartbeatInterval: Duration = .milliseconds(500)
    /// A peer from which nothing was heard for so long is lost, though its connection may stand: its process hangs or is
    /// stopped. Smaller mistakes a busy host for a dead one; keep it at least four heartbeats.
    public var silenceLimit: Duration = .seconds(10)
    /// A caller must have proved itself so long after a mesh took it over.
    public var handshakeLimit: Duration = .seconds(2)
    /// How long `close` waits for its last acknowledgements to reach the peers.
    public var closeLinger: Duration = .seconds(1)
    /// Size of a socket's buffers, used if the system allows all of it (`net.core.rmem_max`, `wmem_max`); otherwise the
    /// kernel tunes them itself.
    public var socketBufferBytes = 4 << 20
    /// Everything after the handshake is encrypted with AES-256-GCM. Every rank of a ring must choose alike; what it costs
    /// is in Docs/PERFORMANCE.md and printed by `ringmaster bench transport --encrypt`.
    public var isSealed = false
    /// The only lane that will do, or `nil` for the best that both ends of a pair can have. Forced and impossible means that
    /// `connect` throws `.refused` with the peer and the reason.
    public var lane: LaneKind? = .tcp
    /// Lanes beside the connection that may be chosen, the best first; RDMA comes after them.
    package var laneSources: [any LaneSource] = [SharedMemorySource()]
    /// Device, address and timing of RDMA, where it may be chosen.
    public var rdma = RDMAOptions()
    /// The CPU of the I/O thread; `nil` lets the scheduler choose.
    public var ioCPU: Int?
    /// Faults that will be met by messages which arrive here.
    public var faults: [TransportFault] = []

    /// The defaults.
    public init() {}
}
