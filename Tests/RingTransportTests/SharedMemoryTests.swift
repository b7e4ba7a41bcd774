// Shared memory between two ranks: how they come to it, who is kept out, and what a peer that breaks its rules achieves.
import CRingSystem
import Glibc
import RingCore
import RingTransport
import Testing

private let probe = MessageTag(.probe, layer: 0, step: 0, piece: 0)

@Suite("Shared memory", .serialized, .timeLimit(.minutes(5)))
struct SharedMemoryTests {
    private static let shared: TCPOptions = {
        var options = TCPOptions()
        options.lane = .sharedMemory
        return options
    }()

    // MARK: Who shares

    /// What each rank's pairs chose, by rank, when rank r has `options[r]`; each pair has exchanged a message both ways.
    private func chosen(_ options: [TCPOptions]) throws -> [[LaneChoice?]] {
        let listeners = try options.map { _ in try TCPListener() }
        let found = Found(options.count)
        try together(
            options.indices.map { rank in
                {
                    var transport = try connectTransport(
                        listeners[rank], rank: rank, peers: listeners.map(\.address), world: options.count, options: options[rank])
                    found.set(rank, transport.lanes)
                    try exchange(&transport, 300_000)
                    transport.close()
                }
            })
        return found.all
    }

    private func options(_ lane: LaneKind?, host: String? = nil, sealed: Bool = false) -> TCPOptions {
        var options = TCPOptions()
        (options.lane, options.isSealed) = (lane, sealed)
        options.laneSources = [SharedMemorySource(host: host)]
        return options
    }

    @Test("on one host the best is shared memory, encrypted ring or not, and who insists on TCP gets it", arguments: [false, true])
    func oneHost(isSealed: Bool) throws {
        let all = try chosen([options(nil, sealed: isSealed), options(nil, sealed: isSealed), options(.tcp, sealed: isSealed)])
        let (shm, tcp) = (LaneChoice(.sharedMemory), LaneChoice(.tcp))
        #expect(all == [[nil, shm, tcp], [shm, nil, tcp], [tcp, tcp, nil]])
    }

