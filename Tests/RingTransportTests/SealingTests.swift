// What encryption promises: nobody reads along, and nothing that was changed, left out, doubled or moved is taken for data.
import CRingSystem
import Glibc
import RingCore
import RingTransport
import Testing

@Suite("Sealing")
struct SealingTests {
    static let seed: UInt64 = 20_261_128

    /// A stream that seals into a socket, the raw other end of it, and a stream that opens from another socket.
    final class Wiretap {
        let sealer: SealedStream
        let opener: SealedStream
        private let (left, tap): (Int32, Int32)
        private let (source, right): (Int32, Int32)

        init() throws {
            let greeting = Greeting(
                source: Rank(1), destination: Rank(0), world: WorldSize(2), job: JobNumber(1), epoch: Epoch(1), isSealed: true,
                nonce: Array(0..<32))
            let challenge = [UInt8](32..<64)
            let secret = Array("secret".utf8)
            sealer = try SealedStream(SealKeys(secret: secret, greeting: greeting, challenge: challenge, isDialer: true))
            opener = try SealedStream(SealKeys(secret: secret, greeting: greeting, challenge: challenge, isDialer: false))
            (left, tap) = try Self.pair()
            (source, right) = try Self.pair()
        }

        deinit { for descriptor in [left, tap, source, right] { _ = ring_socket_close(descriptor) } }

        private static func pair() throws -> (Int32, Int32) {
            var ends: [Int32] = [-1, -1]
            let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
            guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw Failure("no socket pair") }
            return (ends[0], ends[1])
        }

        /// Seals `plain` and returns what went over the wire.
        func seal(_ plain: [UInt8], runs: Int = 1) throws -> [UInt8] {
            var (sent, wire): (Int, [UInt8]) = (0, [])
            var copy = plain
            while sent < plain.count || sealer.hasOutput {
                let taken = unsafe copy.withUnsafeMutableBytes { raw in
                    let left = raw.count - sent
                    let size = max(1, left / runs)
                    let pieces = unsafe stride(from: 0, to: left, by: size).map { start in
                        unsafe ring_bytes(base: raw.baseAddress.map { unsafe $0 + sent + start }, count: min(size, left - start))
                    }
                    return unsafe sealer.write(to: self.left, pieces, Int32(pieces.count))
                }
                guard taken >= 0 || taken == -Int64(EAGAIN) else { throw Failure("sealing fails: \(taken)") }
                sent += max(0, Int(taken))
                wire += read(tap)
            }
            return wire + read(tap)
        }

        /// Puts bytes on the other wire and opens what can be opened; nil if the stream says that they were changed.
        func open(_ wire: [UInt8], atOnce limit: Int = 100_000) -> [UInt8]? {
            var (put, plain): (Int, [UInt8]) = (0, [])
            var buffer = [UInt8](repeating: 0, count: limit)
            while true {
                var copy = Array(wire[put...].prefix(limit))
                if !copy.isEmpty {
                    put += unsafe copy.withUnsafeMutableBytes { raw in
                        var run = unsafe ring_bytes(base: raw.baseAddress, count: raw.count)
                        return unsafe max(0, Int(ring_socket_write(source, &run, 1)))
                    }
                }
                let count = unsafe buffer.withUnsafeMutableBytes { raw in
                    var run = unsafe ring_bytes(base: raw.baseAddress, count: raw.count)
                    return unsafe opener.read(from: right, &run, 1, mayFetch: true)
                }
                if count == -Int64(EAGAIN) {
                    if put == wire.count { return plain }
                    continue
                }
                if count <= 0 { return nil }
                plain += buffer[..<Int(count)]
            }
        }

