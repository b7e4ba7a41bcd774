// A peer that stands still without closing its connection is noticed; one that is merely idle is not.
import Glibc
import RingCore
import RingTransport
import Testing

@Suite("Silence", .serialized, .timeLimit(.minutes(5)))
struct SilenceTests {
    private static let impatient: TCPOptions = {
        var options = TCPOptions()
        options.heartbeatInterval = .milliseconds(50)
        options.silenceLimit = .milliseconds(400)
        return options
    }()
    private static let tag = MessageTag(.probe, layer: 0, step: 0, piece: 0)

    @Test("a silent peer is lost after the limit, with the time it was silent")
    func silent() throws {
        try withVictim(options: Self.impatient) { victim, _ in
            let memory = try AnonymousMemory(byteCount: 100)
            let region = try unsafe victim.register(memory.bytes)
            let start = MonotonicClock.now()
            _ = try victim.post(receive: BlockRef(region: region, offset: 0, byteCount: 100), from: Rank(1), tag: Self.tag)
            let isDone = victim.wait(atMost: .seconds(10))
            #expect(isDone)
            let seconds = MonotonicClock.now().seconds(since: start)
            #expect(seconds > 0.3 && seconds < 5)
            var completions: [Completion] = []
            _ = victim.poll(into: &completions)
            #expect(completions.map(\.outcome) == [.lost])
            let reason = victim.lossReason(of: Rank(1)) ?? ""
            #expect(reason.contains("silent for 0."), "\(reason)")
        }
    }

    @Test("two idle ranks keep each other alive")
    func idle() throws {
        let listeners = try (0..<2).map { _ in try TCPListener() }
        try together(
            (0..<2).map { rank in
                {
                    var transport = try connectTransport(
                        listeners[rank], rank: rank, peers: listeners.map(\.address), options: Self.impatient)
                    usleep(1_500_000)
                    if !transport.lostPeers.isEmpty {
                        throw Failure("\(transport.lossReason(of: Rank(1 - rank)) ?? "no reason")")
                    }
                    // Both have looked before one of them leaves.
                    usleep(200_000)
                    transport.close()
                }
            })
    }

    @Test("a peer that takes nothing more is lost, and closing does not wait for it long")
    func stuck() throws {
        try withVictim { victim, peer in
            let memory = try AnonymousMemory(byteCount: 64 << 20)
            let region = try unsafe victim.register(memory.bytes)
            _ = try victim.post(send: BlockRef(region: region, offset: 0, byteCount: memory.byteCount), to: Rank(1), tag: Self.tag)
            let announce = try peer.nextFrame()
            try peer.send(
                FakePeer.frame(.consent, tag: Self.tag) {
                    ($0.message, $0.receive, $0.payloadByteCount) = (announce.message, 1, memory.byteCount)
                })
            usleep(200_000)
            let start = MonotonicClock.now()
            victim.close()
            let seconds = MonotonicClock.now().seconds(since: start)
            #expect(seconds < 3)
            var completions: [Completion] = []
            _ = victim.poll(into: &completions)
            #expect(completions.map(\.outcome) == [.cancelled])
        }
    }
}