    @Test("a ring over two hosts mixes: pairs on one share memory, the others use TCP and know why")
    func mixed() throws {
        let all = try chosen([options(nil, host: "a"), options(nil, host: "b"), options(nil, host: "a"), options(nil, host: "b")])
        for (rank, choices) in all.enumerated() {
            for (peer, choice) in choices.enumerated() where peer != rank {
                #expect(choice?.kind == (rank % 2 == peer % 2 ? .sharedMemory : .tcp))
                #expect((choice?.remark == nil) == (rank % 2 == peer % 2))
                if let remark = choice?.remark { #expect(remark.contains("not on one host"), "\(remark)") }
            }
        }
    }

    @Test("where shared memory is forced between two hosts, both ranks are told who and why")
    func forced() throws {
        let listeners = try (0..<2).map { _ in try TCPListener(report: { _ in }) }
        try together(
            (0..<2).map { rank in
                {
                    do {
                        _ = try connectTransport(
                            listeners[rank], rank: rank, peers: listeners.map(\.address),
                            options: options(.sharedMemory, host: "host \(rank)")
                        ).rank
                        throw Failure("rank \(rank) connected")
                    } catch TransportError.refused(let reason) {
                        guard reason.contains("rank \(1 - rank) at"), reason.contains("not on one host") else { throw Failure(reason) }
                    }
                }
            })
    }

    // MARK: The way to it

    private static let session = HandshakeSession(
        secret: FakePeer.secret,
        greeting: Greeting(
            source: Rank(1), destination: Rank(0), world: WorldSize(2), job: JobNumber(1), epoch: Epoch(1), nonce: Array(0..<32)),
        challenge: Array(32..<64))

    /// A socket that calls the name.
    private func call(_ name: [UInt8]) throws -> Int32 {
        let socket = unsafe ring_local_dial(name.map { CChar(bitPattern: $0) } + [0])
        if socket < 0 { throw Failure("cannot call: \(socket)") }
        return socket
    }

    @Test("strangers at the Unix socket are passed over: only who proves itself hands memory over")
    func strangers() throws {
        let source = SharedMemorySource()
        let (caller, listener) = (try source.maker(), try source.maker())
        let name = try listener.answer(try caller.offer(), session: Self.session)
        let memory = ring_shared_create(SharedSegment.byteCount)
        let (silent, wrong, other) = (try call(name), try call(name), try call(name))
        defer { for descriptor in [memory, silent, wrong, other] { _ = ring_socket_close(descriptor) } }
        let guess = [UInt8](repeating: 1, count: 32)
        #expect(unsafe ring_local_send(wrong, guess, guess.count, memory) == 0)
        let short = [UInt8](repeating: 1, count: 3)
        #expect(unsafe ring_local_send(other, short, short.count, memory) == 0)
        try listener.settle(try caller.confirm(name, session: Self.session), session: Self.session)
        let (one, two) = (caller.lane() as? SharedMemoryLane, listener.lane() as? SharedMemoryLane)
        // The two ends look at the same words.
        unsafe one?.segment.outgoing.tail.pointee = 77
        #expect(unsafe two?.segment.incoming.tail.pointee == 77)
    }

    @Test("memory that is too small, or that somebody could cut, is turned away")
    func wrongMemory() throws {
        let (whole, small) = (ring_shared_create(SharedSegment.byteCount), ring_shared_create(4096))
        var path = Array("/tmp/ringmaster-test-XXXXXX".utf8CString)
        let file = unsafe mkstemp(&path)
        defer { for descriptor in [whole, small, file] { _ = close(descriptor) } }
        #expect(unsafe unlink(path) == 0 && ftruncate(file, SharedSegment.byteCount) == 0)
        #expect(ring_shared_check(whole, SharedSegment.byteCount) == 0)
        #expect(ring_shared_check(small, SharedSegment.byteCount) == EPROTO)
        #expect(ring_shared_check(file, SharedSegment.byteCount) != 0)
        // Nobody can cut or stretch what was checked.
        #expect(ftruncate(whole, 4096) != 0 && ftruncate(whole, SharedSegment.byteCount + 4096) != 0)
    }

    @Test("a name that leads nowhere is a reason, not a crash", arguments: [[], [0], [UInt8](repeating: 65, count: 256)])
    func nowhere(name: [UInt8]) throws {
        let maker = try SharedMemorySource().maker()
        #expect(throws: LaneFailure.self) { try maker.confirm(name, session: Self.session) }
        #expect(throws: LaneFailure.self) { try SharedMemorySource().maker().answer([1, 2, 3], session: Self.session) }
    }

    // MARK: A peer that breaks the rules

    /// A victim that has posted a receive and a send of 300,000 bytes; why the peer was lost after it misbehaved.
    private func provoke(_ misbehave: (FakePeer, SharedMemoryLane) throws -> Void) throws -> String {
        try withVictim(options: Self.shared, wishes: LaneWishes(only: .sharedMemory, of: [SharedMemorySource()])) { victim, peer in
            let lane = try #require(unsafe peer.lane as? SharedMemoryLane)
            let memory = try AnonymousMemory(byteCount: 600_000)
            let region = try unsafe victim.register(memory.bytes)
            _ = try victim.post(receive: BlockRef(region: region, offset: 0, byteCount: 300_000), from: Rank(1), tag: probe)
            _ = try victim.post(send: BlockRef(region: region, offset: 300_000, byteCount: 300_000), to: Rank(1), tag: probe)
            try misbehave(peer, lane)
            var completions: [Completion] = []
            let start = MonotonicClock.now()
            while completions.count < 2 {
                if MonotonicClock.now().seconds(since: start) > 20 { throw Failure("the peer is believed: \(completions)") }
                if victim.wait(atMost: .milliseconds(100)) { _ = victim.poll(into: &completions) }
            }
            #expect(completions.allSatisfy { $0.outcome == .lost })
            return victim.lossReason(of: Rank(1)) ?? "no reason"
        }
    }

    /// Writes a frame as an honest peer would, at `place`, and says so.
    private func put(_ header: FrameHeader, payload: Int = 0, at place: inout UInt64, _ lane: SharedMemoryLane, tail: UInt64? = nil) {
        let ring = lane.segment.outgoing
        let bytes = header.bytes
        unsafe bytes.withUnsafeBytes { raw in
            if let start = raw.baseAddress { unsafe (ring.bytes + Int(place)).copyMemory(from: start, byteCount: 64) }
        }
        place += UInt64(64 + (payload + 63) & ~63)
        unsafe ring_word_store(ring.tail, tail ?? place)
    }

    @Test("a tail that its ring cannot hold, that is no frame's end, or that goes back")
    func tails() throws {
        for tail in [UInt64(SharedSegment.ringBytes) + 64, 1, 63, .max, 1 << 63] {
            let reason = try provoke { _, lane in unsafe ring_word_store(lane.segment.outgoing.tail, tail) }
            #expect(reason.contains("what its ring cannot hold"), "\(tail): \(reason)")
        }
        let reason = try provoke { _, lane in
            var place: UInt64 = 0
            put(FakePeer.frame(.heartbeat), at: &place, lane)
            while unsafe ring_word_load(lane.segment.outgoing.head) == 0 { usleep(1000) }
            unsafe ring_word_store(lane.segment.outgoing.tail, 0)
        }
        #expect(reason.contains("what its ring cannot hold"), "\(reason)")
    }

    @Test("a head beyond what was written")
    func heads() throws {
        for head in [UInt64(1 << 20), .max, 1 << 40] {
            let reason = try provoke { _, lane in unsafe ring_word_store(lane.segment.incoming.head, head) }
            #expect(reason.contains("read more than was written"), "\(head): \(reason)")
        }
    }

    @Test("bytes that are no frame, a frame of another rank, and one without a receive")
    func frames() throws {
        let garbage = try provoke { _, lane in
            unsafe memset(lane.segment.outgoing.bytes, 7, 64)
            unsafe ring_word_store(lane.segment.outgoing.tail, 64)
        }
        #expect(garbage.contains("not a ringmaster frame"), "\(garbage)")
        let strange = try provoke { _, lane in
            var place: UInt64 = 0
            put(FakePeer.frame(.heartbeat, source: 0), at: &place, lane)
        }
        #expect(strange.contains("another job, epoch or rank"), "\(strange)")
        let invented = try provoke { _, lane in
            var place: UInt64 = 0
            put(FakePeer.frame(.slice, tag: probe) { ($0.receive, $0.payloadByteCount) = (0x2001, 4096) }, payload: 4096, at: &place, lane)
        }
        #expect(invented.contains("no receive"), "\(invented)")
    }

    @Test("a frame whose payload never comes, before the peer dies")
    func cutOff() throws {
        let reason = try provoke { peer, lane in
            var place: UInt64 = 0
            let header = FakePeer.frame(.eager, tag: MessageTag(.probe, layer: 0, step: 0, piece: 9)) {
                ($0.message, $0.payloadByteCount) = (4096, 60_000)
            }
            put(header, payload: 60_000, at: &place, lane, tail: 1024)
            usleep(50_000)
            peer.close()
        }
        #expect(reason.contains("its connection was closed"), "\(reason)")
    }

    @Test("a byte on the connection beside the lane, and a bell that is let go of")
    func besides() throws {
        let word = try provoke { peer, _ in try peer.write([1]) }
        #expect(word.contains("beside its lane"), "\(word)")
        let bell = try provoke { _, lane in lane.close() }
        #expect(bell.contains("its connection was closed"), "\(bell)")
    }

    @Test("what the peer said before it died is heard, whichever of its sockets ends first", arguments: [true, false])
    func lastWords(bellFirst: Bool) throws {
        let reason = try provoke { peer, lane in
            var place: UInt64 = 0
            put(FakePeer.frame(.goodbye), at: &place, lane)
            if bellFirst { lane.close() } else { peer.close() }
        }
        #expect(reason == "it closed its transport")
    }

    @Test("a peer that rings without end and scribbles over the wake words is served all the same")
    func ringing() throws {
        try withVictim(options: Self.shared, wishes: LaneWishes(only: .sharedMemory, of: [SharedMemorySource()])) { victim, peer in
            let lane = try #require(unsafe peer.lane as? SharedMemoryLane)
            let memory = try AnonymousMemory(byteCount: 100)
            let region = try unsafe victim.register(memory.bytes)
            _ = try victim.post(receive: BlockRef(region: region, offset: 0, byteCount: 0), from: Rank(1), tag: probe)
            for round in 0..<20_000 {
                ring_local_ring(lane.bell)
                unsafe ring_word_store(lane.segment.peerWake, UInt64(round) &* 0x9E37_79B9_7F4A_7C15)
                unsafe ring_word_store(lane.segment.ownWake, UInt64(round))
            }
            var place: UInt64 = 0
            put(FakePeer.frame(.eager, tag: probe) { $0.message = 4096 }, at: &place, lane)
            ring_local_ring(lane.bell)
            let isDone = victim.wait(atMost: .seconds(5))
            #expect(isDone)
            var completions: [Completion] = []
            _ = victim.poll(into: &completions)
            #expect(completions.map(\.outcome) == [.received])
        }
    }
}

/// One message to and from every other rank.
private func exchange(_ transport: inout TCPTransport, _ byteCount: Int) throws {
    let peers = transport.world.ranks.filter { $0 != transport.rank }
    let memory = try AnonymousMemory(byteCount: 2 * byteCount * peers.count)
    let region = try unsafe transport.register(memory.bytes)
    var offset = 0
    for peer in peers {
        _ = try transport.post(send: BlockRef(region: region, offset: offset, byteCount: byteCount), to: peer, tag: probe)
        _ = try transport.post(receive: BlockRef(region: region, offset: offset + byteCount, byteCount: byteCount), from: peer, tag: probe)
        offset += 2 * byteCount
    }
    var completions: [Completion] = []
    while completions.count < 2 * peers.count {
        guard transport.wait(atMost: .seconds(20)) else { throw Failure("the exchange does not end") }
        _ = transport.poll(into: &completions)
    }
    if let bad = completions.first(where: { $0.outcome != .sent && $0.outcome != .received }) { throw Failure("\(bad)") }
}
