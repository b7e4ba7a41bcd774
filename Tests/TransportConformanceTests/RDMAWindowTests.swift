// What a key opens and for how long: two ends of a lane by hand, of which one writes when it should not. The transport itself never
// would, so no test of whole rings can show it.
import Glibc
import RingCore
import RingTransport
import Testing

@Suite("RDMA windows", .serialized, .timeLimit(.minutes(2)), .enabled(if: Kind.hasRDMA, "no RDMA port is up here"))
struct RDMAWindowTests {
    private static let heartbeat = FrameHeader(.heartbeat, from: Rank(0), epoch: Epoch(1), job: JobNumber(1))

    /// One end, with registered memory.
    @safe private final class End {
        let context: VerbsContext
        let lane: VerbsLane
        let memory: AnonymousMemory
        private let header: UnsafeMutablePointer<UInt8>

        init(windows: Bool = true) throws {
            var options = RDMAOptions()
            options.windows = windows
            context = try VerbsContext(try RDMADevice.choose(), options: options)
            memory = try AnonymousMemory(byteCount: 1 << 20)
            try unsafe context.register(memory.bytes, at: 0)
            lane = try VerbsLane(context, links: 1)
            unsafe header = .allocate(capacity: FrameHeader.byteCount)
            var span = unsafe MutableSpan(_unsafeStart: header, count: FrameHeader.byteCount)
            RDMAWindowTests.heartbeat.encode(into: &span)
        }

        deinit {
            lane.destroy()
            unsafe header.deallocate()
        }

        func byte(_ offset: Int) -> UInt8 { unsafe memory.bytes[offset] }

        private func start(_ offset: Int) throws -> UnsafeMutableRawPointer {
            guard let base = unsafe memory.bytes.baseAddress else { throw Failure("no memory") }
            return unsafe base + offset
        }

        /// What a consent says of these bytes.
        func name(_ range: Range<Int>) throws -> RemotePlace {
            let place = unsafe try start(range.lowerBound)
            guard let name = unsafe lane.name(of: place, range.count, in: 0) else { throw Failure("a block has no name") }
            return name
        }

        /// A frame alone, which is said to be of a kind.
        func say(_ kind: FrameHeader.Kind) { unsafe lane.post(UnsafePointer(header), kind) }

        /// Fills `count` bytes with `value` and writes them where `place` says; a frame follows them.
        func write(_ value: UInt8, _ count: Int, to place: RemotePlace) throws {
            for at in 0..<count { unsafe memory.bytes[at] = value }
            let source = unsafe try start(0)
            let payload = unsafe lane.payload(source, count, in: 0)
            unsafe lane.post(UnsafePointer(header), .slice, payload, target: (place.place, place.key), isSignaled: true)
        }

        /// Takes a frame; false when the lane fails, or ten seconds are over.
        func takes() -> Bool {
            let start = MonotonicClock.now()
            while lane.failure == nil && MonotonicClock.now().seconds(since: start) < 10 {
                lane.poll()
                if let frame = lane.nextArrived() {
                    lane.giveBack(frame)
                    return true
                }
                usleep(100)
            }
            return false
        }

        /// Why the lane fails, within ten seconds.
        func failure() -> String? {
            let start = MonotonicClock.now()
            while lane.failure == nil && MonotonicClock.now().seconds(since: start) < 10 {
                lane.poll()
                usleep(100)
            }
            return lane.failure
        }
    }

    private func connected(windows: Bool = true) throws -> (End, End) {
        let (one, other) = (try End(windows: windows), try End(windows: windows))
        try one.lane.connect(other.lane.offer, heartbeat: Self.heartbeat)
        try other.lane.connect(one.lane.offer, heartbeat: Self.heartbeat)
        return (one, other)
    }

    @Test("a key opens its block until the message is acknowledged, and then nothing")
    func ends() throws {
        let (writer, owner) = try connected()
        try #require(owner.context.hasWindows, "this device has no memory windows of type 2")
        for round in 1...300 {
            let offset = (round % 7) * 100_000
            let name = try owner.name(offset..<offset + 8192)
            owner.say(.consent)
            #expect(writer.takes())
            try writer.write(UInt8(truncatingIfNeeded: round), 8192, to: name)
            #expect(owner.takes())
            #expect(owner.byte(offset) == UInt8(truncatingIfNeeded: round) && owner.byte(offset + 8191) == owner.byte(offset))
            owner.lane.forget(key: name.key)
            owner.say(.acknowledge)
            #expect(writer.takes())
            if round < 300 { continue }
            try writer.write(77, 8192, to: name)
            #expect(writer.failure()?.contains("turned down a write") == true, "\(writer.lane.failure ?? "nothing")")
            #expect(owner.byte(offset) == UInt8(truncatingIfNeeded: round))
        }
    }

    @Test("a key to one lane's block opens nothing for another lane")
    func belongsToItsPair() throws {
        let (writer, owner) = try connected()
        try #require(owner.context.hasWindows, "this device has no memory windows of type 2")
        let name = try owner.name(0..<8192)
        owner.say(.consent)
        #expect(writer.takes())
        // Another lane into the same registration.
        let second = try VerbsLane(owner.context, links: 1)
        defer { second.destroy() }
        let stranger = try End(windows: true)
        try stranger.lane.connect(second.offer, heartbeat: Self.heartbeat)
        try second.connect(stranger.lane.offer, heartbeat: Self.heartbeat)
        try stranger.write(5, 8192, to: name)
        #expect(stranger.failure()?.contains("turned down a write") == true, "\(stranger.lane.failure ?? "nothing")")
        #expect(owner.byte(0) == 0)
        try writer.write(6, 8192, to: name)
        #expect(owner.takes() && owner.byte(0) == 6)
    }

    @Test("more blocks than a lane begins with windows are named at once")
    func many() throws {
        let (writer, owner) = try connected()
        var names: [RemotePlace] = []
        for place in 0..<20 {
            names.append(try owner.name(place * 10_000..<place * 10_000 + 5000))
            owner.say(.consent)
            #expect(writer.takes())
        }
        for (place, name) in names.enumerated().reversed() {
            try writer.write(UInt8(place + 1), 5000, to: name)
            #expect(owner.takes())
            owner.lane.forget(key: name.key)
            owner.say(.acknowledge)
            #expect(writer.takes())
        }
        #expect((0..<20).allSatisfy { owner.byte($0 * 10_000 + 4999) == UInt8($0 + 1) })
    }

    @Test("without windows a key is good for the whole region, as the documentation says")
    func without() throws {
        let (writer, owner) = try connected(windows: false)
        let name = try owner.name(0..<8192)
        owner.say(.consent)
        #expect(writer.takes())
        owner.lane.forget(key: name.key)
        var elsewhere = name
        elsewhere.place += 500_000
        try writer.write(9, 8192, to: elsewhere)
        #expect(owner.takes() && owner.byte(500_000) == 9)
    }
}
