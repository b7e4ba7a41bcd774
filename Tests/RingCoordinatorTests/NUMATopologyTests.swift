// What is read of a machine's NUMA nodes, from folders that stand for machines of many kinds, mad ones among them.

import Foundation
import RingWorker
import Testing

@Suite("NUMA topology")
struct NUMATopologyTests {
    private func topology(_ machine: FakeMachine) -> NUMATopology { NUMATopology(root: machine.root) }

    @Test("machines of 1, 2 and 8 nodes are read whole, without a problem", arguments: [1, 2, 8])
    func regular(count: Int) throws {
        let topology = topology(try .ring(count))
        #expect(topology.problems == [] && topology.nodes.map(\.id) == Array(0..<count))
        for node in topology.nodes {
            #expect(node.cpus == Array(4 * node.id..<4 * node.id + 4) && node.isUsable)
            #expect(node.memoryBytes == 512 << 20 && node.freeBytes == 256 << 20)
            #expect(node.distances.count == count && node.distances[node.id] == 10)
            #expect(node.hugePages == [HugePagePool(pageBytes: 2 << 20, free: 0, total: node.id)])
        }
        #expect(topology.nodes.last?.distances.first == (count == 1 ? 10 : 21))
    }

    @Test("memory without cores is a node that nobody lives on, and no fault")
    func cxl() throws {
        let machine = try FakeMachine.ring(2)
        try machine.put("devices/system/node/online", "0-2")
        for id in 0..<2 { try machine.put(FakeMachine.node(id, "distance"), id == 0 ? "10 21 14" : "21 10 24") }
        try machine.addNode(2, cpus: "", mebibytes: 4096, distances: "14 24 10")
        let topology = topology(machine)
        #expect(topology.problems == [.withoutCPUs(2)] && !topology.problems[0].isFault)
        #expect(topology.homes(for: Array(0..<64)).map(\.id) == [0, 1])
        #expect(topology.homes(for: [5]).map(\.id) == [1], "a worker that may use only some cores lives where they are")
    }

    @Test("cores without memory are a fault by name")
    func memoryless() throws {
        let machine = try FakeMachine.ring(2)
        try machine.put(FakeMachine.node(1, "meminfo"), "Node 1 MemTotal: 0 kB\nNode 1 MemFree: 0 kB")
        let topology = topology(machine)
        #expect(topology.problems == [.withoutMemory(1)] && topology.problems[0].isFault)
        #expect(topology.homes(for: Array(0..<8)).map(\.id) == [0])
    }

    @Test("holes in the numbers: a row of distances is for the nodes that are online")
    func holes() throws {
        let machine = try FakeMachine()
        try machine.put("devices/system/node/online", "1,4")
        try machine.addNode(1, cpus: "0-1", mebibytes: 64, distances: "10 40")
        try machine.addNode(4, cpus: "2-3", mebibytes: 64, distances: "40 10")
        try machine.addNode(3, cpus: "", mebibytes: 64, distances: "10")
        let topology = topology(machine)
        #expect(topology.nodes.map(\.id) == [1, 4] && topology[4]?.distances == [40, 10] && topology[3] == nil)
        #expect(topology.problems == [.offline(3)])
    }

    @Test("distances that differ by direction, and cores of two nodes, are told")
    func odd() throws {
        let machine = try FakeMachine.ring(2)
        try machine.put(FakeMachine.node(0, "distance"), "10 31")
        try machine.put(FakeMachine.node(1, "cpulist"), "3-7")
        #expect(topology(machine).problems == [.sharedCPU(3, 0, 1), .asymmetric(0, 1, there: 31, back: 21)])
        try machine.put(FakeMachine.node(0, "distance"), "30 21")
        #expect(topology(machine).problems.contains(.farFromItself(0)))
    }

    @Test("no folder, an empty one, and one without nodes are a machine of one node")
    func none() throws {
        let machine = try FakeMachine()
        #expect(NUMATopology(root: machine.root + "/missing").problems == [.noNodes])
        try machine.put("devices/system/node/online", "0")
        #expect(topology(machine) == NUMATopology(root: machine.root + "/missing"))
        try machine.put("devices/system/node/node999999999999999999999/cpulist", "0")
        try machine.put("devices/system/node/node00/cpulist", "0")
        #expect(topology(machine).problems == [.noNodes])
    }

