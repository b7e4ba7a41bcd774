// A peer that lends what it should not, refers to what it has not lent, or changes its mind: what each achieves, which is nothing.
import CRingSystem
import Glibc
import RingCore
import RingTransport
import Testing

private let probe = MessageTag(.probe, layer: 0, step: 0, piece: 0)
private let size = 300_000

/// A fake peer with one message for the victim, out of memory that it lends.
private struct Lender {
    let peer: FakePeer
    let lane: SharedMemoryLane
    let memory: AnonymousMemory
    private(set) var place: UInt64 = 0
    private var read: UInt64 = 0

    init(_ peer: FakePeer) throws {
        self.peer = peer
        lane = try #require(unsafe peer.lane as? SharedMemoryLane)
        memory = try AnonymousMemory(byteCount: size, isShareable: true)
        for index in 0..<size { unsafe memory.bytes[index] = UInt8(truncatingIfNeeded: index &* 7) }
    }

    func lend(_ notice: [UInt8], _ descriptor: Int32) throws {
        let error = unsafe ring_local_send(lane.bell, notice, notice.count, descriptor)
        if error != 0 { throw Failure("cannot lend: \(error)") }
    }

    func lend(key: UInt32, offset: Int = 0, count: Int = size) throws {
        let lent = ring_shareable_lend(memory.descriptor)
        defer { _ = close(lent) }
        try lend(LoanNotice(key: key, offset: offset, count: count).bytes, lent)
    }

    /// Writes a frame without payload, as an honest peer would.
    mutating func put(_ header: FrameHeader) {
        let ring = lane.segment.outgoing
        unsafe header.bytes.withUnsafeBytes { raw in
            if let start = raw.baseAddress { unsafe (ring.bytes + Int(place)).copyMemory(from: start, byteCount: 64) }
        }
        place += 64
        unsafe ring_word_store(ring.tail, place)
        ring_local_ring(lane.bell)
    }

    mutating func announce(key: UInt32, offset: Int = 0) {
        put(
            FakePeer.frame(.announce, tag: probe) {
                ($0.message, $0.payloadByteCount, $0.offset, $0.payloadChecksum) = (4096, size, offset, key)
            })
    }

    /// The `part`th slice as it is, or with another checksum.
    mutating func refer(_ consent: FrameHeader, part: Int = 0, damage: UInt32 = 0) {
        let start = part * TransportLimits.sliceBytes
        let count = min(TransportLimits.sliceBytes, size - start)
        let sum = unsafe Checksum.crc32c(UnsafeRawBufferPointer(rebasing: memory.bytes[start..<start + count]))
        put(
            FakePeer.frame(.reference, tag: probe) {
                ($0.message, $0.receive, $0.offset, $0.payloadByteCount) = (4096, consent.receive, start, count)
                $0.payloadChecksum = sum ^ damage
            })
    }

    /// The victim's next frame that is no heartbeat.
    mutating func next() throws -> FrameHeader {
        let ring = lane.segment.incoming
        let start = MonotonicClock.now()
        while true {
            if unsafe ring_word_load(ring.tail) > read {
                let header = try unsafe FrameHeader(
                    decoding: Span(_unsafeStart: (ring.bytes + Int(read)).assumingMemoryBound(to: UInt8.self), count: 64))
                read += 64
                unsafe ring_word_store(ring.head, read)
                if header.kind != .heartbeat { return header }
            } else if MonotonicClock.now().seconds(since: start) > 20 {
                throw Failure("the victim says nothing")
            } else {
                usleep(500)
            }
        }
    }
}

@Suite("Hostile loans", .serialized, .timeLimit(.minutes(5)))
struct HostileLoanTests {
    /// What became of the victim's receive, with the reason if the peer was lost; `bytes` are what it holds.
    private func receive(_ act: (inout Lender) throws -> Void) throws -> (outcome: Completion.Outcome, reason: String, bytes: [UInt8]) {
        var options = TCPOptions()
        options.lane = .sharedMemory
        return try withVictim(options: options, wishes: LaneWishes(only: .sharedMemory, of: [SharedMemorySource()])) { victim, peer in
            let memory = try AnonymousMemory(byteCount: size)
            let region = try unsafe victim.register(memory.bytes)
            _ = try victim.post(receive: BlockRef(region: region, offset: 0, byteCount: size), from: Rank(1), tag: probe)
            var lender = try Lender(peer)
            try act(&lender)
            var completions: [Completion] = []
            let start = MonotonicClock.now()
            while completions.isEmpty {
                if MonotonicClock.now().seconds(since: start) > 20 { throw Failure("nothing comes of it") }
                if victim.wait(atMost: .milliseconds(100)) { _ = victim.poll(into: &completions) }
            }
            return (completions[0].outcome, victim.lossReason(of: Rank(1)) ?? "", unsafe Array(memory.bytes))
        }
    }

    @Test("an honest lender is read; a wrong checksum is complained about and read again")
    func honest() throws {
        let found = try receive { lender in
            try lender.lend(key: 5)
            lender.announce(key: 5)
            let consent = try lender.next()
            #expect(consent.kind == .consent && consent.payloadChecksum == 5)
            lender.refer(consent, damage: 1)
            let complaint = try lender.next()
            #expect(complaint.kind == .complain && complaint.offset == 0 && complaint.payloadByteCount == TransportLimits.sliceBytes)
            lender.refer(consent, part: 1)
            lender.refer(consent)
            let end = try lender.next()
            #expect(end.kind == .acknowledge)
        }
        #expect(found.outcome == .received)
        #expect(found.bytes == (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7) })
    }

