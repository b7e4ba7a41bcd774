// In the steady state a message costs no memory: tables and rings are made once.
import CRingSystem
import Glibc
import RingCore
import RingTransport
import Testing

@Suite("Steady state", .serialized, .timeLimit(.minutes(5)))
struct SteadyStateTests {
    @Test(
        "ten thousand messages of four sizes leave the heap as it was",
        arguments: [(LaneKind.tcp, false, false), (.tcp, true, false), (.sharedMemory, false, false), (.sharedMemory, false, true)])
    func heap(lane: LaneKind, isSealed: Bool, isLent: Bool) throws {
        var options = TCPOptions()
        (options.lane, options.isSealed) = (lane, isSealed)
        let chosen = options
        let listeners = try (0..<2).map { _ in try TCPListener() }
        let grown = Counter()
        try together(
            (0..<2).map { rank in
                {
                    var transport = try connectTransport(listeners[rank], rank: rank, peers: listeners.map(\.address), options: chosen)
                    let memory = try AnonymousMemory(byteCount: 1 << 20, isShareable: isLent)
                    let region = try unsafe transport.register(memory.bytes, keeping: memory)
                    var completions: [Completion] = []
                    completions.reserveCapacity(64)
                    try exchange(&transport, region, &completions, rounds: 0..<200)
                    // Other suites run beside this one and share the heap: what they take is not ours, so one quiet
                    // stretch proves it.
                    var growth = Int.max
                    for stretch in 0..<5 where growth > 16_384 {
                        let before = ring_heap_bytes_in_use()
                        try exchange(&transport, region, &completions, rounds: 200 + stretch * 2500..<2700 + stretch * 2500)
                        growth = Int(ring_heap_bytes_in_use()) - Int(before)
                    }
                    if growth > 16_384 { grown.increment() }
                    transport.close()
                }
            })
        #expect(grown.value == 0)
    }

    /// Both ways at once, in each round one message of each size.
    private func exchange(
        _ transport: inout TCPTransport, _ region: RegionKey, _ completions: inout [Completion], rounds: Range<Int>
    ) throws {
        let peer = Rank(1 - transport.rank.index)
        let sizes = [64, 4096, 70_000, 300_000]
        for round in rounds {
            var (offset, outstanding) = (0, 0)
            for size in sizes {
                let tag = MessageTag(.probe, layer: 0, step: round, piece: size)
                let (receive, send) = (
                    BlockRef(region: region, offset: offset, byteCount: size),
                    BlockRef(region: region, offset: offset + size, byteCount: size)
                )
                _ = try transport.post(receive: receive, from: peer, tag: tag)
                _ = try transport.post(send: send, to: peer, tag: tag)
                offset += 2 * size
                outstanding += 2
            }
            while outstanding > 0 {
                guard transport.wait(atMost: .seconds(20)) else { throw Failure("round \(round) does not end") }
                completions.removeAll(keepingCapacity: true)
                outstanding -= transport.poll(into: &completions)
                if let bad = completions.first(where: { $0.outcome != .sent && $0.outcome != .received }) { throw Failure("\(bad)") }
            }
        }
    }
}
