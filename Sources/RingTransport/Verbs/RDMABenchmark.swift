// What a lane itself costs, without the transport's threads and tables: one frame to the other end of a queue pair and one
// back, on this machine. It stands beside perftest's `ib_write_lat`, which measures the same without our frame.
import CRingSystem
import CVerbs
import RingCore
import Synchronization

/// Measures two lanes of this process with each other.
public enum RDMABenchmark {
    /// A whole measurement.
    public struct Report: Hashable, Sendable {
        /// The port that was used.
        public let device: RDMADevice
        /// A frame of 64 bytes from one end to the other: half of there and back, median.
        public let frameSeconds: Double
        /// The same, the 99th of a hundred.
        public let frameSecondsHigh: Double
    }

    /// Sends `rounds` frames there and back. Throws `.system` when there is no RDMA here, `.timedOut`.
    public static func run(rounds: Int = 2000, options: RDMAOptions = RDMAOptions()) throws(TransportError) -> Report {
        precondition(rounds > 0, "no rounds")
        let device = try RDMADevice.choose(options)
        let (here, there) = (try LaneEnd(device, options), try LaneEnd(device, options))
        try here.connect(there)
        try there.connect(here)
        let stop = Stop()
        let thread = try PinnedThread.start(name: "bench-lane") { there.answer(rounds, stop) }
        var times: [Double] = []
        times.reserveCapacity(rounds)
        var failure: TransportError?
        for _ in 0..<rounds {
            let start = MonotonicClock.now()
            guard here.send(stop), here.await(stop) else {
                failure = .timedOut(nil, seconds: Patience.seconds)
                break
            }
            times.append(MonotonicClock.now().seconds(since: start) / 2)
        }
        stop.flag.store(true, ordering: .relaxed)
        thread.join()
        if let failure { throw failure }
        times.sort()
        return Report(device: device, frameSeconds: times[rounds / 2], frameSecondsHigh: times[rounds * 99 / 100])
    }
}

private final class Stop: Sendable {
    let flag = Atomic<Bool>(false)
}

/// How long one end waits for the other. The clock is asked once in 1,024 turns: asking costs more than a turn does.
private struct Patience {
    static let seconds = 10.0
    private let start = MonotonicClock.now()
    private var turns = 0

    /// Counts a turn; whether the time is over or the other end has given up.
    mutating func isOver(_ stop: borrowing Stop) -> Bool {
        turns += 1
        guard turns % 1024 == 0 else { return false }
        return MonotonicClock.now().seconds(since: start) > Self.seconds || stop.flag.load(ordering: .relaxed)
    }
}

/// One end of the measurement.
///
/// Unchecked because one thread at a time uses it: the caller until the other thread starts and after it has ended.
@safe private final class LaneEnd: @unchecked Sendable {
    private let lane: VerbsLane
    private let header: UnsafeMutablePointer<UInt8>

    init(_ device: RDMADevice, _ options: RDMAOptions) throws(TransportError) {
        lane = try VerbsLane(try VerbsContext(device, options: options), links: 1)
        unsafe header = .allocate(capacity: FrameHeader.byteCount)
        var span = unsafe MutableSpan(_unsafeStart: header, count: FrameHeader.byteCount)
        Self.heartbeat.encode(into: &span)
    }

    deinit {
        lane.destroy()
        unsafe header.deallocate()
    }

    private static let heartbeat = FrameHeader(.heartbeat, from: Rank(0), epoch: Epoch(1), job: JobNumber(1))

    func connect(_ other: borrowing LaneEnd) throws(TransportError) {
        try lane.connect(try Self.checked(other.lane.offer), heartbeat: Self.heartbeat)
    }

    /// By way of its bytes, as a peer gets it.
    private static func checked(_ offer: VerbsOffer) throws(TransportError) -> VerbsOffer {
        do throws(VerbsOffer.Failure) { return try VerbsOffer(decoding: offer.bytes) } catch { throw .system(error.description) }
    }

    /// Sends a frame; false when the lane fails or the time is over.
    func send(_ stop: borrowing Stop) -> Bool {
        var wait = Patience()
        while !lane.canPost {
            lane.poll()
            if lane.failure != nil || wait.isOver(stop) { return false }
        }
        unsafe lane.post(UnsafePointer(header), .heartbeat)
        return lane.failure == nil
    }

    /// Waits for a frame; false when the lane fails or the time is over.
    func await(_ stop: borrowing Stop) -> Bool {
        var wait = Patience()
        while true {
            lane.poll()
            if let frame = lane.nextArrived() {
                lane.giveBack(frame)
                return true
            }
            if lane.failure != nil || wait.isOver(stop) { return false }
        }
    }

    /// Sends back whatever comes.
    func answer(_ rounds: Int, _ stop: borrowing Stop) {
        for _ in 0..<rounds where !await(stop) || !send(stop) { return }
    }
}
