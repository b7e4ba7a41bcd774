// The two ends that RDMABenchmark measures with each other: a lane by hand, and a block to write from or into.
import RingCore
import Synchronization

/// One end of the measurement.
///
/// Unchecked because one thread at a time uses it: the caller until the other thread starts and after it has ended.
@safe final class LaneEnd: @unchecked Sendable {
    /// Tells both threads that one of them has given up.
    final class Stop: Sendable {
        let flag = Atomic<Bool>(false)
    }

    /// How long one end waits for the other, in seconds. The clock is asked once in 1,024 turns: asking costs more than a turn does.
    private struct Wait {
        private let start = MonotonicClock.now()
        private var turns = 0

        /// Counts a turn; whether the time is over or the other end has given up.
        mutating func isOver(_ stop: borrowing Stop) -> Bool {
            turns += 1
            guard turns % 1024 == 0 else { return false }
            return MonotonicClock.now().seconds(since: start) > LaneEnd.patience || stop.flag.load(ordering: .relaxed)
        }
    }

    static let patience = 10.0
    static let blockBytes = 1 << 20
    private let context: VerbsContext
    private let lane: VerbsLane
    private let memory: AnonymousMemory
    private let header: UnsafeMutablePointer<UInt8>
    /// What the other end's consent named.
    private var target = RemotePlace()

    init(_ device: RDMADevice, _ options: RDMAOptions) throws(TransportError) {
        context = try VerbsContext(device, options: options)
        memory = try AnonymousMemory(byteCount: Self.blockBytes)
        try unsafe context.register(memory.bytes, at: 0)
        lane = try VerbsLane(context, links: 1)
        unsafe header = .allocate(capacity: FrameHeader.byteCount)
    }

    deinit {
        lane.destroy()
        unsafe header.deallocate()
    }

    private static func frame(_ kind: FrameHeader.Kind) -> FrameHeader {
        FrameHeader(kind, from: Rank(0), epoch: Epoch(1), job: JobNumber(1))
    }

    func connect(_ other: borrowing LaneEnd) throws(TransportError) {
        try lane.connect(try Self.checked(other.lane.offer), heartbeat: Self.frame(.heartbeat))
    }

    /// By way of its bytes, as a peer gets it.
    private static func checked(_ offer: VerbsOffer) throws(TransportError) -> VerbsOffer {
        do throws(VerbsOffer.Failure) { return try VerbsOffer(decoding: offer.bytes) } catch { throw .system(error.description) }
    }

    // MARK: One frame

    /// Sends a frame of `kind`, which says where `place` is; false when the lane fails or the time is over.
    func say(_ kind: FrameHeader.Kind, at place: RemotePlace = RemotePlace(), _ stop: borrowing Stop) -> Bool {
        guard awaitRoom(stop) else { return false }
        var frame = Self.frame(kind)
        (frame.offset, frame.payloadChecksum) = (Int(place.place), place.key)
        encode(frame)
        unsafe lane.post(UnsafePointer(header), kind)
        return lane.failure == nil
    }

    private func encode(_ frame: FrameHeader) {
        var span = unsafe MutableSpan(_unsafeStart: header, count: FrameHeader.byteCount)
        frame.encode(into: &span)
    }

    private func awaitRoom(_ stop: borrowing Stop) -> Bool {
        var wait = Wait()
        while !lane.canPost {
            lane.poll()
            if lane.failure != nil || wait.isOver(stop) { return false }
        }
        return true
    }

    /// Waits for a frame of `kind`, among others that the lane sends by itself; false when it fails or the time is over.
    func hear(_ kind: FrameHeader.Kind, _ stop: borrowing Stop) -> Bool {
        var wait = Wait()
        while true {
            lane.poll()
            while let frame = lane.nextArrived() {
                let bytes = unsafe lane.bytes(of: frame)
                let isMeant = unsafe bytes.load(fromByteOffset: 5, as: UInt8.self) == kind.rawValue
                if kind == .consent {
                    target.place = unsafe bytes.load(fromByteOffset: 32, as: UInt64.self)
                    target.key = unsafe bytes.load(fromByteOffset: 56, as: UInt32.self)
                }
                lane.giveBack(frame)
                if isMeant { return true }
            }
            if lane.failure != nil || wait.isOver(stop) { return false }
        }
    }

    /// Sends back whatever comes.
    func answer(_ rounds: Int, _ stop: borrowing Stop) -> Bool {
        for _ in 0..<rounds where !hear(.heartbeat, stop) || !say(.heartbeat, stop) { return false }
        return true
    }

    // MARK: Blocks

    /// Writes the block `count` times into the block that the other end consents to, in slices, each followed by its frame.
    func write(_ count: Int, _ stop: borrowing Stop) -> Bool {
        guard hear(.consent, stop), let start = unsafe memory.bytes.baseAddress else { return false }
        encode(Self.frame(.slice))
        for at in 0..<count * Self.blockBytes / TransportLimits.sliceBytes {
            // The other end's reports, which come meanwhile.
            while let frame = lane.nextArrived() { lane.giveBack(frame) }
            let offset = at * TransportLimits.sliceBytes % Self.blockBytes
            guard awaitRoom(stop) else { return false }
            let payload = unsafe lane.payload(start + offset, TransportLimits.sliceBytes, in: 0)
            unsafe lane.post(UnsafePointer(header), .slice, payload, target: (target.place + UInt64(offset), target.key))
        }
        return lane.failure == nil
    }

    /// Consents to blocks of the other end, takes `count` of them, and says so.
    func take(_ count: Int, _ stop: borrowing Stop) {
        guard let start = unsafe memory.bytes.baseAddress, let name = unsafe lane.name(of: start, Self.blockBytes, in: 0),
            say(.consent, at: name, stop)
        else { return }
        for _ in 0..<count * Self.blockBytes / TransportLimits.sliceBytes where !hear(.slice, stop) { return }
        _ = say(.acknowledge, stop)
    }
}
