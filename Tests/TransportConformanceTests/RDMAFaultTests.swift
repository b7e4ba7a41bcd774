// What only RDMA can do to a ring: a peer that dies while its memory is written, a port that goes down, memory that may not be
// locked, a device with short queues. They need a machine with RDMA; `Scripts/lab-test` makes one.
import Glibc
import RingCore
import RingTransport
import Testing

@Suite("RDMA faults", .serialized, .timeLimit(.minutes(5)), .enabled(if: Kind.allCases.contains(.rdma), "no RDMA port is up here"))
struct RDMAFaultTests {
    private static let secret = Array("secret".utf8)

    private static func options(_ change: (inout RDMAOptions) -> Void = { _ in }) -> TCPOptions {
        var options = TCPOptions()
        options.lane = .rdma
        change(&options.rdma)
        return options
    }

    private static func connect(_ rank: Int, _ listener: TCPListener, _ peers: [PeerAddress], _ options: TCPOptions)
        throws(TransportError) -> TCPTransport
    {
        try TCPTransport.connect(
            listener: listener, rank: Rank(rank), world: WorldSize(peers.count), peers: peers, secret: secret, epoch: Epoch(1),
            job: JobNumber(1), deadline: .seconds(60), options: options)
    }

    @Test("the lane that was ordered is the lane that is used, and the memory is registered with it")
    func chosen() throws {
        try withRing(.rdma, 3) { end in
            guard let end = end as? EndpointOf<TCPTransport> else { throw Failure("no mesh") }
            for peer in end.world.ranks where peer != end.rank {
                guard end.lane(to: peer) == .rdma else {
                    throw Failure("\(end.rank) to \(peer): \(String(describing: end.lane(to: peer)))")
                }
            }
        }
    }

    @Test("a ring goes on with the shortest queues", arguments: [24, 30, 48])
    func shortQueues(entries: Int) throws {
        try withRing(.rdma, 2, options: Self.options { $0.completionEntries = entries }) { end in
            // 12 slices and as many frames as the queues are long, both ways at once, so that both ends run out of credits together.
            let (out, back, small) = (try end.memory(3 << 20), try end.memory(3 << 20), try end.memory(1000))
            var tickets: [Ticket] = []
            for step in 0..<8 {
                out.fill(seed: UInt64(10 * step + end.rank.index))
                for piece in 0..<12 {
                    tickets.append(try end.receive(piece == 0 ? back : small, from: end.next, tag(piece, step: step)))
                    tickets.append(try end.send(piece == 0 ? out : small, to: end.next, tag(piece, step: step)))
                }
                for ticket in tickets {
                    let outcome = try end.completion(of: ticket).outcome
                    guard outcome == .sent || outcome == .received else { throw Failure("\(outcome) in step \(step)") }
                }
                tickets = []
                let found = back.checksum
                back.fill(seed: UInt64(10 * step + end.next.index))
                guard found == back.checksum else { throw Failure("bytes of step \(step) changed on their way") }
            }
        }
    }

    @Test("queues that are too short are refused with what is needed")
    func tooShort() throws {
        do {
            try withRing(.rdma, 2, options: Self.options { $0.completionEntries = 23 }) { _ in }
            Issue.record("a ring with 23 entries was made")
        } catch let failure as Failure {
            #expect(failure.description.contains("completion queue of 23 entries where 24 are needed"))
        }
    }

    @Test("a device, a port or an address that is not there is refused by name")
    func notThere() throws {
        let wrong: [((inout RDMAOptions) -> Void, String)] = [
            ({ $0.device = "none0" }, "there is no RDMA device none0"), ({ $0.gidIndex = 200 }, "has no address at index 200"),
        ]
        for (change, expected) in wrong {
            do {
                try withRing(.rdma, 2, options: Self.options(change)) { _ in }
                Issue.record("a ring without \(expected) was made")
            } catch let failure as Failure {
                #expect(failure.description.contains(expected), "\(failure)")
            }
        }
    }

