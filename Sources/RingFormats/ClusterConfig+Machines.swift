// The machines of a cluster in its file, for `ringmaster plan`: what one of each kind has, in the units in which people know it.
//
//     machines:
//       - name: epyc
//         count: 16
//         memory: 768GiB
//         tflops: 9
//         memory_gbytes: 460
//         link_gbits: 100
//     racks:
//       machines: 8
//       uplink_gbits: 800

import RingPlacement

extension ClusterConfig {
    /// Most kinds of machines in a file.
    private static let kindsMax = 1024

    /// The sections `machines` and `racks`; nil if there is none of the first.
    static func machines(_ root: YAMLFields) throws(FormatError) -> ClusterShape? {
        let rackShape = try racks(root)
        guard let sections = try root.sections("machines") else {
            guard rackShape == nil else {
                throw root.failure("'racks' stand without 'machines': say what machines stand in them", at: root["racks"])
            }
            return nil
        }
        guard sections.count <= kindsMax else { throw root.failure("'machines' has more than \(kindsMax) kinds", at: root["machines"]) }
        var shape = ClusterShape(machines: [], racks: rackShape)
        for section in sections { shape.machines.append(try machine(section, number: shape.machines.count + 1)) }
        do {
            try shape.check()
        } catch {
            throw root.failure("\(error)", at: root["machines"])
        }
        return shape
    }

    private static func racks(_ root: YAMLFields) throws(FormatError) -> RackShape? {
        guard let section = try root.section("racks") else { return nil }
        try section.allow(["machines", "uplink_gbits"])
        return RackShape(
            machines: try need(section, "machines", try section.integer("machines", in: 1...ClusterShape.machinesMax)),
            uplinkBytesPerSecond: try need(section, "uplink_gbits", try section.number("uplink_gbits", in: 0.001...1_000_000)) * 1e9 / 8)
    }

    private static func machine(_ section: YAMLFields, number: Int) throws(FormatError) -> MachineShape {
        try section.allow([
            "name", "count", "memory", "reserved", "numa_nodes", "tflops", "memory_gbytes", "link_gbits", "latency_us", "nvme",
            "nvme_gbytes", "price_per_hour",
        ])
        let memory = try need(section, "memory", try section.bytes("memory"))
        return MachineShape(
            name: try section.text("name") ?? "machine \(number)",
            count: try section.integer("count", in: 1...ClusterShape.machinesMax) ?? 1,
            memoryBytes: Double(memory),
            reservedBytes: Double(try section.bytes("reserved") ?? 0),
            workers: try section.integer("numa_nodes", in: 1...1024) ?? 1,
            flopsPerSecond: try need(section, "tflops", try section.number("tflops", in: 0.0001...1_000_000)) * 1e12,
            memoryBytesPerSecond: try need(section, "memory_gbytes", try section.number("memory_gbytes", in: 0.01...1_000_000)) * 1e9,
            linkBytesPerSecond: try need(section, "link_gbits", try section.number("link_gbits", in: DataPlane.linkGbitsRange)) * 1e9 / 8,
            latencySeconds: (try section.number("latency_us", in: 0...1_000_000) ?? 30) / 1e6,
            nvmeBytes: Double(try section.bytes("nvme") ?? 0),
            nvmeBytesPerSecond: (try section.number("nvme_gbytes", in: 0...1_000_000) ?? 0) * 1e9,
            pricePerHour: try section.number("price_per_hour", in: 0...1_000_000_000))
    }

    /// What a key must have: a plan without it would be a guess.
    private static func need<Value>(_ section: YAMLFields, _ key: String, _ value: Value?) throws(FormatError) -> Value {
        guard let value else { throw section.failure("the key '\(key)' is missing: a plan needs it of every kind", at: nil) }
        return value
    }
}
