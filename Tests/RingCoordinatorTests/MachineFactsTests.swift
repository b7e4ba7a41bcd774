// What a machine tells of itself, with control groups played by a folder.

import Foundation
import RingWorker
import Testing

@Suite("Machine facts")
struct MachineFactsTests {
    @Test("this machine has a core, memory and a name")
    func here() {
        let facts = MachineFacts()
        #expect(facts.cpus >= 1 && facts.memoryBytes > 0 && !facts.hostName.isEmpty)
        #expect(facts.memoryAvailableBytes > 0 && facts.memoryAvailableBytes <= facts.memoryBytes)
    }

    @Test("the tightest control group on the way to the root counts, cache given back")
    func groups() throws {
        let root = FileManager.default.temporaryDirectory.appending(path: "ringmaster-groups-\(UUID().uuidString)").path(
            percentEncoded: false)
        defer { try? FileManager.default.removeItem(atPath: root) }
        try FileManager.default.createDirectory(atPath: root + "/a/b", withIntermediateDirectories: true)
        func write(_ text: String, _ path: String) throws { try Data((text + "\n").utf8).write(to: URL(filePath: root + path)) }
        func available(_ group: String) -> Int { MachineFacts.memoryAvailable(machine: 10_000, group: group, root: root) }
        #expect(available("/a/b") == 10_000)
        try write("5000", "/a/memory.max")
        try write("1000", "/a/memory.current")
        try write("max", "/a/b/memory.max")
        try write("900", "/a/b/memory.current")
        #expect(available("/a/b") == 4000 && available("/a") == 4000 && available("/") == 10_000)
        try write("anon 1\ninactive_file 600\nactive_file 7", "/a/memory.stat")
        #expect(available("/a/b") == 4600)
        try write("6000", "/a/memory.current")
        #expect(available("/a/b") == 0)
    }
}
