// Everything one rank keeps about its connection to one peer. The I/O thread alone touches it.
import CRingSystem
import RingCore

/// A send from its post to its completion.
@safe struct SendSlot: BitwiseCopyable {
    enum State: UInt8 {
        /// On `posts`: nothing of it has been written.
        case posted
        /// On `waiting`: announced, or sent ahead, or sent whole; the peer speaks next.
        case waiting
        /// On `bulk`: consented to; slices are being written.
        case streaming
    }

    var command: Command
    /// Tells this use of the slot from earlier ones; never zero.
    var generation: UInt32
    var state = State.posted
    /// The peer's number of the receive; zero before its consent.
    var receive: UInt32 = 0
    /// Offset of the first byte never sent in a slice.
    var next = 0
    /// Room in the peer's store that this message may occupy.
    var holdsCredit = false
    var retransmissions = 0
    /// The peer's block, as its consent named it, where lanes write into blocks. Where they read out of blocks, only the key: that
    /// of our memory, if the peer reads the message there.
    var remote = RemotePlace()
    /// Slices to send again.
    var again = OffsetSet()
    /// The peer complained too often; end as damaged when no frame of it is under way.
    var isAbandoned = false
}

/// A receive from its post to its completion.
@safe struct ReceiveSlot: BitwiseCopyable {
    var command: Command
    /// Tells this use of the slot from earlier ones; never zero.
    var generation: UInt32
    /// On `matched` rather than on `posted`.
    var isMatched = false
    /// The peer's number of the matched message.
    var message: UInt32 = 0
    /// The key to the block that the peer was given, where lanes write into blocks.
    var key: UInt32?
    /// Offset of the first byte that no slice has covered.
    var next = 0
    /// Bytes whose checksum held.
    var verified = 0
    var complaints = 0
    /// Where the message lies in the peer's memory, if it is read there; else the key is 0.
    var lent = RemotePlace()
    /// Slices that were complained about and have not come again undamaged.
    var damaged = OffsetSet()
    /// Index of the fault that meets the message, or -1.
    var fault: Int32 = -1
}

/// A message that was announced, or came ahead, before its receive was posted.
struct Arrival: BitwiseCopyable {
    var tag: UInt64
    /// The sender's number.
    var message: UInt32
    var byteCount: Int
    /// Where its bytes lie in the store, or -1 when they are still with the sender.
    var place: Int
    /// False while its bytes are coming in.
    var isComplete: Bool
    /// Where its bytes lie in the peer's memory, if it has said so; else the key is 0.
    var lent = RemotePlace()
    /// Held back by a fault until then.
    var notBefore = Int64.min
    var fault: Int32 = -1
}

/// What the payload that is coming in belongs to.
enum PayloadTarget {
    /// A slot of the receives; the slice begins at this offset of the message.
    case receive(slot: Int, offset: Int, isAgain: Bool)
    /// A slot of the link's arrivals.
    case arrival(slot: Int)
}

