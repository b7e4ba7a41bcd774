// Bytes that change on their way are found, asked for again, and given up after a few times; never believed.
import RingCore
import RingTransport
import Testing

@Suite("Damage", .serialized, .timeLimit(.minutes(5)))
struct DamageTests {
    /// Ahead of the receive, a single slice, several slices.
    static let sizes = [1, 5000, 200_000, 3 << 20]

    @Test(
        "a damaged message is sent again and arrives whole", arguments: Kind.allCases.flatMap { kind in sizes.map { (kind, $0) } },
        [1, 2, 3])
    func repaired(transfer: (Kind, Int), times: Int) throws {
        let fault = TransportFault(.damage(times: times), message: 1, from: Rank(0), to: Rank(1))
        for receiveFirst in [true, false] {
            try run(transfer.0, transfer.1, fault, receiveFirst: receiveFirst) { end, outcomes in
                guard outcomes.allSatisfy({ $0 == .sent || $0 == .received }) else { throw Failure("\(outcomes)") }
                let (mine, expected) =
                    end.rank.index == 0
                    ? (end.counters.retransmissions, times) : (end.counters.checksumFailures, times)
                guard mine == expected else { throw Failure("\(end.rank): counted \(mine), \(expected) were damaged") }
            }
        }
    }

    @Test("a message that is damaged every time ends as damaged at both ends, and the link goes on", arguments: Kind.allCases, sizes)
    func givenUp(kind: Kind, byteCount: Int) throws {
        let fault = TransportFault(.damage(times: 99), message: 1, from: Rank(0), to: Rank(1))
        for receiveFirst in [true, false] {
            try run(kind, byteCount, fault, receiveFirst: receiveFirst) { end, outcomes in
                let good: Completion.Outcome = end.rank.index == 0 ? .sent : .received
                guard outcomes == [good, .damaged, good] else { throw Failure("\(end.rank): \(outcomes)") }
                guard end.lostPeers.isEmpty else { throw Failure("\(end.lostPeers) are lost") }
                if end.rank.index == 0, end.counters.retransmissions != UInt64(TransportLimits.retransmissions) {
                    throw Failure("\(end.counters.retransmissions) retransmissions")
                }
            }
        }
    }

    /// Three messages, of which the fault meets the second; undamaged ones must have the right bytes.
    private func run(
        _ kind: Kind, _ byteCount: Int, _ fault: TransportFault, receiveFirst: Bool,
        _ check: @escaping @Sendable (Endpoint, [Completion.Outcome]) throws -> Void
    ) throws {
        try withRing(kind, 2, faults: [fault]) { end in
            let blocks = try (0..<3).map { _ in try end.memory(byteCount) }
            if receiveFirst == (end.rank.index == 0) { try end.meet() }
            let tickets = try blocks.indices.map { piece in
                if end.rank.index == 0 { blocks[piece].fill(seed: UInt64(piece + 1)) }
                return end.rank.index == 0
                    ? try end.send(blocks[piece], to: Rank(1), tag(piece)) : try end.receive(blocks[piece], from: Rank(0), tag(piece))
            }
            if receiveFirst != (end.rank.index == 0) { try end.meet() }
            let outcomes = try tickets.map { try end.completion(of: $0).outcome }
            for (piece, outcome) in outcomes.enumerated() where outcome == .received {
                let found = blocks[piece].checksum
                blocks[piece].fill(seed: UInt64(piece + 1))
                guard found == blocks[piece].checksum else { throw Failure("message \(piece) was believed although it changed") }
            }
            try check(end, outcomes)
        }
    }
}
