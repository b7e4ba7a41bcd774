// Registered memory, and what may be posted on it.
import RingCore
import RingTransport
import Testing

@Suite("Regions", .serialized, .timeLimit(.minutes(5)))
struct RegionTests {
    @Test("a post outside registered memory is an error and changes nothing", arguments: Kind.allCases)
    func bounds(kind: Kind) throws {
        try withRing(kind, 2) { end in
            let block = try end.memory(1000)
            let hostile = [
                (0, 1001), (1, 1000), (1000, 1), (1001, 0), (-1, 1), (0, -1), (Int.max, 1), (1, Int.max), (Int.max, Int.max), (Int.min, 0),
            ]
            for (offset, byteCount) in hostile {
                for region in [block.region.index, 77, -1] {
                    let ref = BlockRef(region: RegionKey(index: region), offset: offset, byteCount: byteCount)
                    try refuses(ref, end)
                }
            }
            try refuses(BlockRef(region: RegionKey(index: 77), offset: 0, byteCount: 1), end)
            _ = try end.send(block[1000..<1000], to: end.next, tag(0))
            _ = try end.receive(block[1000..<1000], from: end.next, tag(0))
        }
    }

    private func refuses(_ block: BlockRef, _ end: Endpoint) throws {
        do {
            _ = try end.post(send: block, to: end.next, tag: tag(0))
            throw Failure("\(block) was accepted")
        } catch TransportError.outOfBounds(let named) {
            guard named == block else { throw Failure("the error names \(named)") }
        }
    }

    @Test("a region with posts outstanding stays; afterwards its place is used again", arguments: Kind.allCases)
    func inUse(kind: Kind) throws {
        try withRing(kind, 2) { end in
            let memory = try AnonymousMemory(byteCount: 100)
            let region = try end.register(memory)
            let ref = BlockRef(region: region, offset: 0, byteCount: 100)
            if end.rank.index == 0 {
                guard case .ticket(let ticket) = try end.post(send: ref, to: Rank(1), tag: tag(0)) else { throw Failure("full") }
                do {
                    try end.unregister(region)
                    throw Failure("a region in use was forgotten")
                } catch TransportError.regionInUse(region) {}
                try end.meet()
                try end.expect(.sent, ticket)
            } else {
                try end.meet()
                guard case .ticket(let ticket) = try end.post(receive: ref, from: Rank(0), tag: tag(0)) else { throw Failure("full") }
                try end.expect(.received, ticket)
            }
            try end.unregister(region)
            do {
                try end.unregister(region)
                throw Failure("a region was forgotten twice")
            } catch TransportError.outOfBounds {}
            guard try end.register(memory) == region else { throw Failure("the place was not used again") }
        }
    }

    private struct Weakly {
        weak var memory: AnonymousMemory?
    }

    /// Memory that is registered twice and of which nobody else knows.
    private func orphaned(_ end: Endpoint) throws -> (Weakly, [RegionKey]) {
        let memory = try AnonymousMemory(byteCount: 64 << 20)
        return (Weakly(memory: memory), [try end.register(memory, keeping: true), try end.register(memory, keeping: true)])
    }

    @Test("a region can keep its owner alive until it is forgotten or the transport is gone", arguments: Kind.allCases)
    func keeping(kind: Kind) throws {
        try withRing(kind, 2) { end in
            let (kept, regions) = try orphaned(end)
            // A large message is under way when the rank that sends it forgets everything but its transport.
            let ref = BlockRef(region: regions[0], offset: 0, byteCount: 64 << 20)
            _ =
                end.rank.index == 0
                ? try end.post(send: ref, to: Rank(1), tag: tag(0)) : try end.post(receive: ref, from: Rank(0), tag: tag(0))
            try end.unregister(regions[1])
            guard kept.memory != nil else { throw Failure("the owner went although its region is registered") }
        }
    }

    @Test("there is a limit to regions", arguments: Kind.allCases)
    func tooMany(kind: Kind) throws {
        try withRing(kind, 1) { end in
            let memory = try AnonymousMemory(byteCount: 100)
            for _ in 0..<TransportLimits.regions { _ = try end.register(memory) }
            do {
                _ = try end.register(memory)
                throw Failure("no limit holds")
            } catch TransportError.tooManyRegions {}
        }
    }

    @Test("a rank that does not exist cannot be reached", arguments: Kind.allCases)
    func noSuchRank(kind: Kind) throws {
        try withRing(kind, 2) { end in
            let block = try end.memory(1)
            do {
                _ = try end.post(send: block.ref, to: Rank(2), tag: tag(0))
                throw Failure("a post to nobody was accepted")
            } catch TransportError.unreachable(Rank(2), _) {}
        }
    }
}