/// One connection and what is under way on it. What is `package` of it, lanes read and write.
@safe package final class Link {
    let peer: Int
    var descriptor: Int32
    /// What its frames travel by.
    let lane: any Lane
    var isOpen = true
    /// Set when we leave: nothing is parsed any more, what waits is written, then the write side is shut.
    var isClosing = false
    var didShutdown = false
    /// On the loop's list of links that may have something to write.
    var isPending = false
    var watchesWritable = false

    // Writing.
    var control = ControlQueue(frames: TransportLimits.controlFrames)
    /// Sends of which the peer knows nothing, in order of posts.
    var posts = SlotList()
    /// Sends with consent, in order of consents.
    var bulk = SlotList()
    /// Sends that wait for the peer.
    var waiting = SlotList()
    var eagerCredits = TransportLimits.eagerSlots
    /// The frame with payload that is being written; none when `current` is negative.
    var current = -1
    /// Its header, as far as `begin` knows it, and encoded with the checksum that the lane found.
    var outgoing: FrameHeader?
    private(set) var isEncoded = false
    let header: UnsafeMutablePointer<UInt8>
    var headerWritten = 0
    /// The send whose frame has just gone out whole, until the loop has heard of it; else negative.
    var written = -1
    var payload: UnsafeMutableRawPointer?
    /// The region that it lies in, and where it goes.
    private(set) var payloadRegion = 0
    private(set) var remote = RemotePlace()
    var payloadLeft = 0

    // Reading.
    static let stagingBytes = 4096
    let staging: UnsafeMutablePointer<UInt8>
    var stagingStart = 0
    var stagingEnd = 0
    /// The header of the payload that is coming in.
    var frame: FrameHeader?
    var target = PayloadTarget.arrival(slot: -1)
    var targetStart: UnsafeMutableRawPointer?
    var targetFilled = 0
    var targetLeft = 0
    var checksum: UInt32 = 0
    /// Bytes that were read out of the peer's memory and that no turn has been charged with.
    var fetched = 0

    // Receiving.
    /// Receives without a message, in order of posts.
    var posted = SlotList()
    /// Receives whose message is on its way.
    var matched = SlotList()
    var arrivals = SlotPool<Arrival>(capacity: TransportLimits.sendsPerPeer)
    /// Messages without a receive, in order of arrival.
    var unmatched = SlotList()
    /// How many of them a fault holds back.
    var heldBack = 0
    var messagesSeen = 0
    let store: EagerStore

    // Time.
    var heardAt: Moment
    var wroteAt: Moment

    init(peer: Int, descriptor: Int32, lane: any Lane, now: Moment) throws(TransportError) {
        (self.peer, self.descriptor, self.lane, heardAt, wroteAt) = (peer, descriptor, lane, now, now)
        unsafe header = .allocate(capacity: FrameHeader.byteCount)
        unsafe staging = .allocate(capacity: Self.stagingBytes)
        store = try EagerStore()
    }

    deinit {
        unsafe header.deallocate()
        unsafe staging.deallocate()
    }

    /// Anything to write, now or when the socket takes more.
    var hasOutput: Bool {
        current >= 0 || !control.isEmpty || lane.hasOutput || (!isClosing && (!posts.isEmpty || !bulk.isEmpty))
            || (isClosing && !didShutdown)
    }

    /// Makes `frame` what is written next: as many bytes of the send's block as it says, from its offset.
    func begin(_ frame: FrameHeader, of slot: Int, _ send: SendSlot) {
        let offset = frame.kind == .eager ? 0 : frame.offset
        payloadRegion = Int(send.command.region)
        remote = RemotePlace(place: send.remote.place + UInt64(offset), key: send.remote.key)
        outgoing = frame
        isEncoded = false
        headerWritten = 0
        unsafe payload = send.command.start + offset
        payloadLeft = frame.payloadByteCount
        current = slot
    }

    /// Encodes the header of the frame that is written next, now that its payload's checksum is known.
    func encodeHeader(checksum: UInt32) {
        guard var complete = outgoing else { preconditionFailure("there is no frame to write") }
        complete.payloadChecksum = checksum
        var span = unsafe MutableSpan(_unsafeStart: header, count: FrameHeader.byteCount)
        complete.encode(into: &span)
        isEncoded = true
    }

    /// Books bytes that the lane has taken: control frames and the frame under way, in the order in which they were offered.
    func account(_ count: Int, controlFirst: Bool) {
        var left = count
        if controlFirst { left -= control.consume(left) }
        if current >= 0 {
            let ofHeader = min(left, FrameHeader.byteCount - headerWritten)
            headerWritten += ofHeader
            left -= ofHeader
            let ofPayload = min(left, payloadLeft)
            if ofPayload > 0, let start = unsafe payload {
                unsafe payload = start + ofPayload
                payloadLeft -= ofPayload
                left -= ofPayload
            }
            if headerWritten == FrameHeader.byteCount && payloadLeft == 0 { (written, current) = (current, -1) }
        }
        if !controlFirst { left -= control.consume(left) }
        precondition(left == 0, "the lane took more than it was offered")
    }
}

/// Room for small messages that come before their receives: `eagerSlots` places of `eagerBytes`.
@safe final class EagerStore {
    private let memory: AnonymousMemory
    private var free: [Int]

    init() throws(TransportError) {
        memory = try AnonymousMemory(byteCount: TransportLimits.eagerSlots * TransportLimits.eagerBytes, hugePages: false)
        // The last given back is the first taken, so that few pages are ever touched.
        free = Array((0..<TransportLimits.eagerSlots).reversed())
    }

    /// A free place, or `nil`: then the peer sent more ahead than it may.
    func take() -> Int? { free.popLast() }

    func giveBack(_ place: Int) { free.append(place) }

    func start(of place: Int) -> UnsafeMutableRawPointer {
        guard let base = unsafe memory.bytes.baseAddress else { preconditionFailure("the store has no memory") }
        return unsafe base + place * TransportLimits.eagerBytes
    }
}
