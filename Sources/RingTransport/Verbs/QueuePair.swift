// One reliable connected queue pair with a completion queue and a completion channel of its own, freed once.
import CVerbs
import Glibc
import RingCore

/// The library's objects behind the few calls that a lane needs. One thread at a time uses it.
///
/// The completion queue belongs to one pair, so that a pair that breaks, and completes all that was posted on it at once,
/// can fill no other's.
@safe final class QueuePair {
    private let channel: UnsafeMutablePointer<ibv_comp_channel>
    private let queue: UnsafeMutablePointer<ibv_cq>
    private let pair: UnsafeMutablePointer<ibv_qp>
    /// The context must outlive what was made from it.
    private let context: VerbsContext
    private var isAlive = true
    /// Frames under way, and receives posted, at most.
    let slots: Int
    /// Bytes that may go out with a work request.
    let inlineBytes: Int
    /// By which the other end names it.
    let number: UInt32

    /// A pair that can take receives but is not connected; it has at most `slots` places, and fewer where the device's
    /// completion queues are small. Throws `.system`.
    init(_ context: VerbsContext, slots wanted: Int) throws(TransportError) {
        self.context = context
        let name = context.device.name
        slots = min(wanted, VerbsLimits.slots(completions: context.completionEntries))
        guard slots >= VerbsLimits.slotRange.lowerBound else {
            throw .system(
                "\(name) gives a completion queue of \(context.completionEntries) entries where "
                    + "\(VerbsLimits.completions(slots: VerbsLimits.slotRange.lowerBound)) are needed")
        }
        guard let channel = unsafe ibv_create_comp_channel(context.context) else {
            throw .system("\(name) gives no completion channel: \(systemText(errno))")
        }
        let entries = VerbsLimits.completions(slots: slots)
        guard let queue = unsafe ibv_create_cq(context.context, Int32(entries), nil, channel, 0) else {
            let error = errno
            _ = unsafe ibv_destroy_comp_channel(channel)
            throw .system("\(name) gives no completion queue of \(entries) entries: \(systemText(error))")
        }
        var error: Int32 = 0
        var inlineBytes = VerbsLimits.inlineBytes
        var made = unsafe ring_verbs_create_pair(context.domain, queue, UInt32(2 * slots), UInt32(slots), &inlineBytes, &error)
        if unsafe made == nil {
            // A device that gives less inline room says no rather than how much.
            inlineBytes = 0
            unsafe made = ring_verbs_create_pair(context.domain, queue, UInt32(2 * slots), UInt32(slots), &inlineBytes, &error)
        }
        if let pair = unsafe made {
            error = unsafe ring_verbs_prepare_pair(pair, UInt8(context.device.port))
            if error != 0 { _ = unsafe ibv_destroy_qp(pair) }
        }
        guard error == 0, let pair = unsafe made else {
            _ = unsafe ibv_destroy_cq(queue)
            _ = unsafe ibv_destroy_comp_channel(channel)
            throw .system("\(name) gives no queue pair of \(2 * slots) requests: \(systemText(error))")
        }
        unsafe (self.channel, self.queue, self.pair) = unsafe (channel, queue, pair)
        self.inlineBytes = Int(inlineBytes)
        number = unsafe pair.pointee.qp_num
        _ = unsafe ring_verbs_make_nonblocking(channel.pointee.fd)
    }

    deinit {
        destroy()
        _ = unsafe ibv_destroy_cq(queue)
        _ = unsafe ibv_destroy_comp_channel(channel)
    }

    /// Ends it: when this returns the device reads and writes no memory for it any more.
    func destroy() {
        if !isAlive { return }
        isAlive = false
        _ = unsafe ibv_destroy_qp(pair)
    }

    /// Connects it with the pair that `offer` describes. Throws `.system`.
    func connect(_ offer: VerbsOffer, firstPacket: UInt32) throws(TransportError) {
        let device = context.device
        var route = ring_verbs_route()
        route.pair = offer.pair
        route.first_packet = offer.firstPacket
        route.own_first_packet = firstPacket
        route.lid = offer.lid
        unsafe withUnsafeMutableBytes(of: &route.gid) { unsafe $0.copyBytes(from: offer.gid.bytes) }
        route.gid_index = UInt8(clamping: device.address?.index ?? 0)
        route.mtu = min(offer.mtu, device.mtu)
        route.port = UInt8(device.port)
        // Within one InfiniBand subnet the LID alone leads to the other end.
        route.is_global = device.isEthernet || offer.lid == 0
        route.traffic_class = context.options.trafficClass
        route.timeout = context.options.timeoutExponent & 31
        route.retries = VerbsLimits.retries
        let error = unsafe ring_verbs_connect_pair(pair, &route)
        if error != 0 { throw .system("a queue pair of \(device.name) cannot be connected to \(offer.gid): \(systemText(error))") }
    }

    /// Posts a receive. 0 or an errno value.
    func post(receive id: UInt64, place: UInt64, byteCount: Int, key: UInt32) -> Int32 {
        unsafe ring_verbs_post_receive(pair, id, place, UInt32(byteCount), key)
    }

    /// Posts a frame, before it the change of a window if it names one. 0 or an errno value.
    func post(
        frame id: UInt64, header: ring_verbs_run, payload: ring_verbs_run, word: UInt32, isInline: Bool, isSignaled: Bool,
        change: ring_verbs_window_change
    ) -> Int32 {
        unsafe ring_verbs_post_frame(pair, id, header, payload, word, isInline, isSignaled, change)
    }

    /// Posts a write and the frame behind it. 0 or an errno value.
    func post(
        write id: UInt64, payload: ring_verbs_run, to remotePlace: UInt64, _ remoteKey: UInt32, header: ring_verbs_run, word: UInt32,
        isInline: Bool, isSignaled: Bool
    ) -> Int32 {
        unsafe ring_verbs_post_write(pair, id, payload, remotePlace, remoteKey, header, word, isInline, isSignaled)
    }

    // MARK: Completions

    /// Into `ends`, at most `VerbsLimits.pollBatch`; how many, negative when the queue is broken.
    func poll(into ends: UnsafeMutablePointer<ring_verbs_end>) -> Int {
        unsafe Int(ring_verbs_poll(queue, ends, Int32(VerbsLimits.pollBatch)))
    }

    /// For a poll set: readable when a completion came after `arm`.
    var bell: Int32 { unsafe channel.pointee.fd }

    /// Lets the next completion make the bell readable.
    func arm() { _ = unsafe ring_verbs_arm(queue) }

    /// Makes the bell unreadable.
    func hush() { _ = unsafe ring_verbs_drain_channel(channel) }
}
