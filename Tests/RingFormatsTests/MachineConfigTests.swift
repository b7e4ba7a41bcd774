// Machines in a cluster's file: what plans need of each kind, and a place and a remedy for what is wrong.

import Foundation
import RingFormats
import RingPlacement
import Testing

@Suite("Machines in a cluster's file")
struct MachineConfigTests {
    private static let least = "schema_version: 1\nmachines:\n  - memory: 1GiB\n    tflops: 1\n    memory_gbytes: 10\n    link_gbits: 8\n"

    @Test("every key, in its unit, and the least that is needed")
    func good() throws {
        let text = """
            schema_version: 1
            machines:
              - name: a
                count: 3
                memory: 768GiB
                reserved: 16GiB
                numa_nodes: 2
                tflops: 12.5
                memory_gbytes: 460
                link_gbits: 100
                latency_us: 15
                nvme: 4TB
                nvme_gbytes: 12
                price_per_hour: 2.5
              - {memory: 1GiB, tflops: 1, memory_gbytes: 10, link_gbits: 8}
            racks: {machines: 2, uplink_gbits: 400}
            """
        let shape = try #require(try ClusterConfig(parsing: text, file: "c.yaml").machines)
        #expect(
            shape.machines[0]
                == MachineShape(
                    name: "a", count: 3, memoryBytes: 768 * 0x1p30, reservedBytes: 16 * 0x1p30, workers: 2, flopsPerSecond: 12.5e12,
                    memoryBytesPerSecond: 460e9, linkBytesPerSecond: 12.5e9, latencySeconds: 15e-6, nvmeBytes: 4e12,
                    nvmeBytesPerSecond: 12e9, pricePerHour: 2.5))
        #expect(shape.machines[1].name == "machine 2" && shape.machines[1].count == 1 && shape.machines[1].linkBytesPerSecond == 1e9)
        #expect(shape.racks == RackShape(machines: 2, uplinkBytesPerSecond: 50e9) && shape.machineCount == 4 && shape.workerCount == 7)
        #expect(try ClusterConfig(parsing: Self.least, file: "c.yaml").machines?.pricePerHour == nil)
        #expect(try ClusterConfig(parsing: "schema_version: 1\n", file: "c.yaml").machines == nil)
    }

    @Test(
        "mistakes have a place and a remedy",
        arguments: [
            ("memory: 1GiB", "memory: 1 GiBi", "line 3, column 13: 'memory' must be a number of bytes"),
            ("memory: 1GiB", "reserved: 1GiB", "the key 'memory' is missing: a plan needs it"),
            ("memory: 1GiB", "memory: 0", "have no memory"), ("memory: 1GiB", "memory: 1GiB\n    reserved: 2GiB", "reserve less"),
            ("tflops: 1\n", "tfops: 1\n", "did you mean 'tflops'"), ("tflops: 1\n", "tflops: 0\n", "'tflops' must be a number from"),
            ("link_gbits: 8", "link_gbits: fast", "'link_gbits' must be a number"),
            ("link_gbits: 8", "count: 1", "'link_gbits' is missing"),
            ("link_gbits: 8", "link_gbits: 8\n    nvme: 1TB", "NVMe without a speed"),
            ("link_gbits: 8", "link_gbits: 8\n    count: 0", "'count' must be a whole number from 1"),
            ("link_gbits: 8", "link_gbits: 8\nracks: {machines: 0, uplink_gbits: 1}", "'machines' must be a whole number from 1"),
            ("link_gbits: 8", "link_gbits: 8\nracks: {machines: 2}", "'uplink_gbits' is missing"),
            ("machines:\n  - memory: 1GiB\n    tflops: 1\n    memory_gbytes: 10\n    link_gbits: 8\n", "machines: 3\n", "must be a list"),
            (
                "machines:\n  - memory: 1GiB\n    tflops: 1\n    memory_gbytes: 10\n    link_gbits: 8\n", "machines: [3]\n",
                "must be a mapping"
            ),
            ("machines:\n  - memory: 1GiB\n    tflops: 1\n    memory_gbytes: 10\n    link_gbits: 8\n", "machines: []\n", "no machines"),
            (
                "machines:\n  - memory: 1GiB\n    tflops: 1\n    memory_gbytes: 10\n    link_gbits: 8\n",
                "racks: {machines: 2, uplink_gbits: 1}\n", "'racks' stand without 'machines'"
            ),
        ])
    func bad(_ old: String, _ new: String, _ complaint: String) {
        let text = Self.least.replacing(old, with: new)
        let found = sentence { _ = try ClusterConfig(parsing: text, file: "c.yaml") }
        #expect(found.contains(complaint) && found.hasPrefix("c.yaml"), "\(found)")
    }

    @Test("the example clusters are read, and each fits some model", arguments: ["plan-servers.yaml", "plan-mixed.yaml"])
    func examples(name: String) throws {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let config = try ClusterConfig(path: root.appending(path: "cluster-configs/" + name).path)
        let machines = try #require(config.machines)
        #expect(machines.machineCount >= 16)
        let plan = try ClusterPlan(PlanQuestion(model: try ModelCatalogue.find("deepseek-v3"), tokens: 1 << 20, cluster: machines))
        #expect(plan.memory.fit == .fits && plan.prefillSeconds ?? 0 > 0)
    }
}
