// `ringmaster drain`: workers, or the whole cluster, take no further job and end when they are idle.

import ArgumentParser
import RingClient
import RingControl

struct DrainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "drain",
        abstract: "Let workers, or the whole cluster, end when their work is done.",
        discussion: "What runs goes on to its end. Needs a key of the role admin.")

    @Argument(help: "Names of workers.") var workers: [String] = []
    @Flag(help: "Drain the coordinator: it takes no further job and ends when the running ones are through.")
    var cluster = false
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    mutating func validate() throws {
        guard workers.isEmpty == cluster else { throw ValidationError("name workers, or give --cluster") }
        guard !workers.contains("") else { throw ValidationError("a worker's name is not empty") }
    }

    func run() async throws {
        try await connection.use { client in
            if cluster {
                try await client.drainCluster()
                Console.message("the cluster drains")
            }
            for worker in workers {
                try await client.drainWorker(worker)
                Console.message("\(printable(worker)) drains")
            }
        }
    }
}
