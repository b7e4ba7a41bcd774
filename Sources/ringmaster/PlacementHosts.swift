// Where experts may lie, from the command line: so many hosts alike, or the machines of a cluster file.

import ArgumentParser
import RingFormats
import RingPlacement

/// The options of `place` that say what the hosts are.
struct PlacementHosts: ParsableArguments {
    @Option(help: ArgumentHelp("Hosts, all alike; or of a cluster file's workers the first so many.", valueName: "n"))
    var hosts: Int?
    @Option(
        help: ArgumentHelp("Experts of a layer that a host holds at most (default with --cluster: what its memory takes).", valueName: "n"))
    var slots: Int?
    @Option(help: ArgumentHelp("Nodes that the hosts stand in, as many in each: the failure domains.", valueName: "n"))
    var nodes: Int?
    @Option(help: ArgumentHelp("A cluster file whose machines, memory, speeds and racks are planned for.", valueName: "file"))
    var cluster: String?
    @Option(
        help: ArgumentHelp(
            "Bytes of one expert of one layer, as 23.625MiB; for slots by memory, bytes to move and seconds.", valueName: "n"),
        transform: { try ByteCount(parsing: $0).value })
    var expertBytes: Int?
    @Option(help: ArgumentHelp("Gbit/s of a host's link in each direction (default: the cluster file's, or 10).", valueName: "n"))
    var linkGbits: Double?

    mutating func validate() throws {
        if let hosts, !(1...PlacementLimits.hosts).contains(hosts) {
            throw ValidationError("--hosts is 1 to \(PlacementLimits.hosts), got \(hosts)")
        }
        if let slots, !(1...PlacementLimits.slotsOfHost).contains(slots) {
            throw ValidationError("--slots is 1 to \(PlacementLimits.slotsOfHost), got \(slots)")
        }
        if let nodes, nodes < 1 || hosts.map({ $0 % nodes != 0 }) ?? true {
            throw ValidationError("--nodes divides --hosts, got \(nodes) nodes for \(hosts.map(String.init) ?? "no number of") hosts")
        }
        if let expertBytes, expertBytes < 1 { throw ValidationError("--expert-bytes is at least 1, got \(expertBytes)") }
        if let linkGbits, !ClusterConfig.DataPlane.linkGbitsRange.contains(linkGbits) {
            throw ValidationError("--link-gbits is 0.001 to 10000, got \(linkGbits)")
        }
        if cluster == nil {
            guard hosts != nil else { throw ValidationError("say where experts may lie: --hosts and --slots, or --cluster") }
            guard slots != nil else { throw ValidationError("say how many experts of a layer a host holds: --slots") }
        } else {
            guard nodes == nil else { throw ValidationError("--nodes and --cluster exclude each other: the file says what stands where") }
            guard slots != nil || expertBytes != nil else {
                throw ValidationError("how many experts fit into memory depends on their size: give --expert-bytes, or --slots")
            }
        }
    }

    /// The hosts, and bytes a second of their slowest link.
    func shapes(layers: Int, experts: Int) throws -> (hosts: [HostShape], linkBytesPerSecond: Double) {
        guard let cluster else {
            let (count, nodes) = (hosts ?? 1, nodes ?? 1)
            let shapes = (0..<count).map { HostShape(slots: slots ?? 1, node: $0 * nodes / count) }
            return (shapes, (linkGbits ?? 10) * 1e9 / 8)
        }
        let config = try reading { () throws(FormatError) in try ClusterConfig(path: cluster) }
        guard let machines = config.machines else {
            throw CommandError.configuration("\(cluster) lists no machines: add a section 'machines', or use --hosts and --slots")
        }
        let shapes = try workers(of: machines, layers: layers, experts: experts)
        let link = linkGbits.map { $0 * 1e9 / 8 } ?? machines.machines.map(\.linkBytesPerSecond).min() ?? 1.25e9
        return (shapes, link)
    }

    /// A host for each worker of each machine; a speed of 1 is the first kind's.
    private func workers(of cluster: ClusterShape, layers: Int, experts: Int) throws -> [HostShape] {
        var found: [HostShape] = []
        var node = 0
        var memory = 0.0
        let usual = cluster.machines.first.map { $0.flopsPerSecond / Double($0.workers) } ?? 1
        for kind in cluster.machines {
            for _ in 0..<kind.count {
                for _ in 0..<kind.workers {
                    let fits = expertBytes.map { Int(kind.workerBytes / (Double($0) * Double(layers))) }
                    let taken = min(slots ?? experts, fits ?? .max, experts)
                    memory += kind.workerBytes
                    found.append(
                        HostShape(
                            slots: taken, speed: kind.flopsPerSecond / Double(kind.workers) / usual, memory: Int(kind.workerBytes),
                            node: node,
                            rack: cluster.racks.map { node / $0.machines } ?? 0))
                }
                node += 1
            }
        }
        if let hosts, hosts < found.count { found.removeLast(found.count - hosts) }
        if let hosts, hosts > found.count {
            throw CommandError.usage("--hosts is \(hosts), the cluster file has \(found.count) workers: leave it out, or ask for fewer")
        }
        let slotCount = found.reduce(0) { $0 + $1.slots }
        if let expertBytes, slotCount < experts {
            let missing = (experts - slotCount) * layers * expertBytes
            throw CommandError.failed(
                "the workers' memory of \(humanBytes(Int(memory))) takes \(slotCount) of \(experts) experts a layer: "
                    + "\(humanBytes(missing)) are missing; add machines, or store experts in fewer bits")
        }
        return found
    }
}
