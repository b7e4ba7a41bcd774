// The same pair of ranks as everywhere, but on two machines: each of them runs these tests as its own rank. `Scripts/lab-test pair`
// starts them, with their addresses in the environment. Between two machines there is a network, which may be slow, lose packets, or go.
import Glibc
import RingCore
import RingTransport
import Testing

/// What `Scripts/lab-test pair` says.
enum LabPair {
    /// Our rank and the addresses of both machines.
    static let place: (rank: Int, hosts: [String])? = {
        guard let rank = unsafe getenv("RINGMASTER_LAB_RANK"), let hosts = unsafe getenv("RINGMASTER_LAB_HOSTS") else { return nil }
        let names = unsafe String(cString: hosts).split { $0 == " " || $0 == "," }.map(String.init)
        guard let number = unsafe Int(String(cString: rank)), names.count == 2, names.indices.contains(number) else { return nil }
        return (number, names)
    }()

    /// Connects with the other machine over RDMA at `port`, runs `body`, and closes.
    static func connected(_ port: UInt16, portGrace: Duration = .seconds(2), _ body: (EndpointOf<TCPTransport>) throws -> Void) throws {
        guard let (rank, hosts) = place else { throw Failure("this is no pair of machines") }
        let listener = try TCPListener(host: hosts[rank], port: port)
        var options = TCPOptions()
        options.lane = .rdma
        options.rdma.portGrace = portGrace
        let wire = try TCPTransport.connect(
            listener: listener, rank: Rank(rank), world: WorldSize(2), peers: hosts.map { PeerAddress($0, port) },
            secret: Array("secret".utf8), epoch: Epoch(1), job: JobNumber(1), deadline: .seconds(60), options: options)
        // The lab's own barrier keeps the machines together where no message does.
        let end = EndpointOf(wire, barrier: Barrier(1))
        defer { end.close() }
        guard end.lane(to: end.next) == .rdma else { throw Failure("the lane is \(String(describing: end.lane(to: end.next)))") }
        try body(end)
    }

    /// Waits for the other machine, by way of the host and not of the network.
    static func meet(_ name: String) throws { try run(["vm-barrier", name, "30"]) }

    static func run(_ arguments: [String]) throws {
        let code = try Child.run(arguments)
        if code != 0 { throw Failure("\(arguments.joined(separator: " ")) ends with \(code)") }
    }

    /// Lets this machine's card treat what it sends as `netem` says; `nil` ends that.
    static func treat(_ how: String?) throws {
        let words = how.map { ["add", "dev", "eth0", "root", "netem"] + $0.split(separator: " ").map(String.init) }
        try run(["tc", "qdisc"] + (words ?? ["del", "dev", "eth0", "root"]))
    }
}

@Suite("RDMA between machines", .serialized, .timeLimit(.minutes(5)), .enabled(if: LabPair.place != nil, "only by Scripts/lab-test pair"))
struct PairTests {
    private static let sizes = [1, 64, 4096, 4097, 65_537, 300_000, 1 << 20, (3 << 20) + 17]

    /// Messages of `sizes` both ways at once, compared with what was sent.
    private func exchange(_ end: Endpoint, _ sizes: [Int] = sizes, steps: Range<Int>) throws {
        for step in steps {
            for (piece, size) in sizes.enumerated() {
                let (out, back) = (try end.memory(size), try end.memory(size))
                out.fill(seed: UInt64(end.rank.index * 1000 + step * 100 + piece))
                let receive = try end.receive(back, from: end.next, tag(piece, step: step))
                let send = try end.send(out, to: end.next, tag(piece, step: step))
                try end.expect(.received, receive)
                try end.expect(.sent, send)
                let found = back.checksum
                back.fill(seed: UInt64(end.next.index * 1000 + step * 100 + piece))
                guard found == back.checksum else { throw Failure("\(size) bytes of step \(step) changed on their way") }
            }
        }
    }

    @Test("messages of all sizes go both ways at once and arrive whole, by RDMA")
    func bothWays() throws {
        try LabPair.connected(7801) { end in
            try exchange(end, steps: 0..<3)
            let moved = UInt64(3 * Self.sizes.reduce(0, +))
            #expect(end.counters.bytesReceived == moved && end.counters.bytesSent == moved)
        }
    }

    @Test("a slow network delays messages and changes none")
    func slowNetwork() throws {
        try LabPair.connected(7802) { end in
            try LabPair.treat("delay 3ms")
            defer { try? LabPair.treat(nil) }
            try exchange(end, steps: 0..<1)
            try LabPair.meet("slow network")
        }
    }