    @Test(
        "what cannot be is a named problem, and the rest is read",
        arguments: ["cpulist", "distance", "meminfo"],
        ["", "0-", "-1", "3-1", "0-4294967295", "99999999999999999999", "\u{0}\u{1}", "10 ten", "Node 1 MemTotal: -5 kB", "NaN", "0x10,1"]
    )
    func garbage(file: String, text: String) throws {
        let machine = try FakeMachine.ring(3)
        try machine.put(FakeMachine.node(1, file), text)
        let topology = topology(machine)
        #expect(topology.nodes.map(\.id) == [0, 1, 2] && topology[2]?.isUsable == true)
        if file == "cpulist", text.isEmpty { return #expect(topology.problems == [.withoutCPUs(1)]) }
        let named = topology.problems.contains {
            if case .garbage(let path, _) = $0 { path.hasSuffix("node1/" + file) } else { false }
        }
        #expect(named, "\(topology.problems)")
        #expect(topology.problems.allSatisfy { !$0.description.isEmpty && $0.description.utf8.count < 300 })
    }

    @Test("files that are missing, too long, or no files, are named", arguments: ["cpulist", "distance", "meminfo"])
    func unreadable(file: String) throws {
        let machine = try FakeMachine.ring(2)
        let path = FakeMachine.node(0, file)
        try machine.put(path, nil)
        #expect(topology(machine).problems.contains(.unreadable(path)))
        try machine.put(path, String(repeating: "1,", count: 40_000))
        #expect(topology(machine).problems.contains(.unreadable(path)))
        try machine.put(path, nil)
        let made = unsafe mkfifo(machine.root + "/" + path, 0o600)
        #expect(made == 0)
        #expect(topology(machine).problems.contains(.unreadable(path)), "a pipe is not waited for")
    }

    @Test("a node that is online and not there, and a list of nodes that is mad, leave the others")
    func online() throws {
        let machine = try FakeMachine.ring(2)
        try machine.put("devices/system/node/online", "0-1,7")
        #expect(topology(machine).problems.contains(.unreadable("devices/system/node/node7")))
        try machine.put("devices/system/node/online", "all of them")
        #expect(topology(machine).nodes.map(\.id) == [0, 1])
        #expect(topology(machine).problems == [.garbage(file: "devices/system/node/online", text: "all of them")])
    }

    @Test("cards are told with the node of their bus, and what is mad about them is not believed")
    func adapters() throws {
        let machine = try FakeMachine.ring(2)
        try machine.put("class/net/lo/mtu", "65536")
        try machine.put("class/net/eth0/mtu", "9000")
        try machine.put("class/net/eth0/device/numa_node", "1")
        try machine.put("class/net/eth1/mtu", "-7")
        try machine.put("devices/pci0/numa_node", "0")
        try machine.put("devices/pci0/virtio2/vendor", "0x1af4")
        try FileManager.default.createSymbolicLink(
            atPath: machine.root + "/class/net/eth1/device", withDestinationPath: machine.root + "/devices/pci0/virtio2")
        try machine.put("class/infiniband/rxe0/parent", "eth0")
        try machine.put("class/infiniband/rxe0/ports/1/gids/0", "0000:0000:0000:0000:0000:0000:0000:0000")
        try machine.put("class/infiniband/rxe0/ports/1/gids/1", "0000:0000:0000:0000:0000:ffff:0a4d:0001")
        try machine.put("class/infiniband/mlx5_0/device/numa_node", "-1")
        let topology = topology(machine)
        #expect(topology.problems == [])
        #expect(topology.adapters.map(\.name) == ["eth0", "eth1", "mlx5_0", "rxe0"])
        #expect(topology.adapters.map(\.node) == [1, 0, nil, 1] && topology.adapters.map(\.mtu) == [9000, 0, 0, 0])
        #expect(topology.adapters[3].gids == ["0000:0000:0000:0000:0000:ffff:0a4d:0001"] && topology.adapters[3].interface == "eth0")
        try machine.put("class/net/eth0/device/numa_node", "17")
        #expect(self.topology(machine).problems.contains(.garbage(file: "class/net/eth0/device/numa_node", text: "17")))
    }

    @Test("lists of numbers read back what they write, whatever it is")
    func lists() {
        for seed in UInt64(1)...200 {
            var state = seed
            let numbers = (0..<64).filter { _ in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return state >> 62 == 0
            }
            #expect(NumberList.parse(NumberList.text(numbers), below: 64) == numbers, "seed \(seed)")
        }
        #expect(NumberList.parse("0-3,2,1", below: 4) == [0, 1, 2, 3])
        for text in ["4", "0-4", "+1", "1-2-3", ",", "1,", "a"] { #expect(NumberList.parse(text, below: 4) == nil, "\(text)") }
    }

    @Test("workers are dealt evenly: every node has one, and every worker a node", arguments: 1...9)
    func dealing(workers: Int) {
        for nodes in 1...8 {
            let homes = (0..<nodes).map { 3 * $0 + 1 }
            let dealt = NUMATopology.deal(homes, to: workers)
            #expect(dealt.count == workers && dealt.allSatisfy { !$0.isEmpty })
            #expect(Set(dealt.flatMap { $0 }) == Set(homes))
            let loads = homes.map { home in dealt.count { $0.contains(home) } }
            #expect((loads.max() ?? 0) - (loads.min() ?? 0) <= 1, "\(dealt)")
            #expect(dealt.map { $0[0] } == dealt.map { $0[0] }.sorted(), "neighbours in the ring are near")
        }
    }
}
