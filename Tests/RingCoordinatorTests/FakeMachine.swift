// A folder that looks like /sys of some machine, for tests of what is read there. It is gone with its owner.

import Foundation

/// A tree of small files.
final class FakeMachine {
    let root: String

    init() throws {
        root = FileManager.default.temporaryDirectory.appending(path: "ringmaster-sys-\(UUID().uuidString)").path(percentEncoded: false)
        try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: root) }

    /// Writes a file, or with `nil` takes it away.
    func put(_ path: String, _ text: String?) throws {
        let file = URL(filePath: root + "/" + path)
        guard let text else { return try FileManager.default.removeItem(at: file) }
        try FileManager.default.createDirectory(at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
        try Data((text + "\n").utf8).write(to: file)
    }

    /// The path of a node's file.
    static func node(_ id: Int, _ file: String) -> String { "devices/system/node/node\(id)/\(file)" }

    /// A node with cores and so many MiB.
    func addNode(_ id: Int, cpus: String, mebibytes: Int, distances: String) throws {
        try put(Self.node(id, "cpulist"), cpus)
        try put(Self.node(id, "distance"), distances)
        try put(
            Self.node(id, "meminfo"),
            "Node \(id) MemTotal:       \(mebibytes * 1024) kB\nNode \(id) MemFree:        \(mebibytes * 512) kB\nNode \(id) MemUsed: 7 kB")
        try put(Self.node(id, "hugepages/hugepages-2048kB/nr_hugepages"), "\(id)")
        try put(Self.node(id, "hugepages/hugepages-2048kB/free_hugepages"), "0")
    }

    /// A machine of `count` like nodes on a ring, `cores` each.
    static func ring(_ count: Int, cores: Int = 4) throws -> FakeMachine {
        let machine = try FakeMachine()
        try machine.put("devices/system/node/online", count == 1 ? "0" : "0-\(count - 1)")
        for id in 0..<count {
            let row = (0..<count).map { other in
                let hops = min(abs(id - other), count - abs(id - other))
                return hops == 0 ? "10" : "\(11 + 10 * hops)"
            }
            try machine.addNode(
                id, cpus: "\(id * cores)-\(id * cores + cores - 1)", mebibytes: 512, distances: row.joined(separator: " "))
        }
        return machine
    }
}
