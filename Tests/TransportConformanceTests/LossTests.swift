// A rank that goes, and what the others hear of it.
import Glibc
import RingCore
import RingTransport
import Testing

@Suite("Loss", .serialized, .timeLimit(.minutes(5)))
struct LossTests {
    @Test("a rank that closes is lost to the others: what is outstanding ends, later posts throw", arguments: Kind.allCases)
    func closing(kind: Kind) throws {
        try withRing(kind, 3) { end in
            let (small, large) = (try end.memory(100), try end.memory(1 << 20))
            if end.rank.index == 2 {
                try end.meet()
                end.close()
                return
            }
            let doomed = [
                try end.send(small, to: Rank(2), tag(0)), try end.send(large, to: Rank(2), tag(1)),
                try end.receive(small, from: Rank(2), tag(0)), try end.receive(large, from: Rank(2), tag(1)),
            ]
            try end.meet()
            for ticket in doomed { try end.expect(.lost, ticket) }
            guard end.lostPeers == [Rank(2)], end.lossReason(of: Rank(2)) == "it closed its transport" else {
                throw Failure("\(end.lostPeers): \(end.lossReason(of: Rank(2)) ?? "no reason")")
            }
            do {
                _ = try end.post(send: small.ref, to: Rank(2), tag: tag(0))
                throw Failure("a post to a lost rank was accepted")
            } catch TransportError.lost(let rank, let reason) {
                guard rank == Rank(2), reason.contains("closed") else { throw Failure("\(rank): \(reason)") }
            }
            // The two that are left go on.
            let other = Rank(1 - end.rank.index)
            let (send, receive) = (try end.send(large, to: other, tag(5)), try end.receive(small[0..<0], from: other, tag(6)))
            let (back, out) = (try end.receive(large, from: other, tag(5)), try end.send(small[0..<0], to: other, tag(6)))
            for (outcome, ticket) in [(Completion.Outcome.sent, send), (.received, receive), (.received, back), (.sent, out)] {
                try end.expect(outcome, ticket)
            }
        }
    }

    @Test("what was acknowledged before a rank closed stays acknowledged", arguments: Kind.allCases)
    func acknowledgedThenClosed(kind: Kind) throws {
        for _ in 0..<20 {
            try withRing(kind, 2) { end in
                let block = try end.memory(70_000)
                if end.rank.index == 0 {
                    try end.expect(.sent, try end.send(block, to: Rank(1), tag(0)))
                } else {
                    try end.expect(.received, try end.receive(block, from: Rank(0), tag(0)))
                    end.close()
                }
            }
        }
    }

    @Test("a link that is cut in the middle of a message loses both ranks to each other", arguments: Kind.allCases)
    func cut(kind: Kind) throws {
        let fault = TransportFault(.sever, message: 1, from: Rank(0), to: Rank(1))
        try withRing(kind, 2, faults: [fault]) { end in
            let block = try end.memory(16 << 20)
            for round in 0..<2 {
                let ticket =
                    end.rank.index == 0 ? try end.send(block, to: Rank(1), tag(round)) : try end.receive(block, from: Rank(0), tag(round))
                try end.expect(round == 1 ? .lost : (end.rank.index == 0 ? .sent : .received), ticket)
            }
            guard end.lostPeers == [end.next] else { throw Failure("\(end.lostPeers)") }
        }
    }

    @Test("closing cancels what is outstanding, and closing twice is nothing", arguments: Kind.allCases)
    func cancelled(kind: Kind) throws {
        try withRing(kind, 2) { end in
            let block = try end.memory(1 << 20)
            let tickets = [
                try end.send(block, to: end.next, tag(0)), try end.receive(block, from: end.next, tag(0, step: end.rank.index + 1)),
            ]
            try end.meet()
            if end.rank.index == 0 {
                end.close()
                end.close()
                for ticket in tickets { try end.expect(.cancelled, ticket) }
                do {
                    _ = try end.post(send: block.ref, to: Rank(1), tag: tag(2))
                    throw Failure("a closed transport accepted a post")
                } catch TransportError.closed {}
            } else {
                for ticket in tickets { try end.expect(.lost, ticket) }
            }
        }
    }

    @Test("a message that a fault drops stays outstanding; one that a fault delays comes late", arguments: Kind.allCases)
    func dropAndDelay(kind: Kind) throws {
        let faults = [
            TransportFault(.drop, message: 0, from: Rank(0), to: Rank(1)),
            TransportFault(.delay(seconds: 0.3), message: 1, from: Rank(0), to: Rank(1)),
            TransportFault(.delay(seconds: 0.3), message: 2, from: Rank(0), to: Rank(1)),
        ]
        try withRing(kind, 2, faults: faults) { end in
            let block = try end.memory(100_000)
            let sizes = [1000, 1000, 100_000]
            let start = MonotonicClock.now()
            let tickets = try sizes.indices.map { piece in
                let part = block[0..<sizes[piece]]
                return end.rank.index == 0 ? try end.send(part, to: Rank(1), tag(piece)) : try end.receive(part, from: Rank(0), tag(piece))
            }
            for ticket in tickets[1...] { try end.expect(end.rank.index == 0 ? .sent : .received, ticket) }
            guard MonotonicClock.now().seconds(since: start) >= 0.29 else { throw Failure("nothing was held back") }
            guard end.isQuiet(for: 0.2) else { throw Failure("a dropped message completed") }
        }
    }
}
