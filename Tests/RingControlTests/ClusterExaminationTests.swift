// Each fault of a cluster, played with facts that are made up: seen where it is, by name and with a cure, and nowhere else.

import RingControl
import RingCore
import Testing

@Suite("Cluster examination")
struct ClusterExaminationTests {
    /// A worker in good health on a good machine.
    private func worker(
        _ name: String, change: (inout WorkerRegistration) -> Void = { _ in }, facts changeFacts: (inout WorkerFacts) -> Void = { _ in }
    ) throws -> WorkerView {
        var play = Play()
        play.join(name, machine: "machine-\(name)")
        var view = try #require(play.machine.workerViews(at: Moment(nanoseconds: 0)).first)
        change(&view.registration)
        var facts = WorkerFacts(clock: 1_000_000)
        (facts.clockAheadSeconds, facts.clockErrorSeconds) = (0.01, 0.001)
        (facts.interface, facts.mtu) = ("eth0", 9000)
        facts.lockedBytesMax = 8 << 20
        facts.transparentHugePages = "madvise"
        facts.disks = [DiskFacts(folder: "data", freeBytes: 100 << 30, totalBytes: 400 << 30)]
        facts.peersTried = 2
        changeFacts(&facts)
        view.facts = facts
        // Its connection has not been opened in this play.
        view.health = .ok
        return view
    }

    private func findings(_ odd: WorkerView) throws -> [ClusterFinding] {
        let others = [try worker("a"), try worker("b"), try worker("c")]
        let found = ClusterExamination(others + [odd], version: "1").findings
        #expect(found.allSatisfy { $0.worker == odd.registration.name && $0.machine == odd.registration.machine }, "\(found)")
        #expect(found.allSatisfy { !$0.text.isEmpty && !$0.fix.isEmpty })
        return found
    }

    private func expect(_ kind: ClusterFinding.Kind, isFault: Bool = true, _ odd: WorkerView, says words: String) throws {
        let found = try findings(odd)
        #expect(found.map(\.kind) == [kind] && found.map(\.isFault) == [isFault], "\(found)")
        #expect(found.first?.text.contains(words) == true, "\(found)")
    }

