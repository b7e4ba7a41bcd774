// The nodes of a machine: which cores, how much memory, how far from each other, and which network cards hang off which. Values only;
// NUMATopology+Reading.swift fills them from a folder like /sys.

/// Huge pages of one size that are set aside on a node.
public struct HugePagePool: Hashable, Sendable {
    /// Bytes of a page.
    public var pageBytes: Int
    /// Pages that nobody has.
    public var free: Int
    /// Pages in all.
    public var total: Int

    /// A pool of its parts.
    public init(pageBytes: Int, free: Int, total: Int) {
        (self.pageBytes, self.free, self.total) = (pageBytes, free, total)
    }
}

/// One NUMA node.
public struct NUMANode: Hashable, Sendable {
    /// Its number in the kernel.
    public var id: Int
    /// Its cores, in order.
    public var cpus: [Int]
    /// Its memory in bytes; 0 is a node of cores alone.
    public var memoryBytes: Int
    /// Bytes of it that are free.
    public var freeBytes: Int
    /// Distances to the nodes of the topology, in their order: 10 is near. Empty when the machine does not tell.
    public var distances: [Int]
    /// Huge pages that are set aside.
    public var hugePages: [HugePagePool]

    /// Whether a worker can live here: it needs cores and memory.
    public var isUsable: Bool { !cpus.isEmpty && memoryBytes > 0 }
}

/// A network card or an RDMA device.
public struct NetworkAdapter: Hashable, Sendable {
    /// What it is.
    public enum Kind: String, Hashable, Sendable {
        /// An interface of the kernel's network.
        case network
        /// A device for verbs.
        case rdma
    }

    /// Its name.
    public var name: String
    /// What it is.
    public var kind: Kind
    /// The node that its bus hangs off; `nil` if the machine has one only or does not tell.
    public var node: Int?
    /// Largest packet; 0 if unknown, as for RDMA devices.
    public var mtu = 0
    /// The interface under an RDMA device, if there is one.
    public var interface: String?
    /// Addresses of an RDMA device: those of its GID table that are set.
    public var gids: [String] = []
}

/// What is odd about a machine's nodes.
public enum NUMAProblem: Hashable, Sendable, CustomStringConvertible {
    /// The kernel tells of no node: the machine counts as one.
    case noNodes
    /// A file is missing or cannot be read.
    case unreadable(String)
    /// A file says what cannot be.
    case garbage(file: String, text: String)
    /// A core belongs to two nodes.
    case sharedCPU(Int, Int, Int)
    /// Two nodes disagree about how far they are from each other.
    case asymmetric(Int, Int, there: Int, back: Int)
    /// A node is said to be nearer to others than to itself.
    case farFromItself(Int)
    /// A node has memory and no cores, as memory behind CXL has.
    case withoutCPUs(Int)
    /// A node has cores and no memory.
    case withoutMemory(Int)
    /// A node is there and not online.
    case offline(Int)

    /// Whether something should be done about it.
    public var isFault: Bool {
        switch self {
        case .noNodes, .withoutCPUs, .offline: false
        case .unreadable, .garbage, .sharedCPU, .asymmetric, .farFromItself, .withoutMemory: true
        }
    }

    /// A sentence for people.
    public var description: String {
        switch self {
        case .noNodes: "the kernel tells of no NUMA node: the machine counts as one"
        case .unreadable(let file): "\(file) is missing or cannot be read"
        case .garbage(let file, let text): "\(file) says \(String(text.prefix(40)).debugDescription), which cannot be"
        case .sharedCPU(let cpu, let first, let second): "core \(cpu) belongs to node \(first) and to node \(second)"
        case .asymmetric(let first, let second, let there, let back):
            "node \(first) is \(there) from node \(second), and \(back) the other way"
        case .farFromItself(let node): "node \(node) is nearer to others than to itself"
        case .withoutCPUs(let node): "node \(node) has memory and no cores: no worker lives there"
        case .withoutMemory(let node): "node \(node) has cores and no memory: what they compute on is never near"
        case .offline(let node): "node \(node) is not online"
        }
    }
}

/// The nodes of a machine.
public struct NUMATopology: Hashable, Sendable {
    /// Nodes that are online, by number; empty where the kernel tells of none.
    public var nodes: [NUMANode] = []
    /// Cards, by name.
    public var adapters: [NetworkAdapter] = []
    /// What is odd.
    public var problems: [NUMAProblem] = []

    /// The node of that number.
    public subscript(_ id: Int) -> NUMANode? { nodes.first { $0.id == id } }

    /// Nodes on which a worker that may use `cpus` can live.
    public func homes(for cpus: [Int]) -> [NUMANode] {
        let allowed = Set(cpus)
        return nodes.filter { $0.isUsable && !allowed.isDisjoint(with: $0.cpus) }
    }

    /// Deals `homes` to `workers` workers, in order: neighbours in the ring share a node or are next to each other. With fewer workers
    /// than nodes each gets several, so that no core is idle.
    public static func deal(_ homes: [Int], to workers: Int) -> [[Int]] {
        guard homes.count > 1 else { return Array(repeating: homes, count: workers) }
        return (0..<workers).map { place in
            let first = place * homes.count / workers
            let end = max((place + 1) * homes.count / workers, first + 1)
            return Array(homes[first..<end])
        }
    }
}
