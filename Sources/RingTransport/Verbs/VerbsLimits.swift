// Every bound of the RDMA lanes in one place, each with what raising it would cost, and what a user may choose.
import RingCore

/// Bounds of a queue pair.
enum VerbsLimits {
    /// Bytes of one posted receive: a frame's header and the payload that travels in the frame. Larger payloads are
    /// written straight into their block. Raising it pins `slots` times as much for each peer.
    static let slotBytes = FrameHeader.byteCount + framePayloadBytes
    /// Largest payload that travels in its frame. Copied once at the receiver, which at this size costs less than the
    /// round trip of a rendezvous.
    static let framePayloadBytes = 4096
    /// Frames in our send queue, and receives posted, per peer, where the device has room: 64 slices are 16 MiB under way,
    /// 64 receives are 260 KiB of pinned memory.
    static let slots = 64
    /// Fewer than these stand still too often to be worth having.
    static let slotRange = 8...4096
    /// All peers' receives together, so that a ring of a thousand ranks pins 32 MiB and not 256.
    static let slotsOfAll = 2048
    /// Bytes that go out with the work request, without the device reading them from memory: a frame without payload and
    /// a little more. Devices give 60 to 1000.
    static let inlineBytes: UInt32 = 192
    /// Windows made with a lane; others are made when more messages are under way at once.
    static let windows = 4
    /// Completions taken at a time.
    static let pollBatch = 32
    /// How often a packet is sent again before its peer is lost. The field has room for 7, which soft-RoCE takes for "without end".
    static let retries: UInt8 = 6
    /// How long the last words to a peer that is being lost may take to reach it. The I/O thread waits meanwhile.
    static let farewellSeconds = 0.1

    /// Completions of a queue pair at once: when it breaks, all that was posted on it: two requests a frame, every receive.
    static func completions(slots: Int) -> Int { 3 * slots }

    /// Slots for which a completion queue has room.
    static func slots(completions: Int) -> Int { completions / 3 }

    /// Slots for each of `links` peers.
    static func slots(links: Int) -> Int { max(min(slots, slotsOfAll / max(links, 1)), slotRange.lowerBound) }
}

/// What may be chosen about RDMA, with the consequence of each choice.
public struct RDMAOptions: Sendable, Hashable {
    /// The device, as `ibv_devices` lists it, with a port after a colon where it is not the first: `mlx5_0`, `mlx5_0:2`.
    /// `nil` takes the first port in order of names that is up.
    public var device: String?
    /// The place in the port's address table; `nil` chooses by rule (Docs/OPERATIONS.md).
    public var gidIndex: Int?
    /// The IP traffic class of RoCE packets, which lossless networks sort by.
    public var trafficClass: UInt8 = 0
    /// A packet is sent again after 4.096 us shifted by so much. 16 is 0.27 s; with six repetitions a peer is lost after
    /// about 2 s without an answer.
    public var timeoutExponent: UInt8 = 16
    /// Entries of a pair's completion queue at most; `nil` takes what is needed. Smaller means fewer frames under way.
    public var completionEntries: Int?
    /// Whether peers are given keys to windows, which open one block and end with its message, where the device has them.
    /// Without, a key opens the whole region for as long as the lane stands.
    public var windows = true
    /// A port that is down for so long loses its peers. Shorter than a cable is moved in turns a flap into a loss.
    public var portGrace: Duration = .seconds(2)

    /// The defaults.
    public init() {}
}
