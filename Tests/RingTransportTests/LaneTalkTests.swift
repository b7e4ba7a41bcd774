// How two ranks agree on what their frames travel by, played without sockets, and what a mesh says when they cannot.
import RingCore
import RingTransport
import Testing

/// Where a make-believe kind fails.
enum Trouble: String, CaseIterable, Sendable {
    case source, offer, answer, confirm, settle
}

/// A kind that says its lines and fails where it is told; it never comes to a lane.
private struct FakeSource: LaneSource {
    let kind = LaneKind.sharedMemory
    let trouble: Trouble?

    func maker() throws(LaneFailure) -> any LaneMaker {
        if trouble == .source { throw LaneFailure("trouble at source") }
        return FakeMaker(trouble)
    }
}

private final class FakeMaker: LaneMaker {
    private let trouble: Trouble?

    init(_ trouble: Trouble?) { self.trouble = trouble }

    private func say(_ line: String, _ here: Trouble) throws(LaneFailure) -> [UInt8] {
        if trouble == here { throw LaneFailure("trouble at \(here.rawValue)") }
        return Array(line.utf8)
    }

    private func hear(_ bytes: [UInt8], _ line: String) throws(LaneFailure) {
        if bytes != Array(line.utf8) { throw LaneFailure("heard something else than \(line)") }
    }

    func offer() throws(LaneFailure) -> [UInt8] { try say("an offer", .offer) }
    func answer(_ offer: [UInt8], session: HandshakeSession) throws(LaneFailure) -> [UInt8] {
        try hear(offer, "an offer")
        return try say("an answer", .answer)
    }
    func confirm(_ answer: [UInt8], session: HandshakeSession) throws(LaneFailure) -> [UInt8] {
        try hear(answer, "an answer")
        return try say("a confirmation", .confirm)
    }
    func settle(_ confirmation: [UInt8], session: HandshakeSession) throws(LaneFailure) {
        try hear(confirmation, "a confirmation")
        _ = try say("", .settle)
    }
    func lane() -> any Lane { FakeLane() }
}

private final class FakeLane: Lane {
    let kind = LaneKind.sharedMemory
    let isApart = true
    let bell: Int32 = -1
    var hasOutput: Bool { false }
    var hasInput: Bool { false }
    var hasRoom: Bool { false }
    func write(_ link: Link) -> LaneProgress { .wrote(offered: 0, written: 0) }
    func read(_ link: Link, mayFetch: Bool) -> LaneIntake { .nothing }
    func arm(forRoom: Bool) -> Bool { true }
    func disarm() {}
    func hush() -> Bool { true }
    func close() {}
}

@Suite("Choosing a lane", .timeLimit(.minutes(2)))
struct LaneTalkTests {
    private static let session = HandshakeSession(
        secret: Array("a secret".utf8),
        greeting: Greeting(
            source: Rank(1), destination: Rank(0), world: WorldSize(2), job: JobNumber(1), epoch: Epoch(1), nonce: Array(0..<32)),
        challenge: Array(32..<64))

    private enum Outcome: Equatable {
        case chosen(LaneKind, String?)
        case failed(String)
    }

    /// Plays both sides against each other; the caller's outcome, then the listener's.
    private func play(_ caller: LaneWishes, _ listener: LaneWishes) throws -> (Outcome, Outcome) {
        let sides = [LaneTalk(Self.session, caller, isDialer: true), LaneTalk(Self.session, listener, isDialer: false)]
        var outcomes: [Outcome?] = [nil, nil]
        var (message, turn) = (sides[0].offer(), 1)
        for _ in 0..<6 {
            switch sides[turn].receive(message) {
            case .answer(let bytes): message = bytes
            case .chosen(let bytes, let lane, let choice):
                guard (lane == nil) == (choice.kind == .tcp) else { throw Failure("\(choice) with the wrong lane") }
                outcomes[turn] = .chosen(choice.kind, choice.remark)
                message = bytes
            case .failed(let bytes, let reason):
                outcomes[turn] = .failed(reason)
                message = bytes
            case .drop(let reason): throw Failure(reason)
            }
            turn = 1 - turn
            if let first = outcomes[0], let second = outcomes[1] { return (first, second) }
        }
        throw Failure("the two never agree: \(outcomes)")
    }

    private func wishes(_ trouble: Trouble? = nil, tcp: Bool = true) -> LaneWishes {
        LaneWishes(sources: [FakeSource(trouble: trouble)], takesTCP: tcp)
    }

    @Test("both can: the better kind is taken, and nobody has a remark", arguments: [true, false], [true, false])
    func both(callerTakesTCP: Bool, listenerTakesTCP: Bool) throws {
        let (one, other) = try play(wishes(tcp: callerTakesTCP), wishes(tcp: listenerTakesTCP))
        #expect(one == .chosen(.sharedMemory, nil) && other == one)
    }

