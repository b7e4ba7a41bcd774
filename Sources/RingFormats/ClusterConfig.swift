// The configuration of a cluster: a short YAML file, decoded strictly. An unknown key is an error with its place and the nearest known
// key, because a misspelt key that is ignored is a setting that silently does not hold.

import RingPlacement

/// A host and a TCP port.
public struct SocketAddress: Hashable, Sendable, CustomStringConvertible {
    /// A name or an IP address without brackets.
    public var host: String
    /// 0 lets the system choose.
    public var port: Int

    /// A host and a port.
    public init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// Reads `host:port`, `1.2.3.4:port` or `[v6]:port`.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let digits = text[text.index(after: colon)...]
        guard !digits.isEmpty, digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let port = Int(digits), port < 65536 else {
            return nil
        }
        var host = text[..<colon]
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, !host.utf8.contains(where: { $0 <= 0x20 || $0 == 0x2F || $0 == 0x7F }) else { return nil }
        self.init(host: String(host), port: port)
    }

    /// `host:port`, with brackets round an IPv6 address.
    public var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }
}

/// The configuration of a cluster.
public struct ClusterConfig: Hashable, Sendable {
    /// The process that admits workers and takes jobs.
    public struct Coordinator: Hashable, Sendable {
        /// Where its HTTP interface listens.
        public var listen = SocketAddress(host: "127.0.0.1", port: 7411)
        /// The folder of its jobs, certificates and keys; the user's own if absent.
        public var state: String?
    }

    /// Workers that one machine starts.
    public struct Workers: Hashable, Sendable {
        /// How many; one for each NUMA domain if absent.
        public var count: Int?
        /// Compute threads of each; the cores of its NUMA domain shared by its workers if absent.
        public var threads: Int?
    }

    /// The connections between workers.
    public struct DataPlane: Hashable, Sendable {
        /// Where workers listen for their neighbours; port 0 lets the system choose.
        public var listen = SocketAddress(host: "127.0.0.1", port: 0)
        /// Whether workers encrypt what they send each other; read by the coordinator.
        public var encrypt = false
        /// Gbit/s that each worker's link carries in each direction, for choosing schedules; unknown if absent. Read by the coordinator.
        public var linkGbits: Double?

        /// What a link may be said to carry.
        public static let linkGbitsRange = 0.001...10_000
    }

    /// What the coordinator writes to its log.
    public struct Log: Hashable, Sendable {
        /// How lines may be written.
        public static let formats = ["text", "json"]
        /// What may be asked for as the least that is logged.
        public static let levels = ["trace", "debug", "info", "notice", "warning", "error"]

        /// How lines are written, one of `formats`; the program's own choice if absent.
        public var format: String?
        /// The least that is logged, one of `levels`; the program's own choice if absent.
        public var level: String?

        /// The program's own choice of everything.
        public init() {}
    }

    /// The process that admits workers and takes jobs.
    public var coordinator = Coordinator()
    /// Workers that one machine starts.
    public var workers = Workers()
    /// The connections between workers.
    public var dataPlane = DataPlane()
    /// What the coordinator writes to its log.
    public var log = Log()
    /// The machines, for planning; nothing that runs reads them.
    public var machines: ClusterShape?

    /// The configuration that an empty file would mean.
    public init() {}

    /// Reads a file.
    public init(path: String) throws(FormatError) {
        let bytes = try FileText.bytes(path: path, limit: Limits.yamlBytes)
        guard let text = String(validating: bytes, as: UTF8.self) else { throw .invalid("\(path) is not valid UTF-8: save it as UTF-8") }
        try self.init(parsing: text, file: path)
    }

    /// Decodes a document; `file` names it in errors.
    public init(parsing yaml: String, file: String) throws(FormatError) {
        let root = try YAMLFields(parsing: yaml, file: file)
        try root.allow(["schema_version", "coordinator", "workers", "data_plane", "log", "machines", "racks"])
        guard let version = try root.integer("schema_version", in: 0...Int.max) else {
            throw root.failure("the key 'schema_version' is missing: add 'schema_version: 1'", at: nil)
        }
        guard version == 1 else {
            throw root.failure("schema_version \(version) is not known: this program reads version 1", at: root["schema_version"])
        }
        if let section = try root.section("coordinator") {
            try section.allow(["listen", "state"])
            coordinator.listen = try section.address("listen") ?? coordinator.listen
            coordinator.state = try section.text("state")
        }
        if let section = try root.section("workers") {
            try section.allow(["count", "threads"])
            workers.count = try section.integer("count", in: 1...65536)
            workers.threads = try section.integer("threads", in: 1...65536)
        }
        if let section = try root.section("data_plane") {
            try section.allow(["listen", "encrypt", "link_gbits"])
            dataPlane.encrypt = try section.flag("encrypt") ?? false
            dataPlane.listen = try section.address("listen") ?? dataPlane.listen
            dataPlane.linkGbits = try section.number("link_gbits", in: DataPlane.linkGbitsRange)
        }
        if let section = try root.section("log") {
            try section.allow(["format", "level"])
            log.format = try section.word("format", of: Log.formats)
            log.level = try section.word("level", of: Log.levels)
        }
        machines = try Self.machines(root)
    }
}