    @Test("a network that loses packets changes no message; where the device does not get over it the peer is lost, by name")
    func lossyNetwork() throws {
        try LabPair.connected(7808) { end in
            try LabPair.treat("delay 1ms loss 0.3%")
            defer { try? LabPair.treat(nil) }
            do { try exchange(end, steps: 0..<1) } catch {
                // Soft-RoCE of Linux 6.1 now and then stands still after a loss; then silence is what is noticed.
                let reason = end.lossReason(of: end.next) ?? ""
                guard ["silent for", "no answer from it", "its connection was closed"].contains(where: reason.contains) else { throw error }
            }
            #expect(end.counters.checksumFailures == 0)
            try LabPair.meet("lossy network")
        }
        try LabPair.connected(7809) { try exchange($0, [1000, 1 << 20], steps: 0..<1) }
    }

    @Test("a network that is away for half a second delays a message; the device's repetitions bring it")
    func shortOutage() throws {
        try LabPair.connected(7803) { end in
            try exchange(end, [1000], steps: 0..<1)
            try LabPair.meet("before the outage")
            try LabPair.treat("loss 100%")
            let thread = try PinnedThread.start(name: "outage") {
                usleep(500_000)
                try? LabPair.treat(nil)
            }
            defer { thread.join() }
            try exchange(end, [1000, 1 << 20], steps: 1..<2)
        }
    }

    @Test("a network that is away for good loses the peer on both sides, by name; when it is back the next ring works")
    func longOutage() throws {
        try LabPair.connected(7804) { end in
            let block = try end.memory(4 << 20)
            try exchange(end, [1000], steps: 0..<1)
            try LabPair.meet("before the end")
            try LabPair.treat("loss 100%")
            defer { try? LabPair.treat(nil) }
            let start = MonotonicClock.now()
            let ticket =
                end.rank.index == 0 ? try end.send(block, to: Rank(1), tag(9)) : try end.receive(block, from: Rank(0), tag(9))
            try end.expect(.lost, ticket, within: 30)
            let reason = end.lossReason(of: end.next) ?? "none"
            #expect(reason.contains("RDMA: no answer from it"), "\(reason)")
            #expect(MonotonicClock.now().seconds(since: start) < 9, "only its silence was noticed")
            try LabPair.meet("both have lost")
        }
        try LabPair.meet("the network is back")
        try LabPair.connected(7805) { try exchange($0, [1000, 1 << 20], steps: 0..<1) }
    }

    @Test("an interface that goes down under a message loses the peer on both sides, by name; up again, the next ring works")
    func interfaceDown() throws {
        try LabPair.connected(7806, portGrace: .milliseconds(500)) { end in
            // A second's worth of bytes and more, so that the message is still under way when the interface has gone.
            let block = try end.memory(96 << 20)
            if end.rank.index == 0 { block.fill(seed: 1) }
            try exchange(end, [1000], steps: 0..<1)
            let ticket =
                end.rank.index == 0 ? try end.send(block, to: Rank(1), tag(9)) : try end.receive(block, from: Rank(0), tag(9))
            if end.rank.index == 1 {
                // The first slice is there, so the message is under way.
                for _ in 0..<20_000 where unsafe block.bytes[7] == 0 { usleep(500) }
                try LabPair.run(["ip", "link", "set", "eth0", "down"])
            }
            try end.expect(.lost, ticket, within: 30)
            let reason = end.lossReason(of: end.next) ?? "none"
            // The end whose own port is down says so; the other hears nothing any more, or that the connection has ended meanwhile.
            let expected = end.rank.index == 1 ? ["is down"] : ["RDMA: no answer from it", "its connection was closed"]
            #expect(expected.contains(where: reason.contains), "\(reason)")
            // Not when both have met: packets for a card that is down pile up in the emulated network until the sender's kernel
            // holds some of them, and it ends no queue pair before they have left.
            if end.rank.index == 1 {
                sleep(3)
                try LabPair.run(["ip", "link", "set", "eth0", "up"])
            }
            try LabPair.meet("both have lost each other")
        }
        let start = MonotonicClock.now()
        while (try? RDMADevice.choose()) == nil {
            if MonotonicClock.now().seconds(since: start) > 20 { throw Failure("the port does not come up again") }
            usleep(10_000)
        }
        try LabPair.meet("the interface is up")
        try LabPair.connected(7807) { try exchange($0, [1000, 1 << 20], steps: 0..<1) }
    }
}