    @Test("an encrypted ring that is ordered to use RDMA is refused")
    func encrypted() throws {
        let listeners = [try TCPListener(), try TCPListener()]
        var options = Self.options()
        options.isSealed = true
        let chosen = options
        let thread = try PinnedThread.start(name: "other") { _ = Self.refusal(1, listeners[1], listeners.map(\.address), chosen) }
        defer { thread.join() }
        let reason = Self.refusal(0, listeners[0], listeners.map(\.address), options)
        #expect(reason?.contains("does not encrypt") == true, "\(reason ?? "a ring was made")")
    }

    /// Why no ring is made; nil where one is.
    private static func refusal(_ rank: Int, _ listener: TCPListener, _ addresses: [PeerAddress], _ options: TCPOptions) -> String? {
        do {
            var wire = try connect(rank, listener, addresses, options)
            wire.close()
            return nil
        } catch { return "\(error)" }
    }

    @Test("regions come and go between messages, thousands of times")
    func regions() throws {
        try withRing(.rdma, 2) { end in
            let kept = try end.memory(100_000)
            for step in 0..<300 {
                let memory = try AnonymousMemory(byteCount: 200_000)
                let region = try end.register(memory)
                let ref = BlockRef(region: region, offset: 0, byteCount: 200_000)
                let isSender = (step + end.rank.index) % 2 == 0
                let posted =
                    isSender
                    ? try end.post(send: ref, to: end.next, tag: tag(0, step: step))
                    : try end.post(receive: ref, from: end.next, tag: tag(0, step: step))
                guard case .ticket(let ticket) = posted else { throw Failure("full") }
                try end.expect(isSender ? .sent : .received, ticket)
                // Its memory goes at once, though the device may still hold its pages.
                try end.unregister(region)
            }
            _ = kept
        }
    }

    @Test(
        "memory that may not be locked is a named error with the limit and the way out",
        .enabled(if: RDMADevice.lockedBytesLimit != nil, "this process may lock as much memory as it likes"))
    func lockedMemory() throws {
        let limit = try #require(RDMADevice.lockedBytesLimit)
        try withRing(.rdma, 2) { end in
            do {
                _ = try end.memory(Int(limit) + (64 << 20))
                throw Failure("more than \(limit) bytes were locked")
            } catch TransportError.system(let text) {
                guard text.contains("may lock \(limit) bytes"), text.contains("LimitMEMLOCK=infinity") else { throw Failure(text) }
            }
            // The ring itself is unharmed.
            let small = try end.memory(1000)
            let (receive, send) = (
                try end.receive(small[0..<500], from: end.next, tag(1)), try end.send(small[500..<1000], to: end.next, tag(1))
            )
            try end.expect(.received, receive)
            try end.expect(.sent, send)
        }
    }

    // MARK: Death

    @Test("a peer that is killed in mid-message is lost at once, whichever way the bytes go", arguments: [true, false])
    func killed(writesToUs: Bool) throws {
        let listener = try TCPListener()
        let ports = [listener.port, try freePort()]
        let child = try Child.start(
            "RDMAFaultTests/victim", ["RINGMASTER_VICTIM": "\(ports[0]):\(ports[1]):\(writesToUs ? "send" : "receive")"])
        defer { child.kill() }
        let peers = ports.map { PeerAddress("127.0.0.1", $0) }
        var wire = try Self.connect(0, listener, peers, Self.options())
        let memory = try AnonymousMemory(byteCount: 64 << 20)
        let region = try unsafe wire.register(memory.bytes)
        let block = BlockRef(region: region, offset: 0, byteCount: memory.byteCount)
        let small = BlockRef(region: region, offset: 0, byteCount: 8)
        // The first message says that both are there; the second is the one that is cut.
        _ = try wire.post(receive: small, from: Rank(1), tag: tag(0))
        var completions: [Completion] = []
        while completions.isEmpty {
            guard wire.wait(atMost: .seconds(60)) else { throw Failure("the other process says nothing") }
            _ = wire.poll(into: &completions)
        }
        let first = completions[0].outcome
        try #require(first == .received)
        _ = writesToUs ? try wire.post(receive: block, from: Rank(1), tag: tag(1)) : try wire.post(send: block, to: Rank(1), tag: tag(1))
        // Its writes have begun when the first one shows; of ours nothing shows.
        for _ in 0..<20_000 where unsafe writesToUs && memory.bytes[64 << 10] == 0 { usleep(1000) }
        if !writesToUs { usleep(50_000) }
        child.kill()
        let start = MonotonicClock.now()
        completions = []
        while completions.isEmpty {
            guard wire.wait(atMost: .seconds(20)) else { throw Failure("nobody notices the death") }
            _ = wire.poll(into: &completions)
        }
        #expect(completions[0].outcome == .lost)
        #expect(MonotonicClock.now().seconds(since: start) < 9, "it was noticed by its silence only")
        let reason = wire.lossReason(of: Rank(1)) ?? "none"
        #expect(reason.contains("connection was closed") || reason.contains("connection failed") || reason.contains("RDMA"), "\(reason)")
        // What was posted is ours again: nothing writes into it any more.
        _ = unsafe memory.bytes.initializeMemory(as: UInt8.self, repeating: 7)
        usleep(200_000)
        let isUntouched = unsafe memory.bytes.allSatisfy { $0 == 7 }
        #expect(isUntouched, "somebody wrote into memory that was given back")
        wire.close()
    }

