// Where a process runs and takes its memory from: the one place that binds, and the one that looks where pages really lie.
import CRingSystem

/// Nodes of a NUMA machine that a process is bound to. Which nodes there are, and with which cores, is somebody else's knowledge.
public struct HomeNodes: Hashable, Sendable {
    /// How memory is taken.
    public enum Taking: String, Hashable, Sendable, CaseIterable {
        /// From these nodes, and from others when these have none left.
        case prefer
        /// From these nodes alone: when they have none left the system ends the process.
        case bind
    }

    /// The nodes, in order.
    public let nodes: [Int]
    /// The cores that are used, in order.
    public let cpus: [Int]
    /// How memory is taken.
    public let taking: Taking
    /// Why the system did not let the policy for memory be set, if so: pages then lie where bound threads first touch them.
    public private(set) var policyRefusal: String?

    /// `nodes` and their `cpus`, neither empty.
    public init(nodes: [Int], cpus: [Int], taking: Taking = .prefer) {
        precondition(!nodes.isEmpty && !cpus.isEmpty, "a home without nodes or without cores")
        (self.nodes, self.cpus, self.taking) = (nodes.sorted(), cpus.sorted(), taking)
    }

    /// Binds this process: its threads to the cores, the caller's memory and that of all threads that it starts to the nodes. To be
    /// called before there is a second thread, since a thread's memory policy is its own. Throws `.system` when the system does not
    /// let the process run there, or has no memory policy and `taking` insists on one.
    public mutating func moveIn() throws(TransportError) {
        let cores = Self.set(cpus)
        let error = unsafe cores.withUnsafeBufferPointer { unsafe ring_process_run_on($0.baseAddress!, $0.count) }
        guard error == 0 else { throw .system("threads cannot be bound to cores \(cpus): \(systemText(error))") }
        let words = Self.set(nodes)
        let refusal = unsafe words.withUnsafeBufferPointer {
            unsafe ring_thread_take_memory($0.baseAddress!, $0.count, taking == .bind ? 1 : 0)
        }
        guard refusal != 0 else { return }
        let reason = "the system refuses a memory policy for node \(nodes.map(String.init).joined(separator: ", ")): \(systemText(refusal))"
        guard taking == .prefer else { throw .system(reason) }
        policyRefusal = reason
    }

    /// The nodes that the calling thread takes memory from first or alone; none if it takes it from where it runs.
    public static func ofThisThread() -> [Int] {
        var words = [UInt64](repeating: 0, count: 16)
        var strict: Int32 = 0
        let error = unsafe words.withUnsafeMutableBufferPointer { unsafe ring_thread_memory_nodes($0.baseAddress!, $0.count, &strict) }
        guard error == 0, strict > 0 else { return [] }
        return words.indices.flatMap { word in (0..<64).filter { words[word] >> UInt64($0) & 1 == 1 }.map { 64 * word + $0 } }
    }

    /// A set as the kernel takes it.
    static func set(_ numbers: [Int]) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: (numbers.max() ?? 0) / 64 + 1)
        for number in numbers { words[number / 64] |= 1 << UInt64(number % 64) }
        return words
    }
}

/// On which nodes pages lie.
public struct PageCount: Hashable, Sendable {
    /// Pages by node.
    public private(set) var byNode: [Int: Int] = [:]
    /// Pages that were looked at and that nobody has touched.
    public private(set) var untouched = 0

    /// No page yet.
    public init() {}

    /// Pages that somebody has touched.
    public var touched: Int { byNode.values.reduce(0, +) }

    /// Pages on `nodes`.
    public func on(_ nodes: [Int]) -> Int { Set(nodes).reduce(0) { $0 + (byNode[$1] ?? 0) } }

    /// Looks at the pages of `bytes`, at most `limit` of them, evenly spread. The kernel is asked; nothing is believed.
    @unsafe public mutating func look(at bytes: UnsafeRawBufferPointer, limit: Int = 1 << 16) throws(TransportError) {
        guard let base = bytes.baseAddress, bytes.count > 0, limit > 0 else { return }
        let page = Int(ring_page_size())
        let first = Int(bitPattern: base) / page * page
        let pages = (Int(bitPattern: base) + bytes.count - first + page - 1) / page
        let step = (pages + limit - 1) / limit
        let count = (pages + step - 1) / step
        var places = [Int32](repeating: -1, count: count)
        let start = unsafe base - (Int(bitPattern: base) - first)
        let error = unsafe places.withUnsafeMutableBufferPointer { unsafe ring_pages_locate(start, page * step, count, $0.baseAddress!) }
        guard error == 0 else { throw .system("the kernel does not tell where pages lie: \(systemText(error))") }
        for node in places { if node < 0 { untouched += 1 } else { byNode[Int(node), default: 0] += 1 } }
    }
}
