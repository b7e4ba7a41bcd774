// What a launcher tells the processes that it starts, read out of their environment: torchrun's MASTER_ADDR, MASTER_PORT, RANK and
// WORLD_SIZE (which Kubernetes' training operators set too), and Slurm's SLURM_*. It stands behind everything that is said to us by name:
// option, RINGMASTER_* variable, configuration, then these, then the default. What is not needed is not looked at, so that a strange
// variable of somebody else's does not stop a worker that was told all it needs.

/// The variables that launchers set.
public struct LaunchEnvironment: Sendable {
    /// Something that a launcher told, and by which variable.
    public struct Told<Value: Hashable & Sendable>: Hashable, Sendable {
        /// What it told.
        public let value: Value
        /// The variable, or the variables with a comma between them.
        public let source: String
    }

    private let variables: [String: String]

    /// The environment of a process. Empty variables count as unset.
    public init(_ variables: [String: String]) { self.variables = variables.filter { !$0.value.isEmpty } }

    /// Where the coordinator is: MASTER_ADDR, or the first machine of SLURM_JOB_NODELIST, and MASTER_PORT. `nil` if there is neither
    /// MASTER_ADDR nor MASTER_PORT: a port cannot be guessed.
    public func coordinator() throws(FormatError) -> Told<SocketAddress>? {
        let port = try number("MASTER_PORT", in: 1...65_535)
        if let host = variables["MASTER_ADDR"] {
            guard HostList.isName(host) || Self.isIPv6(host) else {
                throw .invalid("MASTER_ADDR is no host name or address: \(quoted(host))")
            }
            let address = SocketAddress(host: host, port: port ?? ClusterConfig.Coordinator().listen.port)
            return Told(value: address, source: port == nil ? "MASTER_ADDR" : "MASTER_ADDR,MASTER_PORT")
        }
        guard let port else { return nil }
        guard let list = variables["SLURM_JOB_NODELIST"] else {
            throw .invalid("MASTER_PORT is set, but neither MASTER_ADDR nor SLURM_JOB_NODELIST says on which machine")
        }
        let first = try HostList.names(in: list)[0]
        return Told(value: SocketAddress(host: first, port: port), source: "SLURM_JOB_NODELIST,MASTER_PORT")
    }

    /// A name of this process's own among all that the launcher started. Ranks of a ring are given in the order of names, so that
    /// numbers are padded with zeros. In a Slurm job it is the machine's (with the task's number behind it where a machine has several
    /// tasks), elsewhere `rank-007`.
    public func workerName() throws(FormatError) -> Told<String>? {
        if let machine = variables["SLURMD_NODENAME"], variables["SLURM_PROCID"] != nil {
            guard HostList.isName(machine) else { throw .invalid("SLURMD_NODENAME is no name of a host: \(quoted(machine))") }
            guard try hasSeveralTasks() else { return Told(value: machine, source: "SLURMD_NODENAME") }
            let task = try number("SLURM_LOCALID", in: 0...65_535) ?? 0
            return Told(value: machine + "-" + Self.padded(task, below: 100), source: "SLURMD_NODENAME,SLURM_LOCALID")
        }
        guard let rank = try number("RANK", in: 0...Limits.hosts - 1) else { return nil }
        let world = try number("WORLD_SIZE", in: 1...Limits.hosts)
        if let world, rank >= world { throw .invalid("RANK is \(rank), but WORLD_SIZE is \(world): ranks count from 0") }
        return Told(value: "rank-" + Self.padded(rank, below: world ?? 10_000), source: "RANK")
    }

    /// Whether some machine of the job step has more than one task: `SLURM_STEP_TASKS_PER_NODE` is like `2(x3),1`.
    private func hasSeveralTasks() throws(FormatError) -> Bool {
        let name = variables["SLURM_STEP_TASKS_PER_NODE"] == nil ? "SLURM_TASKS_PER_NODE" : "SLURM_STEP_TASKS_PER_NODE"
        guard let text = variables[name] else {
            let tasks = try number("SLURM_NTASKS", in: 1...1 << 24) ?? 1
            return tasks > (try number("SLURM_JOB_NUM_NODES", in: 1...Limits.hosts) ?? tasks)
        }
        let counts = text.split(separator: ",", omittingEmptySubsequences: false)
        guard text.utf8.count <= Limits.hostListBytes, counts.allSatisfy({ $0.wholeMatch(of: /[0-9]{1,6}(\(x[0-9]{1,6}\))?/) != nil })
        else {
            throw .invalid("\(name) is not written like 2(x3),1: \(quoted(text))")
        }
        return counts.contains { $0.prefix { $0 != "(" }.drop { $0 == "0" } != "1" }
    }

    private func number(_ name: String, in range: ClosedRange<Int>) throws(FormatError) -> Int? {
        guard let text = variables[name] else { return nil }
        guard text.utf8.count <= 9, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(text), range.contains(value)
        else {
            throw .invalid("\(name) is no number from \(range.lowerBound) to \(range.upperBound): \(quoted(text))")
        }
        return value
    }

    /// `number` with as many digits as the largest below `count` has.
    private static func padded(_ number: Int, below count: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, String(count - 1).utf8.count - digits.utf8.count)) + digits
    }

    private static func isIPv6(_ text: String) -> Bool {
        text.contains(":") && text.utf8.count <= 45
            && text.utf8.allSatisfy { "0123456789abcdefABCDEF:.".utf8.contains($0) }
    }
}
