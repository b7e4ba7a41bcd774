// `ringmaster up`: the embedded cluster, kept until Ctrl-C, for trying things on one machine.

import ArgumentParser
import Foundation
import Logging
import RingControl
import RingCoordinator
import RingFormats

struct UpCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "up",
        abstract: "Keep a cluster on this machine until Ctrl-C.",
        discussion: "Whoever can reach its loopback address may use it. Jobs are kept in --state, or end with the command.")

    @Option(help: ArgumentHelp("Worker processes.", valueName: "n"))
    var workers: Int = 2
    @Option(help: ArgumentHelp("Where to listen: a loopback address; port 0 takes any free one.", valueName: "host:port"))
    var listen = "127.0.0.1:7411"
    @Option(help: ArgumentHelp("Folder in which jobs find models (default: RINGMASTER_MODELS, else here).", valueName: "dir"))
    var models: String?
    @Option(
        help: ArgumentHelp("Folder in which jobs find inputs and leave results (default: RINGMASTER_DATA, else here).", valueName: "dir"))
    var data: String?
    @Option(help: ArgumentHelp("Folder in which jobs are kept.", valueName: "dir"))
    var state: String?
    @Flag(inversion: .prefixedNo, help: "Deal the workers over the NUMA nodes of the machine, if it has several.")
    var numa = true
    @Flag(help: "Encrypt what workers send each other (AES-256-GCM).")
    var encrypt = false
    @Flag(help: "Print the address as JSON when the cluster is ready.")
    var json = false
    @Flag(name: .shortAndLong, help: "Show the workers' logs too.")
    var verbose = false
    @OptionGroup var lane: LaneOptions
    @OptionGroup var log: LogOptions

    mutating func validate() throws {
        guard (1...256).contains(workers) else { throw ValidationError("--workers is 1 to 256, got \(workers)") }
    }

    func run() async throws {
        guard let address = SocketAddress(listen) else {
            throw CommandError.usage("--listen takes HOST:PORT, not \(listen.debugDescription)")
        }
        let log = try log.open()
        let logger = log.logger("ringmaster.coordinator")
        try await log.keep(logger) { try await run(address, log, logger) }
    }

    private func run(_ address: SocketAddress, _ log: DaemonLog, _ logger: Logger) async throws {
        var configuration = EmbeddedCluster.Configuration(binary: try JobFollower.ownBinary(), workers: workers)
        configuration.policy = .daemon
        configuration.policy.encryptsDataPlane = encrypt
        configuration.listen = (address.host, address.port)
        configuration.isOpen = true
        configuration.workerArguments = WorkerFolders(models: models, data: data).arguments + log.arguments
        configuration.workerArguments += try lane.workerArguments()
        if numa { configuration.ownArguments = NodeOptions.dealt(workers) }
        configuration.logger = logger
        if verbose { configuration.mirror = { log.pass(on: $1, of: $0) } }
        do {
            if let state { configuration.store = try SQLiteJobStore(folder: absolutePath(state)) }
            try await EmbeddedCluster.run(configuration) { cluster in try await keep(cluster, log, logger) }
        } catch is CancellationError {
            // Ctrl-C is how it ends; the exit code says so.
            logger.notice("stopped")
            throw ExitCode(130)
        } catch let failure as Failure {
            throw CommandError(failure)
        } catch let error as ServerError {
            throw CommandError.tryAgain(error.description)
        } catch let error as StoreError {
            throw CommandError.configuration(error.description)
        }
    }

    private func keep(_ cluster: EmbeddedCluster, _ log: DaemonLog, _ logger: Logger) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while await cluster.shell.workerViews().count < workers {
            guard ContinuousClock.now < deadline else {
                throw CommandError.tryAgain("not every worker joined within 30 s: look at the machine's load, or start fewer")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
        if json {
            let ready: JSONValue = ["address": .string(cluster.address), "workers": .integer(Int64(workers))]
            Console.out(ready.text(pretty: false) + "\n")
        }
        if log.isForPeople {
            log.sink.write(
                line: "a cluster of \(workers) workers is ready at \(cluster.address) (page: \(cluster.address)/ui); Ctrl-C ends it")
        } else {
            logger.notice("ready", metadata: ["address": .string(cluster.address), "workers": .stringConvertible(workers)])
        }
        // The first signal cancels this task.
        while true { try await Task.sleep(for: .seconds(3600)) }
    }
}

/// The folders of models and data, from options, variables or here.
struct WorkerFolders {
    let models: String
    let data: String

    init(models: String?, data: String?) {
        self.models = absolutePath(models ?? DaemonSettings.variable("RINGMASTER_MODELS") ?? ".")
        self.data = absolutePath(data ?? DaemonSettings.variable("RINGMASTER_DATA") ?? ".")
    }

    var arguments: [String] { ["--models", models, "--data", data] }
}

extension DaemonLog {
    /// Passes on what a child wrote: a line of its log as it is, anything else (the last words of a crash) as a line of our own.
    func pass(on line: String, of worker: String) {
        let isLogLine =
            sink.format == .json ? line.hasPrefix(#"{"ts":""#) : line.prefixMatch(of: /\d{4}-\d\d-\d\dT[\d:.]+Z [a-z]+ ringmaster\./) != nil
        if isLogLine {
            sink.write(line: line)
        } else {
            logger("ringmaster.worker").warning("worker said", metadata: ["worker": .string(worker), "line": .string(line)])
        }
    }
}
