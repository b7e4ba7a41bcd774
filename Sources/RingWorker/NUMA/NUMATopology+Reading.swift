// Reads a machine's nodes where Linux tells of them: devices/system/node and class/{net,infiniband} below /sys. A file that is
// missing or mad leaves a named problem, and the rest is read on.

/// Bounds of what is believed.
private enum Most {
    /// The kernel's own bounds: CONFIG_NODES_SHIFT is at most 10, and NR_CPUS 8,192.
    static let nodes = 1024, cpus = 8192
    /// KiB of one node: an exbibyte, far from overflow in bytes.
    static let kibibytes = 1 << 50
    /// Pages that are set aside, and bytes of a page in KiB.
    static let pages = 1 << 40, pageKibibytes = 1 << 30
    /// A distance is a byte in the firmware's table.
    static let distance = 255
    /// Addresses of an RDMA device that are looked at.
    static let gids = 64
}

extension NUMATopology {
    private static let folder = "devices/system/node"

    /// Reads the nodes below `root`, which looks like /sys; `nil` is this machine's (or the copy that RINGMASTER_SYS names). There is no
    /// default: without an argument it would be the empty topology.
    public init(root: String?) {
        let tree = SystemTree(root: root ?? SystemTree.standardRoot)
        readNodes(tree)
        readAdapters(tree)
        check()
    }

    private mutating func readNodes(_ tree: SystemTree) {
        let present = tree.list(Self.folder).compactMap { name -> Int? in
            guard name.hasPrefix("node"), let list = NumberList.parse(String(name.dropFirst(4)), below: Most.nodes) else { return nil }
            return list.count == 1 && name == "node\(list[0])" ? list[0] : nil
        }.sorted()
        guard !present.isEmpty else { return problems.append(.noNodes) }
        let online = numbers(tree, Self.folder + "/online", below: Most.nodes) ?? present
        problems += present.filter { !online.contains($0) }.map { .offline($0) }
        for id in online {
            guard present.contains(id) else {
                problems.append(.unreadable("\(Self.folder)/node\(id)"))
                continue
            }
            nodes.append(node(id, tree))
        }
        for place in nodes.indices { nodes[place].distances = distances(of: nodes[place].id, online, tree) }
        if nodes.isEmpty { problems.append(.noNodes) }
    }

    private mutating func node(_ id: Int, _ tree: SystemTree) -> NUMANode {
        let folder = "\(Self.folder)/node\(id)"
        let cpus = numbers(tree, folder + "/cpulist", below: Most.cpus) ?? []
        let (total, free) = memory(of: id, tree, folder + "/meminfo")
        return NUMANode(
            id: id, cpus: cpus, memoryBytes: total, freeBytes: free, distances: [], hugePages: pools(tree, folder + "/hugepages"))
    }

    /// A list of numbers in a file, or a problem.
    private mutating func numbers(_ tree: SystemTree, _ file: String, below limit: Int) -> [Int]? {
        guard let text = tree.text(file) else {
            problems.append(.unreadable(file))
            return nil
        }
        guard let list = NumberList.parse(text, below: limit) else {
            problems.append(.garbage(file: file, text: text))
            return nil
        }
        return list
    }

