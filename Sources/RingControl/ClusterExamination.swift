// What is wrong with a cluster, worker by worker, from what its workers have told: the judgement behind `doctor --cluster`. Pure, so that
// every fault can be played.

/// Something that is wrong with a worker or its machine.
public struct ClusterFinding: Hashable, Sendable, Codable {
    /// What it is about: stable words for scripts.
    public enum Kind: String, Hashable, Sendable, Codable, CaseIterable {
        /// It runs another version than the coordinator.
        case version
        /// It computes with other kernels than most.
        case isa
        /// Its clock differs from the coordinator's.
        case clock
        /// Its interface takes packets of another size than most.
        case mtu
        /// It did not reach another worker.
        case unreachable
        /// It has RDMA, and may lock too little memory for it.
        case memlock
        /// An RDMA device of it has no address.
        case rdma
        /// A file system is nearly full.
        case disk
        /// Its memory lies on nodes that it does not run on.
        case locality
        /// Its machine's nodes are odd.
        case numa
        /// Its machine has several nodes, and it is bound to none.
        case unbound
        /// It gets no huge pages.
        case hugePages = "huge_pages"
        /// It is silent.
        case silent
        /// It tells nothing of its machine.
        case unknown
    }

    /// What it is about.
    public var kind: Kind
    /// Whether it is a fault; else it is advice.
    public var isFault: Bool
    /// The worker.
    public var worker: String
    /// Its machine.
    public var machine: String
    /// What is wrong, as a sentence without its end.
    public var text: String
    /// What to do about it.
    public var fix: String
}

/// Judges a cluster.
public struct ClusterExamination: Sendable {
    /// Seconds by which a clock may be off: certificates and logs of different machines are compared to the second.
    public static let clockSeconds = 1.0
    /// Least that a file system should have free, in bytes and as a share of it.
    public static let diskBytes = 1 << 30, diskShare = 0.02
    /// Least that may be locked where there is RDMA: buffers of a long context.
    public static let lockedBytes = 1 << 30
    /// Least share of a bound worker's pages that should lie on its nodes, and pages from which on that is judged.
    public static let localShare = 0.99, localPages = 256

    private let workers: [WorkerView]
    private let version: String

    /// The workers of a coordinator of that version.
    public init(_ workers: [WorkerView], version: String) {
        self.workers = workers.sorted { $0.registration.name < $1.registration.name }
        self.version = version
    }

    /// What is wrong, by worker; faults of each before advice.
    public var findings: [ClusterFinding] {
        let isa = Self.most(workers.map(\.registration.isa))
        let mtu = Self.most(workers.compactMap { Self.mtu(of: $0) })
        return workers.flatMap { worker in
            let found = registrationFindings(worker, isa: isa) + memoryFindings(worker) + factFindings(worker, mtu: mtu)
            return found.filter(\.isFault) + found.filter { !$0.isFault }
        }
    }

    /// The value that most have; of several, the greatest.
    private static func most<Value: Comparable>(_ values: [Value]) -> Value? {
        var (best, run): ((value: Value, count: Int)?, (value: Value, count: Int)?)
        for value in values.sorted() {
            let count = run?.value == value ? (run?.count ?? 0) + 1 : 1
            run = (value, count)
            if count >= best?.count ?? 0 { best = run }
        }
        return best?.value
    }

    /// Packets of a network; loopback has none to speak of.
    private static func mtu(of worker: WorkerView) -> Int? {
        guard let facts = worker.facts, facts.interface != "lo" else { return nil }
        return facts.mtu
    }

    private func finding(
        _ kind: ClusterFinding.Kind, _ worker: WorkerView, _ text: String, _ fix: String, isFault: Bool = true
    ) -> ClusterFinding {
        ClusterFinding(
            kind: kind, isFault: isFault, worker: worker.registration.name, machine: worker.registration.machine, text: text, fix: fix)
    }

    private func registrationFindings(_ worker: WorkerView, isa: String?) -> [ClusterFinding] {
        var found: [ClusterFinding] = []
        let registration = worker.registration
        if worker.health == .suspected {
            found.append(finding(.silent, worker, "is silent", "see whether its process and its machine are there, then its log"))
        }
        if registration.version != version {
            found.append(
                finding(
                    .version, worker, "runs version \(registration.version), the coordinator \(version)",
                    "install one version everywhere and restart this worker"))
        }
        if let isa, registration.isa != isa {
            found.append(
                finding(
                    .isa, worker, "computes with \(registration.isa), most others with \(isa)",
                    "results round differently: set RINGMASTER_ISA to one table everywhere, or leave this machine out"))
        }
        if registration.numaNodes > 1, registration.homeNodes == nil {
            found.append(
                finding(
                    .unbound, worker, "runs anywhere on a machine of \(registration.numaNodes) NUMA nodes",
                    "start it with --per-numa-node, or with --numa-node", isFault: false))
        }
        return found
    }

