// What this machine has, read where Linux tells it: /proc and /sys. Nothing here changes anything.

import Foundation

/// Cores, memory and devices of this machine.
public struct MachineFacts: Sendable {
    /// The machine's name.
    public let hostName: String
    /// The CPU's name.
    public let cpuModel: String
    /// The CPU's feature flags as the kernel lists them, sorted.
    public let cpuFlags: [String]
    /// Cores that this process may run on.
    public let cpus: Int
    /// Its NUMA nodes and cards.
    public let topology: NUMATopology
    /// Memory in bytes.
    public let memoryBytes: Int
    /// Memory in bytes that can be had without swapping.
    public let memoryAvailableBytes: Int
    /// Free and total huge pages of 2 MiB that are set aside.
    public let hugePages: (free: Int, total: Int)
    /// How transparent huge pages are given: `always`, `madvise` or `never`.
    public let transparentHugePages: String
    /// Most bytes that this process may lock in memory; `nil` is no limit.
    public let lockedMemoryLimit: Int?
    /// RDMA devices.
    public let rdmaDevices: [String]

    /// Reads everything now. What a machine does not tell is empty or zero.
    public init() {
        hostName = ProcessInfo.processInfo.hostName
        let cpuinfo = Self.fields(of: "/proc/cpuinfo")
        cpuModel = cpuinfo["model name"] ?? cpuinfo["Processor"] ?? "unknown"
        cpuFlags = (cpuinfo["flags"] ?? cpuinfo["Features"] ?? "").split(separator: " ").map(String.init).sorted()
        let allowed = Self.fields(of: "/proc/self/status")["Cpus_allowed_list"] ?? ""
        cpus = max(1, Self.count(ofList: allowed))
        topology = NUMATopology(root: nil)
        let memory = Self.fields(of: "/proc/meminfo")
        memoryBytes = Self.kibibytes(memory["MemTotal"])
        memoryAvailableBytes = Self.memoryAvailableNow()
        hugePages = (Int(memory["HugePages_Free"] ?? "") ?? 0, Int(memory["HugePages_Total"] ?? "") ?? 0)
        let transparent = Self.text("/sys/kernel/mm/transparent_hugepage/enabled") ?? ""
        transparentHugePages =
            transparent.split(separator: " ").first { $0.hasPrefix("[") }.map { String($0.dropFirst().dropLast()) } ?? "none"
        lockedMemoryLimit = Self.lockedMemoryLimit()
        rdmaDevices = Self.list("/sys/class/infiniband").sorted()
    }

    /// Bytes that this process and its children can have without swapping, now: what the machine has, or less where a
    /// control group (a container, a Slurm step, a systemd slice) allows less.
    public static func memoryAvailableNow() -> Int {
        let machine = kibibytes(fields(of: "/proc/meminfo")["MemAvailable"])
        let group = (text("/proc/self/cgroup") ?? "").split(separator: "\n").first { $0.hasPrefix("0::") }
        return memoryAvailable(machine: machine, group: String(group?.dropFirst(3) ?? "/"), root: "/sys/fs/cgroup")
    }

    /// The least of `machine` and of what each control group from `group` up to the root has left.
    package static func memoryAvailable(machine: Int, group: String, root: String) -> Int {
        var available = machine
        var parts = group.split(separator: "/")
        while true {
            let folder = root + "/" + parts.joined(separator: "/")
            if let most = text(folder + "/memory.max").flatMap({ Int($0) }),
                let used = text(folder + "/memory.current").flatMap({ Int($0) })
            {
                // Page cache counts as used but can be taken back.
                let lines = (text(folder + "/memory.stat") ?? "").split(separator: "\n")
                let cached = lines.first { $0.hasPrefix("inactive_file ") }.flatMap { Int($0.dropFirst(14)) } ?? 0
                available = min(available, max(0, most - used + cached))
            }
            guard !parts.isEmpty else { return available }
            parts.removeLast()
        }
    }

    /// Bytes of this process that lie on transparent huge pages.
    static func hugeBytesHeld() -> Int {
        let fields = fields(of: "/proc/self/smaps_rollup")
        return kibibytes(fields["AnonHugePages"]) + kibibytes(fields["ShmemPmdMapped"])
    }

    // /proc and /sys files have no length: FileManager reads them whole all the same.
    private static func text(_ path: String) -> String? {
        guard let bytes = FileManager.default.contents(atPath: path) else { return nil }
        return String(decoding: bytes, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
    }

    private static func list(_ path: String) -> [String] { (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? [] }

    /// `name: value` lines; the first of each name counts.
    private static func fields(of path: String) -> [String: String] {
        var fields: [String: String] = [:]
        for line in (text(path) ?? "").split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 1).map { $0.trimmingCharacters(in: .whitespaces) }
            if parts.count == 2, fields[parts[0]] == nil { fields[parts[0]] = parts[1] }
        }
        return fields
    }

    private static func kibibytes(_ text: String?) -> Int { (Int((text ?? "").split(separator: " ").first ?? "") ?? 0) * 1024 }

    /// The number of members of a list like `0-3,8`.
    static func count(ofList list: String) -> Int {
        list.split(separator: ",").reduce(0) { sum, range in
            let ends = range.split(separator: "-").compactMap { Int($0) }
            guard let first = ends.first, let last = ends.last, last >= first else { return sum }
            return sum + last - first + 1
        }
    }

    private static func lockedMemoryLimit() -> Int? {
        let line = (text("/proc/self/limits") ?? "").split(separator: "\n").first { $0.hasPrefix("Max locked memory") }
        let words = (line ?? "").split(separator: " ")
        return words.count > 3 ? Int(words[3]) : nil
    }
}
