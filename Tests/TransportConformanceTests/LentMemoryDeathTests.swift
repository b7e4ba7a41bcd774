// A process that is killed while another reads its memory: the death is noticed, what was posted is given back, and nothing stays.
import Glibc
import RingCore
import RingTransport
import Testing

@Suite("Death of a lender", .serialized, .timeLimit(.minutes(5)))
struct LentMemoryDeathTests {
    private static let bytes = 64 << 20

    private static func connect(_ rank: Int, _ listener: TCPListener, _ peers: [PeerAddress]) throws(TransportError) -> TCPTransport {
        var options = TCPOptions()
        options.lane = .sharedMemory
        return try TCPTransport.connect(
            listener: listener, rank: Rank(rank), world: WorldSize(2), peers: peers, secret: Array("secret".utf8), epoch: Epoch(1),
            job: JobNumber(1), deadline: .seconds(20), options: options)
    }

    @Test("a lender that is killed in mid-message is lost at once; its memory goes, and ours is ours again")
    func killed() throws {
        let listener = try TCPListener()
        let ports = [listener.port, try freePort()]
        let child = try Child.start("LentMemoryDeathTests/victim", ["RINGMASTER_LENDER": "\(ports[0]):\(ports[1])"])
        defer { child.kill() }
        var wire = try Self.connect(0, listener, ports.map { PeerAddress("127.0.0.1", $0) })
        let memory = try AnonymousMemory(byteCount: Self.bytes, isShareable: true)
        let region = try unsafe wire.register(memory.bytes, keeping: memory)
        let block = BlockRef(region: region, offset: 0, byteCount: Self.bytes)
        // One message after another is read until the death cuts one.
        var (completions, count, outcome) = ([Completion](), 0, Completion.Outcome.received)
        var death: Moment?
        while outcome == .received {
            // It may be known already that nobody is there.
            if (try? wire.post(receive: block, from: Rank(1), tag: tag(0, step: count))) == nil { break }
            completions.removeAll(keepingCapacity: true)
            while completions.isEmpty {
                guard wire.wait(atMost: .seconds(20)) else { throw Failure("nobody notices the death") }
                _ = wire.poll(into: &completions)
            }
            outcome = completions[0].outcome
            count += 1
            if count == 3 {
                // Well inside the next message, or the one after it.
                usleep(2000)
                child.kill()
                death = MonotonicClock.now()
            }
        }
        let seconds = death.map { MonotonicClock.now().seconds(since: $0) } ?? -1
        #expect(count >= 3 && seconds >= 0 && seconds < 9, "\(count) messages, \(seconds) s")
        let counters = wire.counters
        #expect(counters.bytesBorrowed >= UInt64(3 * Self.bytes))
        let reason = wire.lossReason(of: Rank(1)) ?? "none"
        #expect(reason.contains("connection was closed") || reason.contains("connection fail"), "\(reason)")
        _ = unsafe memory.bytes.initializeMemory(as: UInt8.self, repeating: 7)
        wire.close()
        let isUntouched = unsafe memory.bytes.allSatisfy { $0 == 7 }
        #expect(isUntouched, "somebody wrote into memory that was given back")
    }

    /// The other process of `killed`: not a test of its own.
    @Test("the part of a lender that will be killed", .enabled(if: unsafe getenv("RINGMASTER_LENDER") != nil, "only for the test above"))
    func victim() throws {
        let words = (unsafe getenv("RINGMASTER_LENDER").map { unsafe String(cString: $0) } ?? "").split(separator: ":")
        guard words.count == 2, let first = UInt16(words[0]), let second = UInt16(words[1]) else { throw Failure("\(words)") }
        var wire = try Self.connect(1, try TCPListener(port: second), [first, second].map { PeerAddress("127.0.0.1", $0) })
        let memory = try AnonymousMemory(byteCount: Self.bytes, isShareable: true)
        let region = try unsafe wire.register(memory.bytes, keeping: memory)
        let block = BlockRef(region: region, offset: 0, byteCount: Self.bytes)
        var completions: [Completion] = []
        // Ends by being killed; a parent that is gone ends it too.
        for step in 0..<10_000 {
            _ = try wire.post(send: block, to: Rank(0), tag: tag(0, step: step))
            completions.removeAll(keepingCapacity: true)
            while completions.isEmpty {
                guard wire.wait(atMost: .seconds(20)) else { return }
                _ = wire.poll(into: &completions)
            }
            if completions[0].outcome != .sent { return }
        }
    }
}
