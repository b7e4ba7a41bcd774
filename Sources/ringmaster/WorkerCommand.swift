// `ringmaster worker`: one worker, a daemon that joins its coordinator and comes back to it, or the child of an embedded cluster.

import ArgumentParser
import Foundation
import Logging
import RingClient
import RingControl
import RingCoordinator
import RingFormats
import RingKernels
import RingTransport
import RingWorker

struct WorkerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "worker",
        abstract: "Work for a coordinator until told to stop.",
        discussion: """
            A worker joins, does the jobs it is given, and joins again when its coordinator was away. SIGTERM or Ctrl-C drains: the \
            job it holds may end within --grace and is handed back otherwise. Over https it shows a certificate, which it gets with \
            a join token (see 'ringmaster token create') and renews by itself.
            """)

    @Option(
        help: ArgumentHelp(
            "Address of the coordinator (default: RINGMASTER_COORDINATOR, else what a launcher says: MASTER_ADDR and MASTER_PORT).",
            valueName: "url"))
    var coordinator: String?
    @Option(
        help: ArgumentHelp(
            "Name of this worker, its own; ranks are given in the order of names (default: from SLURMD_NODENAME or RANK, else the host's name).",
            valueName: "name"))
    var name: String?
    @Option(help: ArgumentHelp("Folder in which jobs find models (default: RINGMASTER_MODELS, else here).", valueName: "dir"))
    var models: String?
    @Option(
        help: ArgumentHelp("Folder in which jobs find inputs and leave results (default: RINGMASTER_DATA, else here).", valueName: "dir"))
    var data: String?
    @Option(
        help: ArgumentHelp(
            "Where other workers reach this one (default: the address from which it reaches the coordinator, and a free port).",
            valueName: "host:port"))
    var dataListen: String?
    @Option(help: ArgumentHelp("Folder of this worker's certificate and key, for https.", valueName: "dir"))
    var state: String?
    @Option(help: ArgumentHelp("File with a join token, - for stdin; needed once, for https.", valueName: "file"))
    var joinTokenFile: String?
    @Option(help: ArgumentHelp("Fingerprint of the cluster's authority, sha256:HEX; needed once, for https.", valueName: "text"))
    var authorityFingerprint: String?
    @Option(help: ArgumentHelp("Seconds that a job gets to end when the worker drains.", valueName: "seconds"))
    var grace: Double = 60
    @Option(
        help: ArgumentHelp(
            "How fast a compute thread of this worker is, compared with those of others (default: its GFLOP/s in attention, measured now). "
                + "Shards are as wide as their workers are fast.", valueName: "number"))
    var speed: Double?
    @Option(
        help: ArgumentHelp(
            "Its rack, or whatever else stands behind one slow link. Workers of a rack follow on one another in a ring.", valueName: "name")
    )
    var rack: String?
    @OptionGroup var lane: LaneOptions
    @OptionGroup var node: NodeOptions
    @OptionGroup var log: LogOptions
    @Flag(help: ArgumentHelp("Read a cluster's token from stdin, and end when stdin does.", visibility: .private))
    var tokenStdin = false

    mutating func validate() throws {
        if let speed, !(speed > 0 && speed.isFinite) { throw ValidationError("--speed is a number above 0, got \(speed)") }
        if let rack, rack.isEmpty || rack.utf8.count > 128 { throw ValidationError("--rack is a name of 1 to 128 bytes") }
        guard grace >= 0, grace <= 86_400 else { throw ValidationError("--grace is 0 to 86400 seconds, got \(grace)") }
    }

    func run() async throws {
        if node.perNumaNode { return try await runGroup() }
        let facts = MachineFacts()
        let place = try WorkerPlace(coordinator: coordinator, name: name, hostName: facts.hostName)
        let log = try log.open(isChild: tokenStdin)
        let logger = log.logger("ringmaster.worker", ["worker": .string(place.name)])
        try await log.keep(logger) { try await run(place, facts, logger) }
        // Engine threads may still be in a kernel; ordinary exit would take its tables from under them.
        _exit(0)
    }

    private func run(_ place: WorkerPlace, _ facts: MachineFacts, _ logger: Logger) async throws {
        let address = place.address
        var configuration = ClusterConnection.Configuration(address: address)
        if tokenStdin {
            configuration.key = ParentPipe.readLine()
            ParentPipe.endWithParent()
        }
        let transport = try lane.choice()
        let listener = try listener(at: try await place.dataAddress(dataListen), logger)
        let registration = try registration(listener, place.name, facts)
        let home: String = NodeOptions.home.map { NumberList.text($0.nodes) } ?? "any"
        logger.info(
            "starting",
            metadata: [
                "version": .string(registration.version), "pid": .stringConvertible(registration.pid), "coordinator": .string(address),
                "tls": .stringConvertible(address.hasPrefix("https:")), "isa": .string(registration.isa),
                "cpus": .stringConvertible(registration.cpus), "data_host": .string(registration.dataHost),
                "data_port": .stringConvertible(registration.dataPort), "speed": .stringConvertible(registration.speed ?? 0),
                "transport": .string(transport.lane?.description ?? "auto"),
                "coordinator_from": .string(place.addressSource), "name_from": .string(place.nameSource),
                "numa_nodes": .string(home),
            ])
        if let refusal = NodeOptions.home?.policyRefusal {
            logger.warning("no memory policy", metadata: ["reason": .string(refusal)])
        }
        let joining = try await joining(address, registration.name)
        configuration.tls = try joining?.identity.tlsConfiguration()
        // What a join token may have come through is watched from here on.
        if node.endWithParent { ParentPipe.drainWithParent() }
        let session = try session(configuration, registration, listener.listener, transport.lane, address, logger)
        if !tokenStdin { takeSignals(session) }
        do {
            try await run(session, joining, logger)
        } catch let error as SessionError {
            if case .misconfigured(let sentence) = error { throw CommandError.configuration(sentence) }
            throw CommandError.tryAgain(error.description)
        }
    }

    private func session(
        _ configuration: ClusterConnection.Configuration, _ registration: WorkerRegistration, _ listener: TCPListener,
        _ lane: LaneKind?, _ address: String, _ logger: Logger
    ) throws -> WorkerSession {
        var policy = tokenStdin ? WorkerPolicy.embedded : WorkerPolicy.daemon
        policy.graceSeconds = grace
        let folders = WorkerFolders(models: models, data: data)
        // The worker of `run` serves one user on their own machine, who names any file they like.
        let isJailed = !tokenStdin || models != nil
        let roots = isJailed ? FolderRoots(models: folders.models, data: folders.data) : .anywhere
        return try WorkerSession(
            configuration, registration: registration, listener: listener,
            executor: EngineExecutor(roots: roots, lane: lane, rdma: try self.lane.rdma(), home: NodeOptions.home), policy: policy,
            logger: logger,
            facts: FactsSource(dataHost: registration.dataHost, folders: writtenFolders(folders, address, registration.name)))
    }

    /// Where this worker writes: results, and its certificate where it has one.
    private func writtenFolders(_ folders: WorkerFolders, _ address: String, _ name: String) -> [(name: String, path: String)] {
        var written = [(name: "data", path: folders.data)]
        if address.hasPrefix("https:") { written.append((name: "state", path: stateFolder(name))) }
        return written
    }

    private func stateFolder(_ name: String) -> String {
        absolutePath(state ?? DaemonSettings.variable("RINGMASTER_STATE") ?? DaemonSettings.defaultState + "/worker-" + name)
    }

    private func takeSignals(_ session: WorkerSession) {
        Interrupts.daemon.withLock {
            $0 = { count in
                Task { if count == 1 { await session.drain() } else { await session.stop() } }
            }
        }
    }

    private func joining(_ address: String, _ name: String) async throws -> WorkerJoining? {
        guard address.hasPrefix("https://") else { return nil }
        return try await WorkerJoining.identity(
            at: address, name: name, folder: stateFolder(name), tokenFile: joinTokenFile, fingerprint: authorityFingerprint)
    }

    private func run(_ session: WorkerSession, _ joining: WorkerJoining?, _ logger: Logger) async throws {
        await ServiceNotice.send("READY=1")
        let signs = Task { await ServiceNotice.keepAlive { await session.answer() } }
        let renewal = joining.map { joining in Task { await joining.keepFresh(session, logger) } }
        defer {
            renewal?.cancel()
            signs.cancel()
        }
        try await session.run()
        await ServiceNotice.send("STOPPING=1")
    }

    private func listener(at wanted: SocketAddress, _ logger: Logger) throws -> (listener: TCPListener, host: String) {
        let report = { @Sendable (line: String) in
            logger.warning("data plane refused a connection", metadata: ["reason": .string(line)])
        }
        // A child without a log says it on its stderr, the end of which its parent keeps.
        let isLogged = !tokenStdin || log.isGiven
        let port = UInt16(clamping: wanted.port)
        return (try TCPListener(host: wanted.host, port: port, report: isLogged ? report : nil), wanted.host)
    }

    private func registration(
        _ listener: (listener: TCPListener, host: String), _ name: String, _ facts: MachineFacts
    ) throws -> WorkerRegistration {
        let kernels: Kernels
        do {
            kernels = try Kernels.fromEnvironment()
        } catch {
            throw CommandError.configuration("\(error)")
        }
        var registration = WorkerRegistration(
            name: name, pid: Int(ProcessInfo.processInfo.processIdentifier), machine: facts.hostName,
            isa: kernels.instructionSet.rawValue, cpus: facts.cpus, numaNodes: max(1, facts.topology.nodes.count),
            memoryBytes: NodeOptions.memoryBytes(facts),
            dataHost: listener.host, dataPort: Int(listener.listener.port), version: RingmasterVersion.text,
            instance: UUID().uuidString)
        registration.homeNodes = NodeOptions.home?.nodes
        // The children of one process share a machine, and with it a speed.
        registration.speedIsTold = speed != nil ? true : nil
        registration.speed = try speed ?? (tokenStdin ? nil : measuredSpeed(kernels, facts))
        registration.rack = rack ?? ProcessInfo.processInfo.environment["RINGMASTER_RACK"].flatMap { $0.isEmpty ? nil : $0 }
        return registration
    }

    private func measuredSpeed(_ kernels: Kernels, _ facts: MachineFacts) throws -> Double {
        do {
            return try SpeedMeasurement.gflopsPerThread(kernels, threads: facts.cpus)
        } catch { throw CommandError.configuration("cannot measure this machine: \(error); tell its speed with --speed") }
    }
}

/// The pipe through which a parent passes the token, and whose end tells that the parent is gone.
enum ParentPipe {
    /// The first line of stdin, without its end; at most 4 KiB.
    static func readLine() -> String {
        var line: [UInt8] = []
        while line.count < 4096, let byte = try? FileHandle.standardInput.read(upToCount: 1)?.first, byte != UInt8(ascii: "\n") {
            line.append(byte)
        }
        return String(decoding: line, as: UTF8.self)
    }

    /// Ends this process as soon as stdin does, whatever it is doing.
    static func endWithParent() { whenClosed { _exit(3) } }

    /// Asks this process to drain when stdin ends.
    static func drainWithParent() { whenClosed { kill(getpid(), SIGTERM) } }

    private static func whenClosed(_ action: @escaping @Sendable () -> Void) {
        let thread = Thread {
            while let bytes = try? FileHandle.standardInput.read(upToCount: 4096), !bytes.isEmpty {}
            action()
        }
        thread.stackSize = 64 << 10
        thread.name = "parent-watch"
        thread.start()
    }
}
