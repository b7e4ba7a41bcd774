// Who is let into a mesh: the right secret, version, job, epoch and place, and nobody else.
import Glibc
import RingCore
import RingTransport
import Testing

@Suite("Admission", .serialized, .timeLimit(.minutes(5)))
struct AdmissionTests {
    /// Rank 0 waits for rank 1 while an unfit rank 1 calls, then the right one; returns what the unfit one was told.
    private func intrude(secret: [UInt8] = FakePeer.secret, epoch: UInt64 = 5, job: UInt64 = 7, world: Int = 2) throws -> (
        String, TCPListener.Refusals
    ) {
        let (lower, upper) = (try TCPListener(report: { _ in }), try TCPListener(report: { _ in }))
        let peers = [lower.address, upper.address]
        let told = Told()
        try together([
            {
                var transport = try connectTransport(lower, peers: peers, epoch: 5, job: 7)
                transport.close()
            },
            {
                let all = peers + Array(repeating: peers[1], count: world - 2)
                do {
                    _ = try connectTransport(
                        upper, rank: 1, peers: all, world: world, secret: secret, epoch: epoch, job: job, deadline: .milliseconds(700)
                    ).rank
                    throw Failure("the unfit rank was let in")
                } catch let error as TransportError { told.set("\(error)") }
                var transport = try connectTransport(upper, rank: 1, peers: peers, epoch: 5, job: 7)
                transport.close()
            },
        ])
        return (told.text, lower.refusals)
    }

    @Test("another secret is refused at once, and the mesh waits for the right one")
    func secret() throws {
        let (told, refusals) = try intrude(secret: Array("another secret".utf8))
        #expect(told.contains("refused") && told.contains("secret") && told.contains("rank 0"), "\(told)")
        #expect(refusals.unfit == 1)
    }

    @Test("an epoch or job that is over is refused at once")
    func stale() throws {
        for (epoch, job) in [(4, 7), (5, 6)] as [(UInt64, UInt64)] {
            let (told, refusals) = try intrude(epoch: epoch, job: job)
            #expect(told.contains("this one is over"), "\(told)")
            #expect(refusals.unfit == 1)
        }
    }

    @Test("an epoch or job that has not begun is told to call again")
    func early() throws {
        for (epoch, job) in [(6, 7), (5, 8)] as [(UInt64, UInt64)] {
            let (told, refusals) = try intrude(epoch: epoch, job: job)
            #expect(told.contains("cannot be reached") && told.contains("still at an older"), "\(told)")
            #expect(refusals.unfit >= 1)
        }
    }

    @Test("a ring of another size is refused")
    func world() throws {
        let (told, refusals) = try intrude(world: 3)
        #expect(told.contains("the size of its ring differs"), "\(told)")
        #expect(refusals.unfit == 1)
    }

    @Test("another version of the protocol is refused with a word, a stranger without one")
    func version() throws {
        let listener = try TCPListener(report: { _ in })
        var greeting = Greeting(
            source: Rank(1), destination: Rank(0), world: WorldSize(2), job: JobNumber(1), epoch: Epoch(1),
            nonce: [UInt8](repeating: 1, count: 32)
        ).bytes
        greeting[4] = 99
        let peer = try FakePeer(to: listener.port)
        try peer.write(greeting)
        let stranger = try FakePeer(to: listener.port)
        try stranger.write([UInt8](repeating: 65, count: 64))
        #expect(throws: TransportError.self) { _ = try connectTransport(listener, deadline: .milliseconds(500)).rank }
        let answer = Answer(decoding: try peer.read(Answer.byteCount))
        #expect(answer?.kind == .refusal && answer?.refusal == .version)
        #expect(try stranger.read(1).isEmpty)
    }

    @Test("a port that speaks something else is named by the caller")
    func notOurs() throws {
        let upper = try TCPListener()
        let ports = PortBox()
        try together([
            {
                let server = try WebServer()
                ports.set(server.port)
                try server.answer()
            },
            {
                let peers = [PeerAddress("127.0.0.1", try ports.port()), upper.address]
                do {
                    _ = try connectTransport(upper, rank: 1, peers: peers, deadline: .milliseconds(500)).rank
                    throw Failure("a web server was taken for a rank")
                } catch TransportError.unreachable(Rank(0), let reason) {
                    if !reason.contains("does not speak") { throw Failure(reason) }
                }
            },
        ])
    }

    @Test("random bytes never get through a handshake, and never crash it")
    func fuzz() {
        let seed: UInt64 = 20_261_128
        var generator = SeededGenerator(seed: seed)
        let identity = HandshakeIdentity(
            rank: Rank(0), world: WorldSize(2), epoch: Epoch(1), job: JobNumber(1), secret: FakePeer.secret)
        let caller = HandshakeIdentity(
            rank: Rank(1), world: WorldSize(2), epoch: Epoch(1), job: JobNumber(1), secret: Array("guess".utf8))
        for round in 0..<20_000 {
            let nonce = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
            var acceptor = AcceptorHandshake(identity, nonce: nonce)
            var greeting = DialerHandshake(caller, to: Rank(0), nonce: nonce).greeting.bytes
            if round % 2 == 0 { greeting[Int.random(in: 0..<64, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator) }
            guard case .answer = acceptor.receive(greeting) else { continue }
            var proof = Answer(.proof, nonce).bytes
            if round % 3 == 0 { proof[Int.random(in: 0..<48, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator) }
            switch acceptor.receive(proof) {
            case .refuse(.secret, _), .drop: break
            case let other: Issue.record("seed \(seed), round \(round): \(other)")
            }
            var dialer = DialerHandshake(caller, to: Rank(0), nonce: nonce)
            var answers = [Answer(.challenge, nonce).bytes, Answer(.welcome, nonce).bytes]
            answers[round % 2][Int.random(in: 0..<48, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            for answer in answers {
                switch dialer.receive(answer) {
                case .answer, .drop, .turnedDown: break
                case let other: Issue.record("seed \(seed), round \(round): \(other)")
                }
            }
        }
    }
}
