// The mesh comes about in spite of strangers at the port, and only among ranks that belong together.
import CRingSystem
import Glibc
import RingCore
import RingTransport
import Testing

@Suite("Mesh", .serialized, .timeLimit(.minutes(5)))
struct MeshTests {
    /// Connects a ring of `count` while `disturbance` runs against every port; returns the refusals by rank.
    private func connectRing(
        _ count: Int, _ disturbance: (@Sendable (UInt16, Flag) throws -> Void)? = nil
    ) throws -> (refusals: [TCPListener.Refusals], seconds: Double) {
        let listeners = try (0..<count).map { _ in try TCPListener(report: { _ in }) }
        let (done, connected) = (Flag(), Counter())
        let start = MonotonicClock.now()
        var bodies: [@Sendable () throws -> Void] = (0..<count).map { rank in
            {
                defer { if connected.value == count { done.set() } }
                // The lowest ranks are the ones that are called: they must not be late for the strangers.
                if disturbance != nil && rank > 0 { usleep(300_000) }
                var transport = try connectTransport(listeners[rank], rank: rank, peers: listeners.map(\.address), world: count)
                connected.increment()
                if connected.value == count { done.set() }
                let give = MonotonicClock.now()
                while connected.value < count && MonotonicClock.now().seconds(since: give) < 20 { usleep(1000) }
                transport.close()
            }
        }
        if let disturbance {
            for listener in listeners { bodies.append { try disturbance(listener.port, done) } }
        }
        try together(bodies)
        return (listeners.map(\.refusals), MonotonicClock.now().seconds(since: start))
    }

    @Test("a mesh of any size comes about", arguments: [1, 2, 3, 5, 8])
    func mesh(count: Int) throws {
        let (refusals, _) = try connectRing(count)
        #expect(refusals.allSatisfy { $0 == TCPListener.Refusals() })
    }

    @Test("garbage at every port neither delays nor breaks the mesh")
    func garbage() throws {
        let (refusals, seconds) = try connectRing(3) { port, done in
            var generator = SeededGenerator(seed: 11)
            while !done.isSet {
                let peer = try FakePeer(to: port)
                let count = Int.random(in: 1...5000, using: &generator)
                try peer.write((0..<count).map { _ in UInt8.random(in: 0...255, using: &generator) })
                peer.close()
            }
        }
        #expect(refusals.reduce(0) { $0 + $1.strangers } > 0)
        #expect(seconds < 10)
    }

    @Test("connections that say nothing, or half a greeting, do not keep members out")
    func silent() throws {
        let (refusals, seconds) = try connectRing(3) { port, done in
            let greeting = Greeting(
                source: Rank(1), destination: Rank(0), world: WorldSize(3), job: JobNumber(1), epoch: Epoch(1),
                nonce: [UInt8](repeating: 0, count: 32))
            var held: [FakePeer] = []
            for place in 0..<200 {
                let peer = try FakePeer(to: port)
                if place % 2 == 1 { try peer.write(Array(greeting.bytes[..<40])) }
                held.append(peer)
            }
            while !done.isSet { usleep(1000) }
        }
        #expect(refusals.reduce(0) { $0 + $1.strangers } > 0)
        #expect(seconds < 10)
    }

    @Test("a port scan is counted and otherwise nothing")
    func portScan() throws {
        let (refusals, _) = try connectRing(2) { port, done in
            for _ in 0..<300 where !done.isSet { try FakePeer(to: port).close() }
        }
        #expect(refusals[0].strangers > 0)
    }

    @Test("a silent handshake is dropped at its limit")
    func handshakeLimit() throws {
        let listener = try TCPListener(greetingLimit: .milliseconds(100), report: { _ in })
        let stranger = try FakePeer(to: listener.port)
        try together([
            {
                do {
                    _ = try connectTransport(listener, deadline: .seconds(1))
                    throw Failure("a mesh without its peer")
                } catch TransportError.timedOut(Rank(1)?, let seconds) {
                    if seconds != 1 { throw Failure("\(seconds) s") }
                }
            }
        ])
        #expect(try stranger.isHungUp(within: 1))
        #expect(listener.refusals.strangers == 1)
    }

    @Test("a caller that stops in the middle of the handshake is dropped at its limit")
    func unprovedCaller() throws {
        let listener = try TCPListener(report: { _ in })
        var options = TCPOptions()
        options.handshakeLimit = .milliseconds(100)
        let greeting = Greeting(
            source: Rank(1), destination: Rank(0), world: WorldSize(2), job: JobNumber(1), epoch: Epoch(1),
            nonce: [UInt8](repeating: 0, count: 32))
        let caller = try FakePeer(to: listener.port)
        try caller.write(greeting.bytes)
        #expect(throws: TransportError.self) { _ = try connectTransport(listener, deadline: .milliseconds(700), options: options).rank }
        #expect(try caller.read(Answer.byteCount).count == Answer.byteCount)
        #expect(try caller.read(1).isEmpty)
        #expect(listener.refusals.strangers == 1 && listener.refusals.unfit == 0)
    }

    @Test("a member that calls before the mesh is wanted waits and is let in")
    func earlyCaller() throws {
        let listeners = try (0..<2).map { _ in try TCPListener(report: { _ in }) }
        try together(
            (0..<2).map { rank in
                {
                    if rank == 0 { usleep(700_000) }
                    var transport = try connectTransport(listeners[rank], rank: rank, peers: listeners.map(\.address))
                    transport.close()
                }
            })
        #expect(listeners[0].refusals == TCPListener.Refusals())
    }

    @Test("few lines are written about refusals, however many there are")
    func boundedLines() throws {
        let lines = Counter()
        let listener = try TCPListener(report: { _ in lines.increment() })
        for _ in 0..<50 {
            let peer = try FakePeer(to: listener.port)
            try peer.write(Array("GET / HTTP/1.1\r\n\r\n".utf8))
        }
        #expect(throws: TransportError.self) { _ = try connectTransport(listener, deadline: .seconds(1)).rank }
        #expect(listener.refusals.strangers == 50)
        #expect(lines.value == TransportLimits.refusalLines)
    }

    @Test("a missing rank is named, with what its address says")
    func missing() throws {
        let (mine, other) = (try TCPListener(report: { _ in }), try TCPListener(report: { _ in }))
        let address = other.address
        other.close()
        do {
            _ = try connectTransport(mine, rank: 1, peers: [address, mine.address], deadline: .milliseconds(500)).rank
            Issue.record("a mesh without its peer")
        } catch TransportError.unreachable(let rank, let reason) {
            #expect(rank == Rank(0))
            #expect(reason.contains("refused") && reason.contains("\(address.port)"), "\(reason)")
        }
    }

    @Test("a port that is taken is named")
    func portTaken() throws {
        let listener = try TCPListener()
        do {
            _ = try TCPListener(port: listener.port)
            Issue.record("two listeners at one port")
        } catch TransportError.system(let text) {
            #expect(text.contains("\(listener.port)") && text.contains("in use"), "\(text)")
        }
    }

    @Test("the same listener serves epoch after epoch")
    func epochs() throws {
        let listeners = try (0..<3).map { _ in try TCPListener(report: { _ in }) }
        for epoch in 1...5 as ClosedRange<UInt64> {
            try together(
                (0..<3).map { rank in
                    {
                        var transport = try connectTransport(
                            listeners[rank], rank: rank, peers: listeners.map(\.address), world: 3, epoch: epoch)
                        transport.close()
                    }
                })
        }
    }
}
