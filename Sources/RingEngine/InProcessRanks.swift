// A whole ring inside one process, one thread a rank: what `verify` and the tests run, with the same engine and the same
// seam as workers on different machines.
import RingCore
import RingTransport

/// Runs a body for every rank of an in-process ring.
public enum InProcessRanks {
    /// The wire between ranks of one process.
    public typealias Wire = InProcessTransport

    /// Runs `body` once for each rank, each on a thread of its own, and returns when all have returned. `faults` happen to
    /// messages on their way.
    public static func run(
        _ world: WorldSize, faults: [TransportFault] = [], _ body: @escaping @Sendable (Rank, consuming InProcessTransport) -> Void
    ) throws(TransportError) {
        let fabric = try InProcessFabric(world: world, faults: faults)
        var threads: [PinnedThread] = []
        defer { for thread in threads { thread.join() } }
        for rank in world.ranks {
            threads.append(try PinnedThread.start(name: "rank-\(rank.index)") { body(rank, fabric.transport(for: rank)) })
        }
    }
}