    @Test("places outside what was lent, and keys that were not, are not consented to; to refer to them ends the link")
    func outside() throws {
        let cases: [(key: UInt32, offset: Int, count: Int)] = [
            (6, 0, size), (5, 1, size), (5, size, size), (5, 1 << 39, size), (5, 0, size - 1), (0xFFFF_FFFF, 0, size),
        ]
        for (key, offset, count) in cases {
            let found = try receive { lender in
                try lender.lend(key: 5, count: count)
                lender.announce(key: key, offset: offset)
                let consent = try lender.next()
                #expect(consent.kind == .consent && consent.payloadChecksum == 0, "key \(key), place \(offset) of \(count)")
                lender.refer(consent)
            }
            #expect(found.outcome == .lost && found.reason.contains("not to be read from its memory"), "\(found.reason)")
            #expect(found.bytes.allSatisfy { $0 == 0 })
        }
    }

    @Test("who forgets memory under a message, or refers out of turn, is lost")
    func changesItsMind() throws {
        let forgotten = try receive { lender in
            try lender.lend(key: 5)
            lender.announce(key: 5)
            let consent = try lender.next()
            lender.refer(consent)
            lender.put(FakePeer.frame(.forget) { $0.payloadChecksum = 5 })
            lender.refer(consent, part: 1)
        }
        #expect(forgotten.outcome == .lost && forgotten.reason.contains("no longer lends"), "\(forgotten.reason)")
        for part in [1, 0] {
            let turn = try receive { lender in
                try lender.lend(key: 5)
                lender.announce(key: 5)
                let consent = try lender.next()
                if part == 0 { lender.refer(consent) }
                lender.refer(consent, part: part)
            }
            #expect(turn.outcome == .lost && turn.reason.contains("out of turn"), "\(turn.reason)")
        }
    }

    @Test("what could be cut, is too short, or is no memory is passed over: the message is asked for by the ring")
    func wrongMemory() throws {
        // A file in memory has no seals, a file on a disk is no memory, a socket is neither.
        let (loose, file, short) = (try temporary("/dev/shm"), try temporary("/tmp"), ring_shareable_create(4096))
        let null = unsafe ring_local_listen(Array("ringmaster-test-loans".utf8CString))
        defer { for descriptor in [loose, short, null, file] { _ = close(descriptor) } }
        for descriptor in [loose, short, null, file] {
            let found = try receive { lender in
                try lender.lend(LoanNotice(key: 5, offset: 0, count: size).bytes, descriptor)
                lender.announce(key: 5)
                let consent = try lender.next()
                #expect(consent.kind == .consent && consent.payloadChecksum == 0)
                lender.peer.close()
            }
            #expect(found.outcome == .lost)
        }
    }

    /// A file of `size` bytes without a name.
    private func temporary(_ folder: String) throws -> Int32 {
        var path = Array("\(folder)/ringmaster-test-XXXXXX".utf8CString)
        let file = unsafe mkstemp(&path)
        let isGone = unsafe unlink(path) == 0
        guard file >= 0, isGone, ftruncate(file, size) == 0 else { throw Failure("no file in \(folder)") }
        return file
    }

    @Test("a notice that is none ends the link, with a descriptor or without", arguments: [2, 24, 25, 32, 100])
    func noNotice(count: Int) throws {
        let found = try receive { lender in try lender.lend([UInt8](repeating: 7, count: count), lender.memory.descriptor) }
        #expect(found.outcome == .lost && found.reason.contains("no notice"), "\(found.reason)")
        let zero = LoanNotice(key: 1, offset: 0, count: 1).bytes
        #expect(LoanNotice(decoding: zero.span) != nil)
        for (place, value) in [(0, UInt8(0)), (4, 0), (15, 0x80), (14, 0x80), (16, 0), (23, 0xFF)] {
            var wrong = zero
            wrong[place] = value
            let isTaken = LoanNotice(decoding: wrong.span).map { $0.offset + $0.count >= 0 && $0.count > 0 && $0.key != 0 && place == 14 }
            #expect(isTaken ?? true, "byte \(place) is \(value)")
        }
    }

    @Test("more than may be lent is not mapped, a key counts once, and arithmetic does not overflow")
    func bounds() throws {
        let memory = try AnonymousMemory(byteCount: 4096, isShareable: true)
        let borrowed = BorrowedMemory()
        for key in 1...200 {
            for _ in 0..<2 { borrowed.take(LoanNotice(key: UInt32(key), offset: 96, count: 4000), ring_shareable_lend(memory.descriptor)) }
        }
        #expect(borrowed.count == 64)
        func isThere(_ place: UInt64, _ offset: Int, _ count: Int, key: UInt32 = 1) -> Bool {
            unsafe borrowed.start(of: RemotePlace(place: place, key: key), offset, count) != nil
        }
        #expect(isThere(0, 0, 4000) && isThere(4000, 0, 0) && isThere(1000, 1000, 2000))
        #expect(!isThere(0, 0, 4001) && !isThere(4001, 0, 0) && !isThere(1000, 1000, 2001) && !isThere(0, 0, 1, key: 65))
        for extreme in [UInt64.max, 1 << 63, UInt64(Int.max), 1 << 40] { #expect(!isThere(extreme, 0, 1)) }
        for extreme in [Int.max, Int.min, -1] { #expect(!isThere(0, extreme, 1) && !isThere(0, 0, extreme) && !isThere(1, 1, extreme)) }
        borrowed.giveBack(1)
        borrowed.giveBack(1)
        #expect(borrowed.count == 63 && !isThere(0, 0, 1))
    }
}
