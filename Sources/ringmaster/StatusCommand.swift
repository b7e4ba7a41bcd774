// `ringmaster status`: one page about a running cluster; what looks wrong comes first.

import ArgumentParser
import Foundation
import RingClient
import RingControl

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "What a cluster is doing, and what looks wrong.")

    @Flag(help: "Print it as JSON.")
    var json = false
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    private struct Page: Encodable {
        let findings: [String]
        let cluster: ClusterView
        let workers: [WorkerView]
        let jobs: [JobView]
    }

    func run() async throws {
        let snapshot = try await connection.use { try await Snapshot(of: $0) }
        if json {
            let page = Page(
                findings: snapshot.findings, cluster: snapshot.cluster, workers: snapshot.workers, jobs: snapshot.openJobs)
            return Console.out(try ControlJSON.pretty(page) + "\n")
        }
        Console.out(snapshot.page)
    }
}
