// A peer that got through the handshake and then breaks the rules: the link ends with a reason, never the process.
import Glibc
import RingCore
import RingTransport
import Testing

private let probe = MessageTag(.probe, layer: 0, step: 0, piece: 0)
private let other = MessageTag(.probe, layer: 0, step: 0, piece: 1)

@Suite("Hostile peer", .serialized, .timeLimit(.minutes(5)))
struct HostilePeerTests {
    /// Posts a receive of 300,000 and one of 100 bytes and a send of 300,000 and one of 100, lets the peer misbehave, and
    /// returns why it was lost.
    private func provoke(mayCheat: Bool = false, _ misbehave: (FakePeer) throws -> Void) throws -> String {
        try withVictim { victim, peer in
            let memory = try AnonymousMemory(byteCount: 600_200)
            let region = try unsafe victim.register(memory.bytes)
            _ = try victim.post(receive: BlockRef(region: region, offset: 0, byteCount: 300_000), from: Rank(1), tag: probe)
            _ = try victim.post(receive: BlockRef(region: region, offset: 300_000, byteCount: 100), from: Rank(1), tag: other)
            _ = try victim.post(send: BlockRef(region: region, offset: 300_100, byteCount: 300_000), to: Rank(1), tag: probe)
            _ = try victim.post(send: BlockRef(region: region, offset: 600_100, byteCount: 100), to: Rank(1), tag: other)
            try misbehave(peer)
            var completions: [Completion] = []
            let start = MonotonicClock.now()
            while completions.count(where: { $0.outcome == .lost }) == 0 {
                if MonotonicClock.now().seconds(since: start) > 20 { throw Failure("the peer is believed: \(completions)") }
                if victim.wait(atMost: .milliseconds(100)) { _ = victim.poll(into: &completions) }
            }
            // By chance a random peer may say the right thing; what is promised of bytes holds by their checksum.
            #expect(mayCheat || completions.allSatisfy { $0.outcome == .lost || $0.byteCount == 100 })
            return victim.lossReason(of: Rank(1)) ?? "no reason"
        }
    }

