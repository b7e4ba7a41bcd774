// What travels between two ranks by RDMA instead of through their connection: one queue pair, its receives and its accounts.
// A frame is one message of the queue pair. A small payload lies in the frame; a large one is written straight into the
// receiver's block, and the frame behind it says so: the queue pair keeps their order. Here is what concerns the library;
// VerbsLane+Frames has what the loop sees.
import CRingSystem
import CVerbs
import Glibc
import RingCore

/// One end of a lane. The thread that makes it hands it to the I/O thread, which alone uses it afterwards.
@safe package final class VerbsLane {
    let context: VerbsContext
    private let pair: QueuePair
    private let firstPacket: UInt32
    private let memory: AnonymousMemory
    private let pinned: VerbsContext.Pinned
    private var registration: Registration?
    private let ends: UnsafeMutablePointer<ring_verbs_end>
    /// Receives that hold a frame which nobody has read, in order of arrival: a ring of `slots` places.
    private let arrived: UnsafeMutablePointer<Arrived>
    private var arrivedHead = 0
    private var arrivedTail = 0
    /// The accounts; `nil` until the other end is known.
    private var book: CreditBook?
    let windows: VerbsWindows
    /// A frame that only reports, encoded.
    private let report: UnsafeMutablePointer<UInt8>
    /// Why nothing travels any more, completing "lost: ".
    package private(set) var failure: String?
    /// Our goodbye was posted: what remains is that it arrives.
    var saidGoodbye = false
    /// Last words of another kind were posted, which must not be cut off.
    var saidLastWords = false

    // State of reading and of farewell to memory, used by VerbsLane+Frames.
    var reading: Arrived?
    var retirement = Retirement()

    /// A receive with a frame in it.
    package struct Arrived: BitwiseCopyable {
        package var slot: Int
        package var byteCount: Int
    }

    private static let receiveBit: UInt64 = 1 << 63

    /// A queue pair with all its receives posted, for one of `links` peers. Throws `.system`.
    package init(_ context: VerbsContext, links: Int) throws(TransportError) {
        self.context = context
        pair = try QueuePair(context, slots: VerbsLimits.slots(links: links))
        memory = try AnonymousMemory(byteCount: pair.slots * (FrameHeader.byteCount + VerbsLimits.slotBytes), hugePages: false)
        guard let base = unsafe memory.bytes.baseAddress else { preconditionFailure("a lane has no memory") }
        var random: UInt32 = 0
        _ = unsafe withUnsafeMutableBytes(of: &random) { raw in
            unsafe raw.baseAddress.map { unsafe ring_random_fill($0, raw.count) } ?? 0
        }
        firstPacket = random & 0xFF_FFFF
        windows = try VerbsWindows(context)
        (pinned, registration) = try unsafe context.pin(base, memory.byteCount, isRemote: false)
        unsafe ends = .allocate(capacity: VerbsLimits.pollBatch)
        unsafe arrived = .allocate(capacity: pair.slots)
        unsafe report = .allocate(capacity: FrameHeader.byteCount)
        context.addLane()
        for slot in 0..<pair.slots {
            let error = post(receive: slot)
            if error != 0 { throw .system("\(context.device.name) takes no receives: \(systemText(error))") }
        }
    }

    deinit {
        destroy()
        unsafe ends.deallocate()
        unsafe arrived.deallocate()
        unsafe report.deallocate()
    }

    /// Ends the lane: when this returns the device touches no memory for it any more.
    package func destroy() {
        windows.close()
        pair.destroy()
        guard let own = registration else { return }
        own.end()
        registration = nil
        context.removeLane(retirement)
    }

    /// What the other end must know.
    package var offer: VerbsOffer {
        let device = context.device
        guard let gid = device.address?.gid else { preconditionFailure("a port without an address was chosen") }
        return VerbsOffer(
            pair: pair.number, firstPacket: firstPacket, gid: gid, lid: device.lid, isEthernet: device.isEthernet, mtu: device.mtu,
            receives: pair.slots, receiveBytes: VerbsLimits.slotBytes)
    }

    /// Connects with the other end; `heartbeat` is what a frame that only reports says. Throws `.system`.
    package func connect(_ offer: VerbsOffer, heartbeat: FrameHeader) throws(TransportError) {
        guard offer.isEthernet == context.device.isEthernet else {
            throw .system("the peer's port is \(offer.isEthernet ? "Ethernet" : "InfiniBand") and \(context.device.name) is not")
        }
        try pair.connect(offer, firstPacket: firstPacket)
        var span = unsafe MutableSpan(_unsafeStart: report, count: FrameHeader.byteCount)
        heartbeat.encode(into: &span)
        book = CreditBook(sendSlots: pair.slots, ownReceives: pair.slots, peerReceives: offer.receives)
    }

    // MARK: Frames out

    /// Where a payload lies and how the device names it.
    @safe package struct Payload {
        var start: UnsafeMutableRawPointer
        var place: UInt64
        var key: UInt32
        var byteCount: Int
    }

    /// How the device names bytes of a registered region.
    package func payload(_ start: UnsafeMutableRawPointer, _ byteCount: Int, in region: Int) -> Payload {
        guard let (place, pinned) = unsafe context.place(of: start, in: region) else {
            preconditionFailure("a post on memory that is not registered came through")
        }
        return unsafe Payload(start: start, place: place, key: pinned.localKey, byteCount: byteCount)
    }

    /// True when the next frame may go.
    package var canPost: Bool { failure == nil && book?.canPost() == true }
    /// True when all that was posted has left.
    package var isDrained: Bool { book?.isDrained ?? true }
    /// Frames posted, and frames known to have left.
    var progress: (posted: UInt64, completed: UInt64) { (book?.posted ?? 0, book?.completed ?? 0) }

    /// Posts the 64 bytes at `header`, a frame of `kind`, with `payload` in the frame or, when `target` says where, written to
    /// the peer's memory before it. Whatever fails is remembered as the lane's failure.
    package func post(
        _ header: UnsafePointer<UInt8>, _ kind: FrameHeader.Kind?, _ payload: Payload? = nil,
        target: (place: UInt64, key: UInt32)? = nil, isSignaled wish: Bool = false
    ) {
        if wish { book?.signalNext() }
        guard let (number, slot, isSignaled) = book?.post(), let word = book?.word else { return fail("it is not connected") }
        let inFrame = target == nil ? payload?.byteCount ?? 0 : 0
        let isInline = FrameHeader.byteCount + inFrame <= pair.inlineBytes
        var head = ring_verbs_run(
            place: UInt64(UInt(bitPattern: header)), count: UInt32(FrameHeader.byteCount), key: pinned.localKey)
        if !isInline {
            let copy = unsafe headerPlace(slot)
            unsafe copy.copyMemory(from: header, byteCount: FrameHeader.byteCount)
            head.place = unsafe name(of: copy)
        }
        var body = ring_verbs_run(place: payload?.place ?? 0, count: UInt32(payload?.byteCount ?? 0), key: payload?.key ?? 0)
        var error: Int32
        if let target {
            error = pair.post(
                write: number, payload: body, to: target.place, target.key, header: head, word: word, isInline: isInline,
                isSignaled: isSignaled)
        } else {
            if isInline, let payload { body.place = unsafe UInt64(UInt(bitPattern: payload.start)) }
            error = unsafe pair.post(
                frame: number, header: head, payload: body, word: word, isInline: isInline, isSignaled: isSignaled,
                change: windows.change(before: kind))
        }
        if error != 0 { fail("a frame cannot be posted: \(systemText(error))") }
    }

    // MARK: Frames in

    /// Takes completions: frames that arrived line up to be read, frames that left make room.
    package func poll() {
        while failure == nil {
            let count = unsafe pair.poll(into: ends)
            if count < 0 { return fail("the completion queue of \(context.device.name) is broken") }
            for place in 0..<count { take(unsafe ends[place]) }
            if count < VerbsLimits.pollBatch { break }
        }
        reportIfOwed()
    }

    /// Tells the peer what was given back, when enough of it has come together and nothing else has told it. Asked at every
    /// poll: when the receives were given back there may have been no place in the send queue, and a peer that waits for
    /// this word sends nothing that would remind us.
    private func reportIfOwed() {
        guard failure == nil, !saidGoodbye, !saidLastWords, book?.owesReport == true, book?.canPost(reportOnly: true) == true
        else { return }
        unsafe post(UnsafePointer(report), .heartbeat)
    }

    private func take(_ end: ring_verbs_end) {
        if failure != nil { return }
        if end.status != Int32(bitPattern: IBV_WC_SUCCESS.rawValue) {
            failure = VerbsText.loss(status: end.status, device: context.device, isPortDown: context.isPortDown)
        } else if !end.is_receive {
            if book?.complete(end.id) != true { fail("\(context.device.name) completes what was not posted") }
        } else if end.has_word, Int(end.count) >= FrameHeader.byteCount, book?.accept(end.word) == true {
            unsafe arrived[arrivedTail % pair.slots] = Arrived(slot: Int(end.id & ~Self.receiveBit), byteCount: Int(end.count))
            arrivedTail += 1
        } else {
            failure = "it sent a message by RDMA that is no frame"
        }
    }

    /// True when a frame waits to be read.
    var hasArrived: Bool { arrivedHead < arrivedTail }

    /// The next frame in order of arrival.
    package func nextArrived() -> Arrived? {
        if !hasArrived { return nil }
        let next = unsafe arrived[arrivedHead % pair.slots]
        arrivedHead += 1
        return next
    }

    /// The bytes of a receive.
    func bytes(of arrived: Arrived) -> UnsafeMutableRawPointer { unsafe slotPlace(arrived.slot) }

    /// Posts a receive that has been read again, and tells the peer when enough of them have come together.
    package func giveBack(_ arrived: Arrived) {
        let error = post(receive: arrived.slot)
        if error != 0 { return fail("a receive cannot be posted: \(systemText(error))") }
        book?.giveBack()
        reportIfOwed()
    }

    private func post(receive slot: Int) -> Int32 {
        unsafe pair.post(
            receive: Self.receiveBit | UInt64(slot), place: name(of: slotPlace(slot)), byteCount: VerbsLimits.slotBytes,
            key: pinned.localKey)
    }

    // MARK: Sleep

    /// For a poll set: readable when a completion came after `ring`.
    var channel: Int32 { pair.bell }
    /// Lets the next completion make the channel readable.
    func watch() { pair.arm() }
    /// Makes it unreadable.
    func silence() { pair.hush() }

    /// Remembers the first failure.
    func fail(_ reason: String) { if failure == nil { failure = "RDMA: \(reason)" } }

    // MARK: Memory: the headers of frames under way, then the receives.

    private func headerPlace(_ slot: Int) -> UnsafeMutableRawPointer { unsafe pinned.base + slot * FrameHeader.byteCount }

    private func slotPlace(_ slot: Int) -> UnsafeMutableRawPointer {
        unsafe pinned.base + pair.slots * FrameHeader.byteCount + slot * VerbsLimits.slotBytes
    }

    private func name(of place: UnsafeMutableRawPointer) -> UInt64 { unsafe pinned.origin + UInt64(place - pinned.base) }
}