    /// `Node 0 MemTotal:  32768 kB` and `MemFree`, in bytes.
    private mutating func memory(of id: Int, _ tree: SystemTree, _ file: String) -> (total: Int, free: Int) {
        guard let text = tree.text(file) else {
            problems.append(.unreadable(file))
            return (0, 0)
        }
        func kibibytes(_ name: String) -> Int? {
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ")
                guard words.count >= 4, words[0] == "Node", words[1] == "\(id)", words[2] == name + ":" else { continue }
                return Int(words[3]).flatMap { (0...Most.kibibytes).contains($0) ? $0 : nil }
            }
            return nil
        }
        guard let total = kibibytes("MemTotal"), let free = kibibytes("MemFree"), free <= total else {
            problems.append(.garbage(file: file, text: text))
            return (0, 0)
        }
        return (total * 1024, free * 1024)
    }

    /// Distances to the nodes that were read, in their order. The kernel writes one for each node that is online, holes left out.
    private mutating func distances(of id: Int, _ online: [Int], _ tree: SystemTree) -> [Int] {
        let file = "\(Self.folder)/node\(id)/distance"
        guard let text = tree.text(file) else {
            problems.append(.unreadable(file))
            return []
        }
        let row = text.split(whereSeparator: { $0 == " " || $0 == "\t" }).map { Int($0) }
        guard row.count == online.count, row.allSatisfy({ $0.map { (1...Most.distance).contains($0) } ?? false }) else {
            problems.append(.garbage(file: file, text: text))
            return []
        }
        return nodes.map { node in online.firstIndex(of: node.id).flatMap { row[$0] } ?? 0 }
    }

    /// `hugepages-2048kB/{nr_hugepages,free_hugepages}`; a machine without the folder has none.
    private mutating func pools(_ tree: SystemTree, _ folder: String) -> [HugePagePool] {
        var pools: [HugePagePool] = []
        for name in tree.list(folder) where name.hasPrefix("hugepages-") && name.hasSuffix("kB") {
            func count(_ file: String, _ most: Int) -> Int? {
                tree.text("\(folder)/\(name)/\(file)").flatMap { Int($0) }.flatMap { (0...most).contains($0) ? $0 : nil }
            }
            guard let size = Int(name.dropFirst(10).dropLast(2)), (1...Most.pageKibibytes).contains(size),
                let total = count("nr_hugepages", Most.pages), let free = count("free_hugepages", Most.pages)
            else {
                problems.append(.garbage(file: "\(folder)/\(name)", text: name))
                continue
            }
            pools.append(HugePagePool(pageBytes: size * 1024, free: free, total: total))
        }
        return pools.sorted { $0.pageBytes < $1.pageBytes }
    }
}

extension NUMATopology {
    private mutating func readAdapters(_ tree: SystemTree) {
        for name in tree.list("class/net") where name != "lo" {
            let mtu = tree.text("class/net/\(name)/mtu").flatMap { Int($0) } ?? 0
            let node = busNode(tree, "class/net/\(name)")
            adapters.append(NetworkAdapter(name: name, kind: .network, node: node, mtu: max(0, mtu)))
        }
        for name in tree.list("class/infiniband") {
            let folder = "class/infiniband/\(name)"
            // A software device has no bus of its own: it lies where the interface under it does.
            let parent = tree.text(folder + "/parent").flatMap { $0.isEmpty || $0.contains("/") ? nil : $0 }
            let node = busNode(tree, folder) ?? parent.flatMap { busNode(tree, "class/net/\($0)") }
            adapters.append(NetworkAdapter(name: name, kind: .rdma, node: node, interface: parent, gids: gids(tree, folder)))
        }
    }

    /// The node in a device's file, or in its bus's where the device has none, as under virtio; -1 is no node.
    private mutating func busNode(_ tree: SystemTree, _ device: String) -> Int? {
        let files = [device + "/device/numa_node", device + "/device/../numa_node"]
        guard let file = files.first(where: tree.has), let text = tree.text(file) else { return nil }
        guard let node = Int(text), node == -1 || nodes.contains(where: { $0.id == node }) || nodes.isEmpty else {
            problems.append(.garbage(file: file, text: text))
            return nil
        }
        return node < 0 || nodes.isEmpty ? nil : node
    }

    private func gids(_ tree: SystemTree, _ folder: String) -> [String] {
        var found: [String] = []
        for port in tree.list(folder + "/ports") {
            for index in 0..<Most.gids {
                guard let gid = tree.text("\(folder)/ports/\(port)/gids/\(index)") else { break }
                if gid.contains(where: { $0 != "0" && $0 != ":" }) { found.append(gid) }
            }
        }
        return found
    }

    /// What the nodes say of each other.
    private mutating func check() {
        var owner: [Int: Int] = [:]
        for node in nodes {
            for cpu in node.cpus {
                if let other = owner[cpu] { problems.append(.sharedCPU(cpu, other, node.id)) } else { owner[cpu] = node.id }
            }
            if node.cpus.isEmpty && node.memoryBytes > 0 { problems.append(.withoutCPUs(node.id)) }
            if !node.cpus.isEmpty && node.memoryBytes == 0 { problems.append(.withoutMemory(node.id)) }
        }
        for (place, node) in nodes.enumerated() where node.distances.count == nodes.count {
            if node.distances.contains(where: { $0 < node.distances[place] }) { problems.append(.farFromItself(node.id)) }
            for (other, neighbour) in nodes.enumerated().dropFirst(place + 1) where neighbour.distances.count == nodes.count {
                let (there, back) = (node.distances[other], neighbour.distances[place])
                if there != back { problems.append(.asymmetric(node.id, neighbour.id, there: there, back: back)) }
            }
        }
    }
}
