// Which send meets which receive.
import RingCore
import RingTransport
import Testing

@Suite("Matching", .serialized, .timeLimit(.minutes(5)))
struct MatchingTests {
    static let rings = Kind.allCases.flatMap { kind in (2...4).map { (kind, $0) } }

    @Test("a ring hands every block to the next rank, whole", arguments: rings)
    func ring(kind: Kind, count: Int) throws {
        try withRing(kind, count) { end in
            let (out, back) = (try end.memory(300_000), try end.memory(300_000))
            out.fill(seed: UInt64(end.rank.index))
            let receive = try end.receive(back, from: end.previous, tag(7))
            let send = try end.send(out, to: end.next, tag(7))
            try end.expect(.sent, send)
            try end.expect(.received, receive)
            let expected = try end.memory(300_000)
            expected.fill(seed: UInt64(end.previous.index))
            guard back.checksum == expected.checksum else { throw Failure("the block changed on its way") }
            guard end.counters.bytesSent == 300_000, end.counters.bytesReceived == 300_000 else { throw Failure("\(end.counters)") }
        }
    }

    @Test("tags meet whatever the order of posts", arguments: Kind.allCases, [100, 70_000])
    func outOfOrder(kind: Kind, byteCount: Int) throws {
        try withRing(kind, 2) { end in
            let count = 20
            let block = try end.memory(byteCount * count)
            if end.rank.index == 0 { block.fill(seed: 1) }
            let orders = [Array(0..<count), [7, 3, 19, 0, 12, 5, 1, 18, 2, 11, 4, 17, 6, 16, 8, 15, 9, 14, 10, 13]]
            let tickets = try orders[end.rank.index].map { place in
                let piece = block[place * byteCount..<(place + 1) * byteCount]
                return end.rank.index == 0
                    ? try end.send(piece, to: Rank(1), tag(place)) : try end.receive(piece, from: Rank(0), tag(place))
            }
            for ticket in tickets { try end.expect(end.rank.index == 0 ? .sent : .received, ticket) }
            let expected = try end.memory(byteCount * count)
            expected.fill(seed: 1)
            guard block.checksum == expected.checksum else { throw Failure("pieces came to the wrong places") }
        }
    }

    @Test("one tag many times: the k-th send meets the k-th receive, small and large mixed", arguments: Kind.allCases, [true, false])
    func sameTag(kind: Kind, receivesFirst: Bool) throws {
        try withRing(kind, 2) { end in
            let sizes = [10, 200_000, 20, 0, 66_000, 30, 300_000, 64 << 10, 1]
            let block = try end.memory(sizes.reduce(0, +))
            if end.rank.index == 0 { block.fill(seed: 5) }
            if receivesFirst == (end.rank.index == 0) { try end.meet() }
            var tickets: [Ticket] = []
            var at = 0
            for size in sizes {
                let piece = block[at..<at + size]
                tickets.append(
                    end.rank.index == 0 ? try end.send(piece, to: Rank(1), tag(1)) : try end.receive(piece, from: Rank(0), tag(1)))
                at += size
            }
            if receivesFirst != (end.rank.index == 0) { try end.meet() }
            for ticket in tickets { try end.expect(end.rank.index == 0 ? .sent : .received, ticket) }
            let expected = try end.memory(block.byteCount)
            expected.fill(seed: 5)
            guard block.checksum == expected.checksum else { throw Failure("messages of one tag were mixed up") }
        }
    }

    @Test("everybody to everybody, random sizes, random order", arguments: rings)
    func allToAll(kind: Kind, count: Int) throws {
        try withRing(kind, count) { end in
            let rounds = 40
            let sizes = [0, 1, 63, 4096, 65_536, 65_537, 262_144, 262_145, 500_000]
            func size(_ from: Int, _ to: Int, _ round: Int) -> Int { sizes[(from * 31 + to * 17 + round * 7) % sizes.count] }
            func seed(_ from: Int, _ to: Int, _ round: Int) -> UInt64 { UInt64(from * 1_000_000 + to * 1000 + round + 1) }
            var sends: [Ticket] = []
            var receives: [(Ticket, Block, UInt64)] = []
            for place in 0..<rounds {
                // Both sides walk the rounds in different orders; 7 and 40 have no common factor.
                let (forward, backward) = (place * 7 % rounds, rounds - 1 - place)
                for peer in end.world.ranks where peer != end.rank {
                    let back = try end.memory(size(peer.index, end.rank.index, backward))
                    receives.append(
                        (try end.receive(back, from: peer, tag(backward)), back, seed(peer.index, end.rank.index, backward)))
                    let out = try end.memory(size(end.rank.index, peer.index, forward))
                    out.fill(seed: seed(end.rank.index, peer.index, forward))
                    sends.append(try end.send(out, to: peer, tag(forward)))
                }
            }
            for ticket in sends { try end.expect(.sent, ticket) }
            for (ticket, block, seed) in receives {
                try end.expect(.received, ticket)
                let found = block.checksum
                block.fill(seed: seed)
                guard found == block.checksum else { throw Failure("\(end.rank): a block of seed \(seed) changed on its way") }
            }
        }
    }

    @Test("a world of one has nobody to talk to", arguments: Kind.allCases)
    func alone(kind: Kind) throws {
        try withRing(kind, 1) { end in
            let block = try end.memory(10)
            do {
                _ = try end.post(send: block.ref, to: Rank(0), tag: tag(0))
                throw Failure("a rank could send to itself")
            } catch TransportError.unreachable(let rank, _) {
                guard rank == Rank(0), end.lostPeers.isEmpty else { throw Failure("wrong rank \(rank)") }
            }
        }
    }

    @Test(
        "a message that does not fit its receive ends the link, and both sides learn the sizes", arguments: Kind.allCases,
        [(100, 200), (200, 100), (100, 100_000), (100_000, 100), (100_000, 200_000)])
    func mismatch(kind: Kind, sizes: (Int, Int)) throws {
        try withRing(kind, 2) { end in
            let block = try end.memory(end.rank.index == 0 ? sizes.0 : sizes.1)
            let ticket = end.rank.index == 0 ? try end.send(block, to: Rank(1), tag(3)) : try end.receive(block, from: Rank(0), tag(3))
            try end.expect(.lost, ticket)
            let reason = end.lossReason(of: end.next) ?? ""
            guard reason.contains("\(sizes.0) bytes"), reason.contains("has \(sizes.1)"), reason.contains("piece 3") else {
                throw Failure("\(end.rank): the reason names no sizes: \(reason)")
            }
        }
    }
}
