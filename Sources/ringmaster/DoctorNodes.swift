// What `doctor` says of a machine's NUMA nodes: one finding for the cores, one a node where there are several, and what is odd.

import RingFormats
import RingTransport
import RingWorker

enum DoctorNodes {
    /// Cores and nodes, in lines.
    static func findings(_ facts: MachineFacts) -> [DoctorCommand.Finding] {
        let topology = facts.topology
        let count = max(1, topology.nodes.count)
        var findings = [DoctorCommand.Finding("cores", "\(facts.cpus) usable, \(count) NUMA node\(count > 1 ? "s" : "")")]
        if topology.nodes.count > 1 {
            findings += topology.nodes.map { node in
                DoctorCommand.Finding("node \(node.id)", describe(node, in: topology))
            }
            let homes = topology.homes(for: PinnedThread.cpus).count
            if homes > 1 {
                findings.append(.init("workers", "one for each of \(homes) nodes: ringmaster worker --per-numa-node"))
            }
        }
        findings += topology.problems.map { problem in
            DoctorCommand.Finding("nodes", ok: !problem.isFault, problem.description, advice: advice(problem))
        }
        return findings
    }

    /// `cores 0-7, 15.6 GiB, 14.0 GiB free; far 10 21 31; 2 MiB pages: 0 free of 0; near eth0, mlx5_0`.
    private static func describe(_ node: NUMANode, in topology: NUMATopology) -> String {
        let cores = node.cpus.isEmpty ? "no cores" : "cores " + NumberList.text(node.cpus)
        var parts = ["\(cores), \(humanBytes(node.memoryBytes)), \(humanBytes(node.freeBytes)) free"]
        if !node.distances.isEmpty { parts.append("far " + node.distances.map(String.init).joined(separator: " ")) }
        for pool in node.hugePages where pool.total > 0 {
            parts.append("\(humanBytes(pool.pageBytes)) pages: \(pool.free) free of \(pool.total)")
        }
        let near = topology.adapters.filter { $0.node == node.id }.map(\.name)
        if !near.isEmpty { parts.append("near " + near.joined(separator: ", ")) }
        return parts.joined(separator: "; ")
    }

    private static func advice(_ problem: NUMAProblem) -> String {
        switch problem {
        case .withoutMemory: "look at the memory modules of its socket, or keep workers off its cores"
        case .sharedCPU, .asymmetric, .farFromItself:
            "the firmware's tables are wrong: workers are placed by cores all the same; try its newest version"
        case .unreadable, .garbage: "workers on this node are not bound: look at the kernel's log"
        case .noNodes, .withoutCPUs, .offline: ""
        }
    }

    /// The same as fields.
    static func json(_ topology: NUMATopology) -> JSONValue {
        [
            "nodes": .array(topology.nodes.map { json($0) }), "adapters": .array(topology.adapters.map { json($0) }),
            "problems": .array(topology.problems.map { .string($0.description) }),
        ]
    }

    private static func json(_ adapter: NetworkAdapter) -> JSONValue {
        let node: JSONValue = adapter.node.map { JSONValue.integer(Int64($0)) } ?? JSONValue.null
        let interface: JSONValue = adapter.interface.map { JSONValue.string($0) } ?? JSONValue.null
        return [
            "name": .string(adapter.name), "kind": .string(adapter.kind.rawValue), "node": node, "mtu": .integer(Int64(adapter.mtu)),
            "interface": interface, "gids": .array(adapter.gids.map { JSONValue.string($0) }),
        ]
    }

    private static func json(_ pool: HugePagePool) -> JSONValue {
        ["page_bytes": .integer(Int64(pool.pageBytes)), "free": .integer(Int64(pool.free)), "total": .integer(Int64(pool.total))]
    }

    private static func json(_ node: NUMANode) -> JSONValue {
        let distances: [JSONValue] = node.distances.map { .integer(Int64($0)) }
        return [
            "id": .integer(Int64(node.id)), "cpus": .string(NumberList.text(node.cpus)), "memory_bytes": .integer(Int64(node.memoryBytes)),
            "free_bytes": .integer(Int64(node.freeBytes)), "distances": .array(distances),
            "huge_pages": .array(node.hugePages.map { json($0) }),
        ]
    }
}