        private func read(_ descriptor: Int32) -> [UInt8] {
            var (all, buffer): ([UInt8], [UInt8]) = ([], Array(repeating: 0, count: 1 << 18))
            while true {
                let count = unsafe buffer.withUnsafeMutableBytes { raw in
                    var run = unsafe ring_bytes(base: raw.baseAddress, count: raw.count)
                    return unsafe ring_socket_read(descriptor, &run, 1)
                }
                if count <= 0 { return all }
                all += buffer[..<Int(count)]
            }
        }
    }

    private static func plain(_ count: Int, _ generator: inout SeededGenerator) -> [UInt8] {
        (0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) }
    }

    @Test("what is sealed opens to the same bytes, in whatever pieces it is offered and comes")
    func roundTrip() throws {
        var generator = SeededGenerator(seed: Self.seed)
        let tap = try Wiretap()
        for (count, runs, limit) in [
            (1, 1, 1), (5, 3, 2), (70_000, 7, 33_333), (65_536, 1, 100_000), (65_537, 2, 17), (300_001, 4, 100_000),
        ] {
            let plain = Self.plain(count, &generator)
            let wire = try tap.seal(plain, runs: runs)
            #expect(wire.count >= count + SealedStream.overheadBytes)
            #expect(tap.open(wire, atOnce: limit) == plain, "seed \(Self.seed), \(count) bytes")
        }
    }

    @Test("nobody reads along: no eight bytes of the text are on the wire, and the same text looks different each time")
    func secrecy() throws {
        let tap = try Wiretap()
        let text = Array(String(repeating: "the answer is <v084> ", count: 1000).utf8)
        let (first, second) = (try tap.seal(text), try tap.seal(text))
        #expect(first != second)
        let needle = Array("answer i".utf8)
        let isThere = { (wire: [UInt8]) in (0...wire.count - 8).contains { Array(wire[$0..<$0 + 8]) == needle } }
        #expect(isThere(text) && !isThere(first) && !isThere(second))
    }

    @Test("a bit that flips anywhere in a record is found")
    func tampering() throws {
        var generator = SeededGenerator(seed: Self.seed)
        for round in 0..<400 {
            let tap = try Wiretap()
            let plain = Self.plain(200, &generator)
            var wire = try tap.seal(plain)
            // The first four bytes are its length: a longer one waits for bytes that do not come.
            let place = round < wire.count ? round : Int.random(in: 0..<wire.count, using: &generator)
            wire[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            let opened = tap.open(wire)
            #expect(opened == nil || opened == [], "seed \(Self.seed), round \(round): byte \(place) was changed and nobody saw it")
        }
    }

    @Test("records that are left out, doubled or exchanged do not open")
    func order() throws {
        let texts = [[UInt8](repeating: 1, count: 100), [UInt8](repeating: 2, count: 100), [UInt8](repeating: 3, count: 100)]
        for order in [[1], [0, 2], [0, 0], [1, 0], [0, 1, 1]] {
            let tap = try Wiretap()
            let records = try texts.map { try tap.seal($0) }
            #expect(tap.open(order.flatMap { records[$0] }) == nil, "\(order)")
        }
        let tap = try Wiretap()
        let records = try texts.map { try tap.seal($0) }
        #expect(tap.open(records.flatMap { $0 }) == texts.flatMap { $0 })
    }

    @Test("a record of one direction or of another connection does not open")
    func otherKeys() throws {
        let (one, other) = (try Wiretap(), try Wiretap())
        let greeting = Greeting(
            source: Rank(1), destination: Rank(0), world: WorldSize(2), job: JobNumber(1), epoch: Epoch(1), isSealed: true,
            nonce: Array(0..<32))
        func keys(_ nonce: UInt8, _ secret: String, dialer: Bool) -> SealKeys {
            SealKeys(secret: Array(secret.utf8), greeting: greeting, challenge: Array(repeating: nonce, count: 32), isDialer: dialer)
        }
        let mine = keys(1, "secret", dialer: true)
        #expect(mine.sending == keys(1, "secret", dialer: false).receiving && mine.receiving == keys(1, "secret", dialer: false).sending)
        for strange in [keys(2, "secret", dialer: true), keys(1, "other", dialer: true)] {
            #expect(strange.sending != mine.sending && strange.receiving != mine.receiving)
        }
        #expect(mine.sending != mine.receiving && mine.sending.nonce != mine.receiving.nonce)
        // The dialer's record, sent back to the dialer.
        let wire = try one.seal([1, 2, 3])
        #expect(other.open(wire) == [1, 2, 3])
        #expect(one.open(try one.seal([4]) + wire) == nil)
    }

    @Test("hostile lengths: zero and beyond a record end the stream at once")
    func lengths() throws {
        for length in [UInt32(0), UInt32(SealedStream.recordBytes) + 1, .max] {
            let tap = try Wiretap()
            let header = (0..<4).map { UInt8(truncatingIfNeeded: length >> UInt32(8 * $0)) }
            #expect(tap.open(header + [UInt8](repeating: 0, count: 100)) == nil, "\(length)")
        }
    }

    @Test("a rank that encrypts and one that does not turn each other down, and say why", arguments: [false, true])
    func mismatch(dialerSeals: Bool) throws {
        let listeners = try (0..<2).map { _ in try TCPListener(report: { _ in }) }
        try together(
            (0..<2).map { rank in
                {
                    var options = TCPOptions()
                    options.isSealed = dialerSeals == (rank == 1)
                    do {
                        _ = try connectTransport(
                            listeners[rank], rank: rank, peers: listeners.map(\.address), deadline: .seconds(2), options: options
                        ).rank
                        throw Failure("rank \(rank) connected")
                    } catch let error as TransportError {
                        // The dialer is told; the listener waits for one that fits.
                        if rank == 1 && !"\(error)".contains("encrypts the data plane") { throw Failure("\(error)") }
                    }
                }
            })
    }

    @Test("bytes that are changed under way cost the link, with a reason")
    func changedOnTheWay() throws {
        var options = TCPOptions()
        options.isSealed = true
        try withVictim(options: options) { transport, peer in
            try peer.write([UInt8](repeating: 0x55, count: 64))
            let start = MonotonicClock.now()
            while transport.lostPeers.isEmpty {
                if MonotonicClock.now().seconds(since: start) > 20 { throw Failure("the victim takes anything") }
                usleep(2000)
            }
            #expect(transport.lossReason(of: Rank(1))?.contains("does not open with the ring's keys") == true)
        }
    }
}