    @Test("bytes that are no frame")
    func garbage() throws {
        #expect(try provoke { try $0.write([UInt8](repeating: 7, count: 64)) }.contains("not a ringmaster frame"))
        #expect(
            try provoke { peer in
                var bytes = FakePeer.frame(.announce, tag: probe).bytes
                bytes[33] ^= 1
                try peer.write(bytes)
            }.contains("checksum of a frame header"))
    }

    @Test("frames of another epoch, job or rank")
    func strange() throws {
        for header in [FakePeer.frame(.heartbeat, epoch: 2), FakePeer.frame(.heartbeat, source: 0), FakePeer.frame(.heartbeat, source: 9)] {
            #expect(try provoke { try $0.send(header) }.contains("another job, epoch or rank"))
        }
    }

    @Test("consents, acknowledgements, complaints and refusals for messages that were not sent")
    func invented() throws {
        for kind in [FrameHeader.Kind.consent, .acknowledge, .complain, .mismatch] {
            for message in [0, 1, 0xFFFF_FFFF, 0x1000, 0x7FF] as [UInt32] {
                let reason = try provoke { peer in
                    try peer.send(FakePeer.frame(kind, tag: probe) { ($0.message, $0.receive, $0.payloadByteCount) = (message, 1, 100) })
                }
                #expect(reason.contains("not sent") || reason.contains("not announced"), "\(kind) \(message): \(reason)")
            }
        }
    }

    @Test("an acknowledgement before the bytes were sent, a consent with another size or twice")
    func early() throws {
        func answer(_ kind: FrameHeader.Kind, to frame: FrameHeader, size: Int? = nil, offset: Int = 0) -> FrameHeader {
            FakePeer.frame(kind, tag: frame.tag) {
                ($0.message, $0.receive, $0.payloadByteCount, $0.offset) = (frame.message, 77, size ?? frame.payloadByteCount, offset)
            }
        }
        func announced(_ peer: FakePeer) throws -> FrameHeader {
            let frame = try peer.nextFrame()
            return frame.kind == .announce ? frame : try peer.nextFrame()
        }
        #expect(try provoke { try $0.send(answer(.consent, to: try announced($0), size: 1)) }.contains("consented"))
        #expect(
            try provoke { peer in
                let frame = try announced(peer)
                try peer.send(answer(.consent, to: frame))
                try peer.send(answer(.consent, to: frame))
            }.contains("consented"))
        for offset in [1, 300_000, 262_144 * 5] {
            #expect(try provoke { try $0.send(answer(.complain, to: try announced($0), offset: offset)) }.contains("complained"))
        }
    }

    @Test("slices without a receive, out of turn, too long, or twice")
    func slices() throws {
        for receive in [0, 1, 0x1000, 0x2001, 0xFFFF_FFFF] as [UInt32] {
            let header = FakePeer.frame(.slice, tag: probe) { ($0.receive, $0.payloadByteCount) = (receive, 10) }
            #expect(try provoke { try $0.send(header, payload: [UInt8](repeating: 0, count: 10)) }.contains("no receive"))
        }
        for (offset, count) in [(1, 10), (0, 10), (262_144, 37_856), (0, 300_000), (299_999, 1)] {
            let reason = try provoke { peer in
                try peer.send(FakePeer.frame(.announce, tag: probe) { ($0.message, $0.payloadByteCount) = (4096, 300_000) })
                var frame = try peer.nextFrame()
                while frame.kind != .consent { frame = try peer.nextFrame() }
                let receive = frame.receive
                try peer.send(
                    FakePeer.frame(.slice, tag: probe) {
                        ($0.message, $0.receive, $0.offset, $0.payloadByteCount) = (4096, receive, offset, count)
                    }, payload: [UInt8](repeating: 0, count: count))
            }
            #expect(reason.contains("out of turn"), "\(offset) + \(count): \(reason)")
        }
    }

    @Test("more than may come ahead, or longer than may come ahead")
    func floods() throws {
        let zero = MessageTag(.probe, layer: 9, step: 9, piece: 9)
        let ahead = FakePeer.frame(.eager, tag: zero) {
            ($0.message, $0.payloadByteCount, $0.payloadChecksum) = (
                4096, 1, unsafe [UInt8(1)].withUnsafeBytes { unsafe Checksum.crc32c($0) }
            )
        }
        #expect(
            try provoke { peer in for _ in 0...TransportLimits.eagerSlots { try peer.send(ahead, payload: [1]) } }.contains(
                "more messages ahead"))
        let long = FakePeer.frame(.eager, tag: zero) { ($0.message, $0.payloadByteCount) = (4096, TransportLimits.eagerBytes + 1) }
        #expect(try provoke { try $0.send(long) }.contains("bytes ahead"))
        let announce = FakePeer.frame(.announce, tag: zero) { ($0.message, $0.payloadByteCount) = (4096, 1 << 40) }
        #expect(
            try provoke { peer in for _ in 0...TransportLimits.sendsPerPeer { try peer.send(announce) } }.contains("announced more than"))
    }

    @Test("a connection that ends in the middle of a frame, and one that is reset")
    func ends() throws {
        #expect(
            try provoke { peer in
                try peer.write(Array(FakePeer.frame(.announce, tag: probe).bytes[..<30]))
                peer.close()
            }.contains("connection"))
        #expect(
            try provoke { peer in
                try peer.send(FakePeer.frame(.eager, tag: other) { ($0.message, $0.payloadByteCount) = (4096, 100) }, payload: [1, 2, 3])
                peer.close()
            }.contains("connection"))
    }

    @Test("a hundred thousand well-formed frames at random: a reason each time, and no crash")
    func fuzz() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        var frames = 0
        while frames < 100_000 {
            let reason = try provoke(mayCheat: true) { peer in
                // Many small writes would be slow, one large one would not be read after the first bad frame.
                for _ in 0..<50 {
                    var bytes: [UInt8] = []
                    for _ in 0..<20 {
                        let header = randomFrame(&generator)
                        bytes += header.bytes
                        if header.kind.hasPayload { bytes += [UInt8](repeating: 5, count: min(header.payloadByteCount, 1000)) }
                        frames += 1
                    }
                    if try !peer.write(bytes) { break }
                }
                peer.close()
            }
            guard reason != "no reason" else { throw Failure("seed \(seed): lost without a reason") }
        }
    }

    private func randomFrame(_ generator: inout SeededGenerator) -> FrameHeader {
        // Numbers near the ones in use, so that some frames pass the first checks.
        let numbers: [UInt32] = [0, 1, 4096, 8192, 8193, 12_289, 12_288, 16_384, 16_387, 0xFFFF_FFFF]
        let sizes = [0, 1, 100, 37_856, 262_144, 300_000, 1 << 40]
        let kind = FrameHeader.Kind.allCases.randomElement(using: &generator) ?? .heartbeat
        return FakePeer.frame(kind, tag: kind.concernsMessage ? (Bool.random(using: &generator) ? probe : other) : nil) {
            $0.message = numbers.randomElement(using: &generator) ?? 0
            $0.receive = numbers.randomElement(using: &generator) ?? 0
            $0.payloadByteCount = sizes.randomElement(using: &generator) ?? 0
            $0.offset = $0.payloadByteCount == 1 << 40 ? 0 : sizes.dropLast().randomElement(using: &generator) ?? 0
        }
    }
}
