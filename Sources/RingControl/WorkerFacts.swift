// What a worker tells of its machine from time to time, beside its registration: all that `doctor --cluster` compares. Nothing here is
// decided upon; a worker that says nothing works all the same.

/// A folder's file system.
public struct DiskFacts: Hashable, Sendable, Codable {
    /// What the worker keeps there: `data` or `state`.
    public var folder: String
    /// Bytes that it may still write.
    public var freeBytes: Int
    /// Bytes in all.
    public var totalBytes: Int

    /// A file system of its parts.
    public init(folder: String, freeBytes: Int, totalBytes: Int) {
        (self.folder, self.freeBytes, self.totalBytes) = (folder, freeBytes, totalBytes)
    }
}

/// An RDMA device.
public struct RDMAFacts: Hashable, Sendable, Codable {
    /// Its name.
    public var device: String
    /// Addresses of its GID table that are set.
    public var gids: [String]

    /// A device of its parts.
    public init(device: String, gids: [String]) { (self.device, self.gids) = (device, gids) }
}

/// A worker that another one could not reach.
public struct UnreachablePeer: Hashable, Sendable, Codable {
    /// Its name.
    public var worker: String
    /// The address that was tried, and what the system said.
    public var reason: String

    /// A worker and the reason.
    public init(worker: String, reason: String) { (self.worker, self.reason) = (worker, reason) }
}

/// What a worker tells of its machine.
public struct WorkerFacts: Hashable, Sendable, Codable {
    /// Its clock when it said this, in seconds since 1970.
    public var clock: Double
    /// How far its clock was ahead of the coordinator's when it last compared them, in seconds; `nil` before it has.
    public var clockAheadSeconds: Double?
    /// How far off that may be: half of the comparison's round trip.
    public var clockErrorSeconds: Double?
    /// The interface of its data address, if the address is one of the machine's own.
    public var interface: String?
    /// The interface's largest packet.
    public var mtu: Int?
    /// Most bytes that it may lock in memory; `nil` is no limit.
    public var lockedBytesMax: Int?
    /// Its machine's RDMA devices.
    public var rdma: [RDMAFacts]
    /// How transparent huge pages are given: `always`, `madvise`, `never` or `none`.
    public var transparentHugePages: String
    /// Bytes of huge pages that are set aside.
    public var hugePageBytes: Int
    /// Where it writes.
    public var disks: [DiskFacts]
    /// What is wrong with its machine's NUMA nodes.
    public var numaProblems: [String]
    /// How many other workers it has tried to reach over the data plane.
    public var peersTried: Int
    /// Those that it did not reach.
    public var unreachable: [UnreachablePeer]

    /// Facts of a machine that has told nothing but the time.
    public init(clock: Double) {
        self.clock = clock
        rdma = []
        transparentHugePages = "none"
        hugePageBytes = 0
        disks = []
        numaProblems = []
        peersTried = 0
        unreachable = []
    }

    /// The same with every list and text within its bound, whatever the worker said.
    public var bounded: WorkerFacts {
        func cut(_ text: String) -> String { String(decoding: text.utf8.prefix(ControlLimits.factBytes), as: UTF8.self) }
        var facts = self
        facts.interface = interface.map(cut)
        facts.transparentHugePages = cut(transparentHugePages)
        facts.rdma = rdma.prefix(ControlLimits.facts).map {
            RDMAFacts(device: cut($0.device), gids: $0.gids.prefix(ControlLimits.facts).map(cut))
        }
        facts.disks = disks.prefix(ControlLimits.facts).map {
            DiskFacts(folder: cut($0.folder), freeBytes: max(0, $0.freeBytes), totalBytes: max(0, $0.totalBytes))
        }
        facts.numaProblems = numaProblems.prefix(ControlLimits.facts).map(cut)
        facts.unreachable = unreachable.prefix(ControlLimits.facts).map {
            UnreachablePeer(worker: cut($0.worker), reason: cut($0.reason))
        }
        if !clock.isFinite { facts.clock = 0 }
        if let ahead = clockAheadSeconds, !ahead.isFinite { facts.clockAheadSeconds = nil }
        if let error = clockErrorSeconds, !(error.isFinite && error >= 0) { facts.clockErrorSeconds = nil }
        return facts
    }
}

/// What the coordinator answers to a worker's facts.
public struct FactsAnswer: Hashable, Sendable, Codable {
    /// The coordinator's clock, in seconds since 1970.
    public var clock: Double
    /// Workers that it may try to reach: those that would come next in a ring.
    public var peers: [Peer]

    /// An answer of its parts.
    public init(clock: Double, peers: [Peer]) { (self.clock, self.peers) = (clock, peers) }
}
