// `ringmaster up`: the embedded cluster, kept until Ctrl-C, for trying things on one machine.

import ArgumentParser
import Foundation
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
    @Flag(help: "Encrypt what workers send each other (AES-256-GCM).")
    var encrypt = false
    @Flag(help: "Print the address as JSON when the cluster is ready.")
    var json = false
    @Flag(name: .shortAndLong, help: "Show what the workers say.")
    var verbose = false

    mutating func validate() throws {
        guard (1...256).contains(workers) else { throw ValidationError("--workers is 1 to 256, got \(workers)") }
    }

    func run() async throws {
        guard let address = SocketAddress(listen) else {
            throw CommandError.usage("--listen takes HOST:PORT, not \(listen.debugDescription)")
        }
        var configuration = EmbeddedCluster.Configuration(binary: try JobFollower.ownBinary(), workers: workers)
        configuration.policy = .daemon
        configuration.policy.encryptsDataPlane = encrypt
        configuration.listen = (address.host, address.port)
        configuration.isOpen = true
        configuration.workerArguments = WorkerFolders(models: models, data: data).arguments
        if verbose { configuration.mirror = { Console.raw($0) } }
        do {
            if let state { configuration.store = try SQLiteJobStore(folder: absolutePath(state)) }
            try await EmbeddedCluster.run(configuration) { cluster in try await keep(cluster) }
        } catch let failure as Failure {
            throw CommandError(failure)
        } catch let error as ServerError {
            throw CommandError.tryAgain(error.description)
        } catch let error as StoreError {
            throw CommandError.configuration(error.description)
        }
    }

    private func keep(_ cluster: EmbeddedCluster) async throws {
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
        Console.message("a cluster of \(workers) workers is ready at \(cluster.address) (page: \(cluster.address)/ui); Ctrl-C ends it")
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
