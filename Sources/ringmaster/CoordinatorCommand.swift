// `ringmaster coordinator`: the daemon that admits workers and takes jobs.

import ArgumentParser
import Foundation
import Logging
import RingClient
import RingControl
import RingCoordinator
import RingCore
import RingFormats

struct CoordinatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "coordinator",
        abstract: "Admit workers, take jobs and keep them, until told to stop.",
        discussion: """
            Jobs are kept in the state folder: a coordinator that was killed goes on where it was. SIGTERM or Ctrl-C drains: no new \
            job is taken, what runs may end within --grace; what does not is run again by the next coordinator. A second signal \
            stops at once. Without certificates it listens on loopback only; see 'ringmaster cluster init'.
            """)

    @Option(help: ArgumentHelp("Cluster configuration (YAML).", valueName: "file"))
    var config: String?
    @Option(help: ArgumentHelp("Where to listen (default: RINGMASTER_LISTEN, the configuration, 127.0.0.1:7411).", valueName: "host:port"))
    var listen: String?
    @Option(
        help: ArgumentHelp(
            "Folder of jobs, certificates and keys (default: RINGMASTER_STATE, the configuration, ~/.local/state/ringmaster).",
            valueName: "dir"))
    var state: String?
    @Flag(help: "Let workers encrypt what they send each other (AES-256-GCM); also 'data_plane: encrypt: true'.")
    var encrypt = false
    @Option(
        help: ArgumentHelp(
            "What each worker's link carries, each way, in Gbit/s, for choosing schedules (default: the configuration, else 10).",
            valueName: "g"))
    var linkGbits: Double?
    @Option(help: ArgumentHelp("Seconds that running jobs get when it drains.", valueName: "seconds"))
    var grace: Double = 60
    @OptionGroup var log: LogOptions

    mutating func validate() throws {
        guard grace >= 0, grace <= 86_400 else { throw ValidationError("--grace is 0 to 86400 seconds, got \(grace)") }
        try LinkSpeed.check(linkGbits)
    }

    func run() async throws {
        let settings = try DaemonSettings(config: config)
        let address = try settings.listen(listen)
        let folder = settings.state(state)
        var policy = CoordinatorPolicy.daemon
        policy.encryptsDataPlane = encrypt || settings.config.dataPlane.encrypt
        policy.linkBytesPerSecond = (linkGbits ?? settings.config.dataPlane.linkGbits).map(ScheduleFigures.payload(gigabits:))
        let log = try log.open(settings.config.log)
        let logger = log.logger("ringmaster.coordinator")
        try await log.keep(logger) { [policy] in try await run(address, folder, policy, log, logger) }
    }

    private func run(
        _ address: SocketAddress, _ folder: String, _ policy: CoordinatorPolicy, _ log: DaemonLog, _ logger: Logger
    ) async throws {
        logger.info(
            "starting",
            metadata: [
                "version": .string(RingmasterVersion.text), "pid": .stringConvertible(ProcessInfo.processInfo.processIdentifier),
                "listen": .string("\(address)"), "state": .string(folder),
            ])
        do {
            let store = try SQLiteJobStore(folder: folder)
            let shell = try CoordinatorShell(version: RingmasterVersion.text, policy: policy, store: store, logger: logger)
            let security = try Self.security(folder)
            var server = CoordinatorServer(shell: shell, security: security)
            (server.logger, server.frameworkLogger) = (logger, log.frameworkLogger("ringmaster.http"))
            try await server.run(host: address.host, port: address.port) { [grace] port in
                await serve(shell, at: "\(security.scheme)://\(SocketAddress(host: address.host, port: port))", folder, grace, logger)
            }
        } catch let error as StoreError {
            throw CommandError.configuration(error.description)
        } catch let error as SecurityError {
            throw CommandError.configuration(error.description)
        } catch let error as ServerError {
            throw CommandError.configuration(error.description)
        }
    }

    /// Certificates where `cluster init` has made them, an open door on loopback where not.
    private static func security(_ folder: String) throws(SecurityError) -> ServerSecurity {
        let folder = try StateFolder(folder)
        do throws(SecurityError) {
            return .certificates(try ClusterSecurity(loading: folder))
        } catch .notFound {
            return .open
        }
    }
}

extension ServerSecurity {
    var scheme: String { if case .certificates = self { "https" } else { "http" } }
}

/// From ready to drained.
private func serve(_ shell: CoordinatorShell, at address: String, _ folder: String, _ grace: Double, _ logger: Logger) async {
    let (signals, signal) = AsyncStream<Int>.makeStream()
    Interrupts.daemon.withLock { $0 = { signal.yield($0) } }
    logger.notice(
        "ready",
        metadata: ["address": .string(address), "tls": .stringConvertible(address.hasPrefix("https:")), "state": .string(folder)])
    await ServiceNotice.send("READY=1\nSTATUS=serving at \(address)")
    let signs = Task { await ServiceNotice.keepAlive { _ = await shell.clusterView() } }
    // Drained because somebody asked over HTTP counts as much as a signal.
    let drained = Task { for await _ in shell.drained { signal.yield(0) } }
    defer {
        drained.cancel()
        signs.cancel()
    }
    for await count in signals {
        if count != 1 { break }
        // A second signal stops at once.
        logger.notice("drain requested", metadata: ["grace_seconds": .stringConvertible(grace)])
        await ServiceNotice.send("STOPPING=1\nSTATUS=draining")
        await shell.drain()
        Task {
            try? await Task.sleep(for: .seconds(grace))
            signal.yield(2)
        }
    }
    // Whoever asked over HTTP is to have the answer before connections close.
    try? await Task.sleep(for: .milliseconds(300))
    await shell.close()
    let open = await shell.jobViews().count { !$0.state.isSettled }
    logger.notice("stopped", metadata: ["open_jobs": .stringConvertible(open)])
}

/// What a daemon is told by options, variables and the configuration, in this order.
struct DaemonSettings {
    let config: ClusterConfig

    init(config path: String?) throws(CommandError) {
        guard let path = path ?? Self.variable("RINGMASTER_CONFIG") else {
            config = ClusterConfig()
            return
        }
        do throws(FormatError) {
            config = try ClusterConfig(path: path)
        } catch {
            throw .configuration(error.message)
        }
    }

    func listen(_ option: String?) throws(CommandError) -> SocketAddress {
        guard let text = option ?? Self.variable("RINGMASTER_LISTEN") else { return config.coordinator.listen }
        guard let address = SocketAddress(text) else {
            throw .usage("\(text.debugDescription) is not HOST:PORT; try --listen 127.0.0.1:7411")
        }
        return address
    }

    func state(_ option: String?) -> String {
        if let path = option ?? Self.variable("RINGMASTER_STATE") ?? config.coordinator.state { return absolutePath(path) }
        return Self.defaultState
    }

    /// Where a daemon keeps its state unless it is told otherwise: systemd's StateDirectory, else XDG's folder for state.
    static var defaultState: String {
        if let managed = variable("STATE_DIRECTORY") { return managed }
        let base = variable("XDG_STATE_HOME") ?? (variable("HOME") ?? "/root") + "/.local/state"
        return base + "/ringmaster"
    }

    static func variable(_ name: String) -> String? {
        ProcessInfo.processInfo.environment[name].flatMap { $0.isEmpty ? nil : $0 }
    }
}