    private func memoryFindings(_ worker: WorkerView) -> [ClusterFinding] {
        guard let locality = worker.locality, locality.pages >= Self.localPages, locality.share < Self.localShare else { return [] }
        let nodes = locality.nodes.map { "\($0)" }.joined(separator: ", ")
        let tenths = Int(1000 * locality.share)
        return [
            finding(
                .locality, worker, "only \(tenths / 10).\(tenths % 10)% of its memory lies on node \(nodes), where it runs",
                "free memory on that node, or give the worker fewer tokens; restart it afterwards")
        ]
    }
}

extension ClusterExamination {
    private func factFindings(_ worker: WorkerView, mtu: Int?) -> [ClusterFinding] {
        guard let facts = worker.facts else {
            return [
                finding(
                    .unknown, worker, "has told nothing of its machine yet",
                    "ask again in a minute; if it stays so, look for its requests in the coordinator's log", isFault: false)
            ]
        }
        return networkFindings(worker, facts, mtu: mtu) + machineFindings(worker, facts)
    }

    private func networkFindings(_ worker: WorkerView, _ facts: WorkerFacts, mtu: Int?) -> [ClusterFinding] {
        var found: [ClusterFinding] = []
        if let ahead = facts.clockAheadSeconds, abs(ahead) - (facts.clockErrorSeconds ?? 0) > Self.clockSeconds {
            let tenths = Int(min(abs(ahead), 1e9) * 10)
            found.append(
                finding(
                    .clock, worker, "its clock is \(tenths / 10).\(tenths % 10) s \(ahead > 0 ? "ahead of" : "behind") the coordinator's",
                    "let chrony or systemd-timesyncd set it: certificates and logs go by it"))
        }
        if let mtu, let own = Self.mtu(of: worker), own != mtu {
            found.append(
                finding(
                    .mtu, worker, "interface \(facts.interface ?? "?") has MTU \(own), most others \(mtu)",
                    "ip link set \(facts.interface ?? "DEV") mtu \(mtu), and the same on the switch"))
        }
        for peer in facts.unreachable {
            found.append(
                finding(
                    .unreachable, worker, "does not reach worker \(peer.worker): \(peer.reason)",
                    "open that port in the firewall, or give that worker a --data-listen that others reach"))
        }
        for device in facts.rdma where device.gids.isEmpty {
            found.append(
                finding(
                    .rdma, worker, "RDMA device \(device.device) has no address",
                    "bring its interface up and give it an IP address, or RDMA is not used"))
        }
        return found
    }

    private func machineFindings(_ worker: WorkerView, _ facts: WorkerFacts) -> [ClusterFinding] {
        var found: [ClusterFinding] = []
        if !facts.rdma.isEmpty, let limit = facts.lockedBytesMax, limit < Self.lockedBytes {
            found.append(
                finding(
                    .memlock, worker, "has RDMA and may lock \(limit / 1024) KiB",
                    "LimitMEMLOCK=infinity in its unit, or memlock unlimited in /etc/security/limits.conf"))
        }
        for disk in facts.disks
        where disk.freeBytes < Self.diskBytes || Double(disk.freeBytes) < Self.diskShare * Double(disk.totalBytes) {
            found.append(
                finding(
                    .disk, worker, "its \(disk.folder) folder has \(disk.freeBytes >> 20) MiB of \(disk.totalBytes >> 20) MiB left",
                    "make room, or give it another --\(disk.folder)"))
        }
        for problem in facts.numaProblems {
            found.append(finding(.numa, worker, problem, "see ringmaster doctor on that machine"))
        }
        let getsNone = facts.transparentHugePages == "never" || facts.transparentHugePages == "none"
        if getsNone, facts.hugePageBytes == 0 {
            found.append(
                finding(
                    .hugePages, worker, "gets no huge pages",
                    "echo madvise > /sys/kernel/mm/transparent_hugepage/enabled spares the kernels many page walks", isFault: false))
        }
        return found
    }
}
