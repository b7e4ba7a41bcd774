// What waits, where it waits, and what is turned away.
import Glibc
import RingCore
import RingTransport
import Testing

@Suite("Back-pressure", .serialized, .timeLimit(.minutes(5)))
struct BackPressureTests {
    @Test(
        "sends beyond the limit to one peer are turned away as full, and fit again after completions", arguments: Kind.allCases,
        [
            100, 100_000,
        ])
    func fullSends(kind: Kind, byteCount: Int) throws {
        try withRing(kind, 2) { end in
            let limit = TransportLimits.sendsPerPeer
            let block = try end.memory(byteCount)
            if end.rank.index == 0 {
                let tickets = try (0..<limit).map { try end.send(block, to: Rank(1), tag($0)) }
                guard try end.post(send: block.ref, to: Rank(1), tag: tag(limit)) == .full else { throw Failure("no limit holds") }
                guard end.isQuiet(for: 0.1) else { throw Failure("a send completed without a receive") }
                try end.meet()
                for ticket in tickets { try end.expect(.sent, ticket) }
                try end.expect(.sent, try end.send(block, to: Rank(1), tag(limit)))
            } else {
                try end.meet()
                // The last first: nothing that was sent ahead may stand in its way.
                for piece in (0...limit).reversed() {
                    if piece == limit { continue }
                    try end.expect(.received, try end.receive(block, from: Rank(0), tag(piece)))
                }
                try end.expect(.received, try end.receive(block, from: Rank(0), tag(limit)))
            }
        }
    }

    @Test("receives beyond the limit from one peer are turned away as full", arguments: Kind.allCases)
    func fullReceives(kind: Kind) throws {
        try withRing(kind, 2) { end in
            let block = try end.memory(100)
            if end.rank.index == 1 {
                for piece in 0..<TransportLimits.receivesPerPeer { _ = try end.receive(block, from: Rank(0), tag(piece)) }
                guard try end.post(receive: block.ref, from: Rank(0), tag: tag(0)) == .full else { throw Failure("no limit holds") }
            }
        }
    }

    @Test("a slow reader holds up only who sends to it", arguments: Kind.allCases)
    func slowReader(kind: Kind) throws {
        try withRing(kind, 3) { end in
            let large = try end.memory(32 << 20)
            switch end.rank.index {
            case 0:
                let slow = try end.send(large, to: Rank(1), tag(0))
                // While rank 1 does not read, rank 2 gets eight times as much.
                for step in 0..<8 { try end.expect(.sent, try end.send(large, to: Rank(2), tag(0, step: step))) }
                try end.meet()
                try end.expect(.sent, slow)
            case 1:
                try end.meet()
                try end.expect(.received, try end.receive(large, from: Rank(0), tag(0)))
            default:
                for step in 0..<8 { try end.expect(.received, try end.receive(large, from: Rank(0), tag(0, step: step))) }
                try end.meet()
            }
        }
    }

    @Test("small messages wait in a bounded store without holding up large ones", arguments: Kind.allCases)
    func unexpected(kind: Kind) throws {
        try withRing(kind, 2) { end in
            let (small, large) = (try end.memory(TransportLimits.eagerBytes), try end.memory(8 << 20))
            let count = TransportLimits.eagerSlots * 3
            if end.rank.index == 0 {
                let ahead = try (0..<count).map { try end.send(small, to: Rank(1), tag($0, step: 1)) }
                try end.expect(.sent, try end.send(large, to: Rank(1), tag(0)))
                try end.meet()
                for ticket in ahead { try end.expect(.sent, ticket) }
            } else {
                try end.expect(.received, try end.receive(large, from: Rank(0), tag(0)))
                try end.meet()
                for piece in (0..<count).reversed() {
                    try end.expect(.received, try end.receive(small, from: Rank(0), tag(piece, step: 1)))
                }
            }
        }
    }

    @Test("a wait ends when its time is over, and at once when something has completed", arguments: Kind.allCases)
    func waiting(kind: Kind) throws {
        try withRing(kind, 2) { end in
            let block = try end.memory(10)
            let start = MonotonicClock.now()
            guard !end.wait(atMost: .milliseconds(50)) else { throw Failure("nothing was posted, something completed") }
            guard MonotonicClock.now().seconds(since: start) >= 0.05 else { throw Failure("the wait ended early") }
            guard !end.wait(atMost: .zero) else { throw Failure("nothing was posted, something completed") }
            try end.meet()
            if end.rank.index == 0 {
                _ = try end.send(block, to: Rank(1), tag(0))
            } else {
                _ = try end.receive(block, from: Rank(0), tag(0))
            }
            guard end.wait(atMost: .seconds(20)), end.wait(atMost: .zero) else { throw Failure("a completion woke nobody") }
        }
    }
}
