// Sizes from nothing to a gibibyte, many at once, both ways at once.
import RingCore
import RingTransport
import Testing

@Suite("Volume", .serialized, .timeLimit(.minutes(5)))
struct VolumeTests {
    @Test(
        "any size arrives as it left", arguments: Kind.allCases,
        [
            0, 1, 2, 63, 64, 65, 4095, 4096, 4097, 65_535, 65_536, 65_537, 262_143, 262_144, 262_145, 1_000_003, 64 << 20,
        ])
    func sizes(kind: Kind, byteCount: Int) throws {
        try exchange(kind, byteCount)
    }

    @Test("one message of a gibibyte (of 96 MiB in the lab's machines)", arguments: Kind.allCases)
    func gibibyte(kind: Kind) throws { try exchange(kind, Lab.bytes(1 << 30)) }

    private func exchange(_ kind: Kind, _ byteCount: Int) throws {
        try withRing(kind, 2) { end in
            let block = try end.memory(byteCount)
            if end.rank.index == 0 {
                block.fill(seed: 3)
                let before = block.checksum
                try end.expect(.sent, try end.send(block, to: Rank(1), tag(0)))
                guard before == block.checksum, end.counters.bytesSent == byteCount else { throw Failure("the sender's bytes changed") }
            } else {
                try end.expect(.received, try end.receive(block, from: Rank(0), tag(0)))
                let found = block.checksum
                block.fill(seed: 3)
                guard found == block.checksum else { throw Failure("\(byteCount) bytes changed on their way") }
            }
        }
    }

    @Test("twenty thousand small messages through a bounded window", arguments: Kind.allCases)
    func manySmall(kind: Kind) throws {
        try withRing(kind, 2) { end in
            let (count, byteCount, window) = (20_000, 200, 100)
            let block = try end.memory(byteCount * window)
            block.fill(seed: 9)
            var completions: [Completion] = []
            completions.reserveCapacity(256)
            var (posted, done) = (0, 0)
            let start = MonotonicClock.now()
            while done < count {
                while posted < count && posted - done < window {
                    let piece = block[posted % window * byteCount..<(posted % window + 1) * byteCount]
                    if end.rank.index == 0 {
                        _ = try end.send(piece, to: Rank(1), tag(posted))
                    } else {
                        _ = try end.receive(piece, from: Rank(0), tag(posted))
                    }
                    posted += 1
                }
                _ = end.wait(atMost: .seconds(1))
                completions.removeAll(keepingCapacity: true)
                done += end.poll(into: &completions)
                if let bad = completions.first(where: { $0.outcome != .sent && $0.outcome != .received }) { throw Failure("\(bad)") }
                if MonotonicClock.now().seconds(since: start) > Endpoint.patience { throw Failure("\(done) of \(count) are done") }
            }
        }
    }

    @Test("large messages both ways at once, receives posted late: nothing waits for ever", arguments: Kind.allCases, [2, 3])
    func fullDuplex(kind: Kind, count: Int) throws {
        try withRing(kind, count) { end in
            let (pieces, byteCount) = (6, 5 << 20)
            var (sends, receives): ([Ticket], [(Ticket, Block, UInt64)]) = ([], [])
            for peer in end.world.ranks where peer != end.rank {
                for piece in 0..<pieces {
                    let block = try end.memory(byteCount)
                    block.fill(seed: UInt64(end.rank.index * 100 + piece + 1))
                    sends.append(try end.send(block, to: peer, tag(piece)))
                }
            }
            // Every sender has filled what there is to fill before the first receive is posted.
            try end.meet()
            guard end.isQuiet(for: 0.1) else { throw Failure("a large send completed without a receive") }
            try end.meet()
            for piece in (0..<pieces).reversed() {
                for peer in end.world.ranks where peer != end.rank {
                    let block = try end.memory(byteCount)
                    receives.append((try end.receive(block, from: peer, tag(piece)), block, UInt64(peer.index * 100 + piece + 1)))
                }
            }
            for ticket in sends { try end.expect(.sent, ticket) }
            for (ticket, block, seed) in receives {
                try end.expect(.received, ticket)
                let found = block.checksum
                block.fill(seed: seed)
                guard found == block.checksum else { throw Failure("\(end.rank): bytes changed on their way") }
            }
        }
    }

    @Test("small messages pass while a large one is under way", arguments: Kind.allCases)
    func smallAmongLarge(kind: Kind) throws {
        try withRing(kind, 2) { end in
            let (large, small) = (try end.memory(Lab.bytes(512 << 20)), try end.memory(1000))
            if end.rank.index == 0 {
                let bulk = try end.send(large, to: Rank(1), tag(0))
                for step in 1...20 { try end.expect(.sent, try end.send(small, to: Rank(1), tag(0, step: step))) }
                guard end.counters.messagesSent == 20 else { throw Failure("the large message was faster than 20 small ones") }
                try end.expect(.sent, bulk)
            } else {
                let bulk = try end.receive(large, from: Rank(0), tag(0))
                for step in 1...20 { try end.expect(.received, try end.receive(small, from: Rank(0), tag(0, step: step))) }
                try end.expect(.received, bulk)
            }
        }
    }
}