    /// The other process of `killed`: not a test of its own.
    @Test("the part of a peer that will be killed", .enabled(if: unsafe getenv("RINGMASTER_VICTIM") != nil, "only for the test above"))
    func victim() throws {
        let text = unsafe getenv("RINGMASTER_VICTIM").map { unsafe String(cString: $0) } ?? ""
        let words = text.split(separator: ":")
        guard words.count == 3, let first = UInt16(words[0]), let second = UInt16(words[1]) else { throw Failure(text) }
        let listener = try TCPListener(port: second)
        var wire = try Self.connect(1, listener, [first, second].map { PeerAddress("127.0.0.1", $0) }, Self.options())
        let memory = try AnonymousMemory(byteCount: 64 << 20)
        let region = try unsafe wire.register(memory.bytes)
        let block = BlockRef(region: region, offset: 0, byteCount: memory.byteCount)
        _ = unsafe memory.bytes.initializeMemory(as: UInt8.self, repeating: 1)
        _ = try wire.post(send: BlockRef(region: region, offset: 0, byteCount: 8), to: Rank(0), tag: tag(0))
        _ =
            words[2] == "send"
            ? try wire.post(send: block, to: Rank(0), tag: tag(1)) : try wire.post(receive: block, from: Rank(0), tag: tag(1))
        // Never returns in good order; the deadline is for a parent that is gone.
        sleep(60)
    }

    @Test("a port that goes down loses its peers, with its name; the next ring works", .enabled(if: Lab.isHere, "only in the lab"))
    func portDown() throws {
        defer { _ = try? Child.run(["ip", "link", "set", "eth0", "up"]) }
        try withRing(.rdma, 2, options: Self.options { $0.portGrace = .milliseconds(300) }) { end in
            let block = try end.memory(1 << 20)
            // Nobody answers these: they are there when the port goes.
            let ticket = try end.receive(block, from: end.next, tag(0))
            try end.meet()
            if end.rank.index == 0 { guard try Child.run(["ip", "link", "set", "eth0", "down"]) == 0 else { throw Failure("ip fails") } }
            try end.expect(.lost, ticket, within: 20)
            let reason = end.lossReason(of: end.next) ?? ""
            // Whoever notices first closes its end.
            guard reason.contains("is down") || reason.contains("closed") else { throw Failure(reason) }
        }
        guard try Child.run(["ip", "link", "set", "eth0", "up"]) == 0 else { throw Failure("ip fails") }
        let start = MonotonicClock.now()
        while (try? RDMADevice.choose()) == nil {
            if MonotonicClock.now().seconds(since: start) > 20 { throw Failure("the port does not come up again") }
            usleep(10_000)
        }
        try withRing(.rdma, 2) { end in
            let block = try end.memory(1 << 20)
            try end.expect(
                end.rank.index == 0 ? .sent : .received,
                end.rank.index == 0 ? try end.send(block, to: Rank(1), tag(0)) : try end.receive(block, from: Rank(0), tag(0)))
        }
    }
}
