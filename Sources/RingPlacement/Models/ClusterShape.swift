// A cluster as a plan sees it: machines of one or several kinds, what each holds and how fast it computes, reads and sends, and the racks
// they stand in. The figures are peaks, as measured or as the maker states them; what of a peak is reached is an assumption of the plan.

/// Machines of one kind.
public struct MachineShape: Hashable, Sendable {
    /// What people call the kind.
    public var name: String
    /// How many there are.
    public var count: Int
    /// Bytes of memory of one.
    public var memoryBytes: Double
    /// Bytes of it that the operating system and everything else keep.
    public var reservedBytes: Double
    /// Workers of one: its NUMA nodes, each with an even share of memory, cores and bandwidth.
    public var workers: Int
    /// FLOP/s of one at its peak, in the type that products are computed in (bf16), all cores together.
    public var flopsPerSecond: Double
    /// Bytes/s that one reads from its memory at its peak, all NUMA nodes together.
    public var memoryBytesPerSecond: Double
    /// Bytes/s that one sends, and at the same time receives.
    public var linkBytesPerSecond: Double
    /// Seconds from the sending of a small message to its receipt.
    public var latencySeconds: Double
    /// Bytes of NVMe that experts may lie on.
    public var nvmeBytes: Double
    /// Bytes/s that one reads from its NVMe.
    public var nvmeBytesPerSecond: Double
    /// What an hour of one costs, in whatever money the file is written in.
    public var pricePerHour: Double?

    /// Machines of a kind, without NVMe and without a price.
    public init(
        name: String, count: Int, memoryBytes: Double, reservedBytes: Double = 0, workers: Int = 1, flopsPerSecond: Double,
        memoryBytesPerSecond: Double, linkBytesPerSecond: Double, latencySeconds: Double = 30e-6, nvmeBytes: Double = 0,
        nvmeBytesPerSecond: Double = 0, pricePerHour: Double? = nil
    ) {
        (self.name, self.count, self.memoryBytes, self.reservedBytes) = (name, count, memoryBytes, reservedBytes)
        (self.workers, self.flopsPerSecond, self.memoryBytesPerSecond) = (workers, flopsPerSecond, memoryBytesPerSecond)
        (self.linkBytesPerSecond, self.latencySeconds) = (linkBytesPerSecond, latencySeconds)
        (self.nvmeBytes, self.nvmeBytesPerSecond, self.pricePerHour) = (nvmeBytes, nvmeBytesPerSecond, pricePerHour)
    }

    /// Bytes that one worker may fill.
    public var workerBytes: Double { (memoryBytes - reservedBytes) / Double(workers) }
}

/// Racks: so many machines each, in the order of the file, and what goes in and out of one.
public struct RackShape: Hashable, Sendable {
    /// Machines of a full rack.
    public var machines: Int
    /// Bytes/s that a rack sends to all others, and at the same time receives.
    public var uplinkBytesPerSecond: Double

    /// Racks of a size.
    public init(machines: Int, uplinkBytesPerSecond: Double) {
        (self.machines, self.uplinkBytesPerSecond) = (machines, uplinkBytesPerSecond)
    }
}

/// A cluster.
public struct ClusterShape: Hashable, Sendable {
    /// Its machines, by kind, in order.
    public var machines: [MachineShape]
    /// Its racks; nil where the network between any two machines is the same.
    public var racks: RackShape?

    /// A cluster of these machines.
    public init(machines: [MachineShape], racks: RackShape? = nil) { (self.machines, self.racks) = (machines, racks) }

    /// Most machines that a plan is made for: above it the search for the smallest cluster would take minutes.
    public static let machinesMax = 16_384

    /// Machines in all.
    public var machineCount: Int { machines.reduce(0) { $0 + $1.count } }
    /// Workers in all.
    public var workerCount: Int { machines.reduce(0) { $0 + $1.count * $1.workers } }

    /// The same cluster with another number of machines: the first `count` of them, or more of the last kind.
    public func resized(to count: Int) -> ClusterShape {
        var (left, kinds) = (count, machines)
        for place in kinds.indices {
            kinds[place].count = place + 1 == kinds.count ? left : min(left, kinds[place].count)
            left -= kinds[place].count
        }
        return ClusterShape(machines: kinds.filter { $0.count > 0 }, racks: racks)
    }

    /// Refuses what no machine is: the sentence names the kind and the figure.
    public func check() throws(PlanningError) {
        guard machineCount > 0 else { throw .badCluster("the cluster has no machines: a plan needs at least one") }
        guard machineCount <= Self.machinesMax else {
            throw .badCluster("the cluster has \(machineCount) machines: plans are made for at most \(Self.machinesMax)")
        }
        for kind in machines {
            let figures: [(String, Double)] = [
                ("memory", kind.memoryBytes), ("FLOP/s", kind.flopsPerSecond), ("memory bandwidth", kind.memoryBytesPerSecond),
                ("link speed", kind.linkBytesPerSecond),
            ]
            for (name, value) in figures where !(value > 0 && value < .infinity) {
                throw .badCluster("machines named '\(kind.name)' have no \(name): say what one of them has")
            }
            guard kind.count >= 0, kind.workers > 0, kind.latencySeconds >= 0, kind.nvmeBytes >= 0, kind.nvmeBytesPerSecond >= 0 else {
                throw .badCluster("machines named '\(kind.name)' have a negative figure, or no NUMA node: correct it")
            }
            guard kind.reservedBytes >= 0, kind.reservedBytes < kind.memoryBytes else {
                throw .badCluster("machines named '\(kind.name)' have all of their memory reserved: reserve less than they have")
            }
            guard kind.nvmeBytes == 0 || kind.nvmeBytesPerSecond > 0 else {
                throw .badCluster("machines named '\(kind.name)' have NVMe without a speed: say how fast it is read")
            }
        }
        if let racks, racks.machines < 1 || !(racks.uplinkBytesPerSecond > 0) {
            throw .badCluster("racks need at least one machine each and an uplink with a speed: correct the two")
        }
    }

    /// What an hour of all machines costs; nil where a kind has no price.
    public var pricePerHour: Double? {
        var sum = 0.0
        for kind in machines where kind.count > 0 {
            guard let price = kind.pricePerHour else { return nil }
            sum += price * Double(kind.count)
        }
        return sum
    }
}