    @Test("one that wants only the connection gets it from one that would take anything")
    func plain() throws {
        for (caller, listener) in [(LaneWishes(), wishes()), (wishes(), LaneWishes()), (LaneWishes(), LaneWishes())] {
            let (one, other) = try play(caller, listener)
            #expect(one == .chosen(.tcp, nil) && other == one)
        }
    }

    @Test("whatever fails, and on whichever side, both fall back to the connection and know why", arguments: Trouble.allCases)
    func fallback(trouble: Trouble) throws {
        for (caller, listener) in [(wishes(trouble), wishes()), (wishes(), wishes(trouble))] {
            let (one, other) = try play(caller, listener)
            // A listener makes no offer and a caller settles nothing: then nothing fails.
            if one == .chosen(.sharedMemory, nil) {
                #expect(other == one && trouble != .source)
                continue
            }
            #expect(one == .chosen(.tcp, "shared-memory is not possible: trouble at \(trouble.rawValue)") && other == one)
        }
        let failures = try [play(wishes(trouble), wishes()), play(wishes(), wishes(trouble))].filter { $0.0 != .chosen(.sharedMemory, nil) }
        #expect(!failures.isEmpty)
    }

    @Test("what is forced and fails is no lane at all, and both know why", arguments: Trouble.allCases, [true, false])
    func forced(trouble: Trouble, byCaller: Bool) throws {
        for (caller, listener) in [
            (wishes(trouble, tcp: !byCaller), wishes(tcp: byCaller)), (wishes(tcp: !byCaller), wishes(trouble, tcp: byCaller)),
        ] {
            let (one, other) = try play(caller, listener)
            if one == .chosen(.sharedMemory, nil) { continue }
            #expect(one == .failed("shared-memory is not possible: trouble at \(trouble.rawValue)") && other == one)
        }
    }

    @Test("two that want different things say what each wants")
    func opposed() throws {
        let (one, other) = try play(LaneWishes(), wishes(tcp: false))
        let reason = "the listening rank takes shared-memory and the calling one tcp; give both the same --transport"
        #expect(one == .failed(reason) && other == one)
    }

    @Test("a message that is changed, cut or of another connection is not believed, and never crashes")
    func hostile() throws {
        let seed: UInt64 = 7
        var generator = SeededGenerator(seed: seed)
        let good = LaneMessage(.offer, [.init(.sharedMemory, Array(repeating: 5, count: 256)), .init(.tcp)], text: "why not")
        let bytes = good.bytes(Self.session)
        #expect(LaneMessage(decoding: bytes, Self.session) == good)
        let strange = HandshakeSession(secret: [1], greeting: Self.session.greeting, challenge: Self.session.challenge)
        #expect(LaneMessage(decoding: bytes, strange) == nil)
        for round in 0..<5000 {
            var changed = bytes
            if round % 3 == 0 { changed = Array(changed.prefix(Int.random(in: 0..<bytes.count, using: &generator))) }
            if round % 3 != 0 || changed.isEmpty {
                changed = bytes
                changed[Int.random(in: 0..<bytes.count, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            }
            if LaneMessage(decoding: changed, Self.session) != nil { Issue.record("seed \(seed), round \(round): believed") }
            switch LaneTalk(Self.session, wishes(), isDialer: false).receive(changed) {
            case .drop: break
            default: Issue.record("seed \(seed), round \(round): answered")
            }
        }
    }

    @Test("a body that lies about its lengths is no message, though it is proved")
    func lyingLengths() {
        let plain = LaneMessage(.offer, []).bytes(Self.session).dropLast(32)
        for (place, value) in [(16, UInt8(1)), (16, 255), (17, 9), (18, 255)] {
            var changed = Array(plain)
            changed[place] = value
            let proved = changed + Self.session.proof(of: "lane 6", changed)
            #expect(LaneMessage(decoding: proved, Self.session) == nil, "byte \(place) is \(value)")
        }
    }

    @Test("a long reason is cut, not refused")
    func longText() throws {
        let message = LaneMessage(.choice, [], text: String(repeating: "é", count: 5000))
        let read = try #require(LaneMessage(decoding: message.bytes(Self.session), Self.session))
        #expect(read.text == String(repeating: "é", count: 200))
    }

    @Test("a mesh in which one rank insists on what the other does not take says so on both sides, with the peer's name")
    func mesh() throws {
        let listeners = try (0..<2).map { _ in try TCPListener(report: { _ in }) }
        try together(
            (0..<2).map { rank in
                {
                    var options = TCPOptions()
                    if rank == 1 { options.lane = .sharedMemory }
                    do {
                        _ = try connectTransport(listeners[rank], rank: rank, peers: listeners.map(\.address), options: options).rank
                        throw Failure("rank \(rank) connected")
                    } catch TransportError.refused(let reason) {
                        guard reason.contains("rank \(1 - rank) at 127.0.0.1"), reason.contains("the same --transport") else {
                            throw Failure(reason)
                        }
                    }
                }
            })
    }
}
