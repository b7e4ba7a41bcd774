// The same pair of ranks as everywhere, but on two machines: each of them runs this test as its own rank. `Scripts/lab-test pair`
// starts them, with their addresses in the environment.
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
}

@Suite("RDMA between machines", .serialized, .timeLimit(.minutes(5)), .enabled(if: LabPair.place != nil, "only by Scripts/lab-test pair"))
struct PairTests {
    private static let sizes = [1, 64, 4096, 4097, 65_537, 300_000, 1 << 20, (3 << 20) + 17]

    @Test("messages of all sizes go both ways at once and arrive whole, by RDMA")
    func bothWays() throws {
        let (rank, hosts) = try #require(LabPair.place)
        let port: UInt16 = 7801
        let listener = try TCPListener(host: hosts[rank], port: port)
        var options = TCPOptions()
        options.lane = .rdma
        let wire = try TCPTransport.connect(
            listener: listener, rank: Rank(rank), world: WorldSize(2), peers: hosts.map { PeerAddress($0, port) },
            secret: Array("secret".utf8), epoch: Epoch(1), job: JobNumber(1), deadline: .seconds(60), options: options)
        // No barrier between machines is needed: the messages themselves are one.
        let end = EndpointOf(wire, barrier: Barrier(1))
        #expect(end.lane(to: end.next) == .rdma)
        var moved = 0
        for step in 0..<5 {
            for (piece, size) in Self.sizes.enumerated() {
                let (out, back) = (try end.memory(size), try end.memory(size))
                out.fill(seed: UInt64(rank * 1000 + step * 100 + piece))
                let receive = try end.receive(back, from: end.next, tag(piece, step: step))
                let send = try end.send(out, to: end.next, tag(piece, step: step))
                try end.expect(.received, receive)
                try end.expect(.sent, send)
                let found = back.checksum
                back.fill(seed: UInt64((1 - rank) * 1000 + step * 100 + piece))
                #expect(found == back.checksum, "\(size) bytes of step \(step) changed on their way")
                moved += size
            }
        }
        #expect(end.counters.bytesReceived == UInt64(moved) && end.counters.bytesSent == UInt64(moved))
        end.close()
    }
}
