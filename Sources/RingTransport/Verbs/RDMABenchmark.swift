// What a lane itself costs, without the transport's threads, tables and checksums, on this machine: one frame to the other end
// of a queue pair and one back, and blocks written from one end's memory into the other's. They stand beside perftest's
// `ib_write_lat` and `ib_write_bw`, which measure the same without our frames.
import RingCore

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
        /// Blocks written in slices, each with its frame: their bytes over the time until the other end has the last frame.
        public let bytesPerSecond: Double
    }

    /// Sends `rounds` frames there and back, then writes about `byteCount` bytes in blocks of 1 MiB. Throws `.system` when there
    /// is no RDMA here, `.timedOut`.
    public static func run(
        rounds: Int = 2000, byteCount: Int = 64 << 20, options: RDMAOptions = RDMAOptions()
    ) throws(TransportError) -> Report {
        precondition(rounds > 0 && byteCount > 0, "\(rounds) rounds and \(byteCount) bytes")
        let device = try RDMADevice.choose(options)
        let (here, there) = (try LaneEnd(device, options), try LaneEnd(device, options))
        try here.connect(there)
        try there.connect(here)
        let blocks = max(byteCount / LaneEnd.blockBytes, 1)
        let stop = LaneEnd.Stop()
        let thread = try PinnedThread.start(name: "bench-lane") {
            if there.answer(rounds, stop) { there.take(blocks, stop) }
        }
        var times: [Double] = []
        times.reserveCapacity(rounds)
        var isDone = true
        for _ in 0..<rounds where isDone {
            let start = MonotonicClock.now()
            isDone = here.say(.heartbeat, stop) && here.hear(.heartbeat, stop)
            times.append(MonotonicClock.now().seconds(since: start) / 2)
        }
        let start = MonotonicClock.now()
        isDone = isDone && here.write(blocks, stop) && here.hear(.acknowledge, stop)
        let seconds = MonotonicClock.now().seconds(since: start)
        stop.flag.store(true, ordering: .relaxed)
        thread.join()
        if !isDone { throw .timedOut(nil, seconds: LaneEnd.patience) }
        times.sort()
        return Report(
            device: device, frameSeconds: times[rounds / 2], frameSecondsHigh: times[rounds * 99 / 100],
            bytesPerSecond: Double(blocks * LaneEnd.blockBytes) / seconds)
    }
}