    @Test("a cluster in good health has nothing to be told of")
    func healthy() throws { #expect(try findings(worker("d")) == []) }

    @Test("an empty cluster too")
    func empty() { #expect(ClusterExamination([], version: "1").findings == []) }

    @Test("another version")
    func version() throws { try expect(.version, worker("d", change: { $0.version = "2" }), says: "runs version 2, the coordinator 1") }

    @Test("other kernels")
    func isa() throws { try expect(.isa, worker("d", change: { $0.isa = "avx512" }), says: "avx512, most others with avx2") }

    @Test("a clock that is off, either way, but not one that may be right", arguments: [-90.26, -1.2, 1.2, 90.26, 1e300])
    func clock(ahead: Double) throws {
        let way = ahead > 0 ? "ahead of" : "behind"
        try expect(.clock, worker("d", facts: { $0.clockAheadSeconds = ahead }), says: way)
        let unsure = try worker("d", facts: { facts in (facts.clockAheadSeconds, facts.clockErrorSeconds) = (ahead, abs(ahead)) })
        #expect(try findings(unsure) == [])
        #expect(try findings(worker("d", facts: { $0.clockAheadSeconds = 0.9 })) == [])
    }

    @Test("packets of another size, but not on loopback")
    func mtu() throws {
        try expect(.mtu, worker("d", facts: { $0.mtu = 1500 }), says: "interface eth0 has MTU 1500, most others 9000")
        #expect(try findings(worker("d", facts: { ($0.interface, $0.mtu) = ("lo", 65536) })) == [])
    }

    @Test("a port that cannot be reached")
    func unreachable() throws {
        let odd = try worker("d", facts: { $0.unreachable = [UnreachablePeer(worker: "a", reason: "10.0.0.1 port 9: Connection refused")] })
        try expect(.unreachable, odd, says: "does not reach worker a: 10.0.0.1 port 9: Connection refused")
    }

    @Test("little memory to lock, where there is RDMA")
    func memlock() throws {
        let gid = RDMAFacts(device: "mlx5_0", gids: ["::1"])
        try expect(.memlock, worker("d", facts: { $0.rdma = [gid] }), says: "may lock 8192 KiB")
        #expect(try findings(worker("d", facts: { ($0.rdma, $0.lockedBytesMax) = ([gid], nil) })) == [])
    }

    @Test("an RDMA device without an address")
    func gids() throws {
        let odd = try worker("d", facts: { ($0.rdma, $0.lockedBytesMax) = ([RDMAFacts(device: "mlx5_0", gids: [])], nil) })
        try expect(.rdma, odd, says: "mlx5_0")
    }

    @Test("a disk that is nearly full, in bytes or as a share", arguments: [(500 << 20, 2 << 30), (2 << 30, 400 << 30)] as [(Int, Int)])
    func disk(free: Int, total: Int) throws {
        let odd = try worker("d", facts: { $0.disks = [DiskFacts(folder: "state", freeBytes: free, totalBytes: total)] })
        try expect(.disk, odd, says: "its state folder has \(free >> 20) MiB of \(total >> 20) MiB left")
    }

    @Test("memory that lies elsewhere, once there is enough of it to judge")
    func locality() throws {
        var odd = try worker("d", change: { $0.homeNodes = [1] })
        odd.locality = MemoryLocality(nodes: [1], pages: 10_000, pagesLocal: 9_899, hugeBytes: 0)
        try expect(.locality, odd, says: "only 98.9% of its memory lies on node 1")
        odd.locality?.pagesLocal = 9_900
        #expect(try findings(odd) == [])
        odd.locality = MemoryLocality(nodes: [1], pages: 200, pagesLocal: 0, hugeBytes: 0)
        #expect(try findings(odd) == [])
    }

    @Test("odd nodes, and a machine of several that is not made use of")
    func nodes() throws {
        try expect(.numa, worker("d", facts: { $0.numaProblems = ["node 1 has no memory"] }), says: "node 1 has no memory")
        try expect(.unbound, isFault: false, worker("d", change: { $0.numaNodes = 4 }), says: "4 NUMA nodes")
        #expect(try findings(worker("d", change: { ($0.numaNodes, $0.homeNodes) = (4, [2]) })) == [])
    }

    @Test("no huge pages is advice, and none where some are set aside", arguments: ["never", "none"])
    func hugePages(mode: String) throws {
        try expect(.hugePages, isFault: false, worker("d", facts: { $0.transparentHugePages = mode }), says: "no huge pages")
        #expect(try findings(worker("d", facts: { ($0.transparentHugePages, $0.hugePageBytes) = (mode, 2 << 20) })) == [])
    }

    @Test("silence, and nothing told")
    func silence() throws {
        var odd = try worker("d")
        odd.health = .suspected
        try expect(.silent, odd, says: "silent")
        odd.health = .ok
        odd.facts = nil
        try expect(.unknown, isFault: false, odd, says: "nothing of its machine")
    }

    @Test("several faults of one worker come before advice, and workers by name")
    func order() throws {
        let many = try worker(
            "b",
            facts: { facts in
                facts.transparentHugePages = "never"
                facts.unreachable = [UnreachablePeer(worker: "c", reason: "no answer")]
            })
        let found = ClusterExamination([try worker("c", change: { $0.version = "9" }), many, try worker("a")], version: "1").findings
        #expect(found.map(\.worker) == ["b", "b", "c"] && found.map(\.kind) == [.unreachable, .hugePages, .version])
    }

    @Test("whatever a worker tells is kept within bounds")
    func bounds() {
        var facts = WorkerFacts(clock: .nan)
        (facts.clockAheadSeconds, facts.clockErrorSeconds) = (.infinity, -1)
        facts.rdma = Array(
            repeating: RDMAFacts(device: String(repeating: "x", count: 9000), gids: Array(repeating: "g", count: 900)), count: 900)
        facts.unreachable = Array(repeating: UnreachablePeer(worker: "w", reason: String(repeating: "\u{e9}", count: 900)), count: 900)
        facts.numaProblems = Array(repeating: "p", count: 900)
        facts.disks = Array(repeating: DiskFacts(folder: "f", freeBytes: -1, totalBytes: .min), count: 900)
        let bounded = facts.bounded
        #expect(bounded.clock == 0 && bounded.clockAheadSeconds == nil && bounded.clockErrorSeconds == nil)
        #expect([bounded.rdma.count, bounded.unreachable.count, bounded.numaProblems.count, bounded.disks.count] == [64, 64, 64, 64])
        #expect(bounded.rdma[0].device.utf8.count == 256 && bounded.rdma[0].gids.count == 64)
        #expect(bounded.unreachable[0].reason.utf8.count <= 260 && bounded.disks[0] == DiskFacts(folder: "f", freeBytes: 0, totalBytes: 0))
        #expect(bounded.bounded == bounded)
    }
}
