// `ringmaster status`: one page about a running cluster; what looks wrong comes first. With --expect it waits for workers, which is how
// launchers prove that all they started has joined.

import ArgumentParser
import Foundation
import RingClient
import RingControl
import RingFormats

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "What a cluster is doing, and what looks wrong.")

    @Option(
        help: ArgumentHelp(
            "Wait until workers of these names have joined, written like n[001-003,7],m1; exit code 75 and their names if some have not.",
            valueName: "names"))
    var expect: String?
    @Option(
        help: ArgumentHelp("Longest to wait for --expect, like 30s (default: 60s).", valueName: "time"),
        transform: { try DurationText(parsing: $0).value })
    var within: Duration = .seconds(60)
    @Flag(help: "Print it as JSON.")
    var json = false
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    private struct Page: Encodable {
        let findings: [String]
        let cluster: ClusterView
        let workers: [WorkerView]
        let jobs: [JobView]
        /// Names that were expected and have not joined; absent if none were.
        let missing: [String]?
    }

    func run() async throws {
        let expected = try expect.map { text in try reading { () throws(FormatError) in try HostList.names(in: text) } }
        var missing: [String]?
        if let expected { missing = try await waiting(for: expected) }
        if let missing, !missing.isEmpty, !json { throw absent(missing, of: expected?.count ?? 0) }
        let snapshot = try await connection.use { try await Snapshot(of: $0) }
        if json {
            let page = Page(
                findings: snapshot.findings, cluster: snapshot.cluster, workers: snapshot.workers, jobs: snapshot.openJobs,
                missing: missing)
            Console.out(try ControlJSON.pretty(page) + "\n")
            if let missing, !missing.isEmpty { throw absent(missing, of: expected?.count ?? 0) }
            return
        }
        Console.out(snapshot.page)
    }

    private func absent(_ missing: [String], of count: Int) -> CommandError {
        let names = missing.prefix(100).joined(separator: ", ") + (missing.count > 100 ? ", ..." : "")
        return .tryAgain("\(missing.count) of \(count) workers have not joined within \(DurationText(within)): \(names)")
    }

    /// Those of `names` that have not joined when the time is over; a coordinator that is not there yet is waited for too.
    private func waiting(for names: [String]) async throws -> [String] {
        let deadline = ContinuousClock.now + within
        while true {
            var problem: CommandError?
            var missing = names
            do {
                let joined = try await connection.use { try await $0.workers() }
                let present = Set(joined.filter { $0.health != .suspected && $0.health != .draining }.map(\.registration.name))
                missing = names.filter { !present.contains($0) }
                if missing.isEmpty { return [] }
            } catch let error as CommandError where error.exitCode == 75 {
                problem = error
            }
            guard ContinuousClock.now < deadline else {
                if let problem { throw problem }
                return missing
            }
            // Half a second is nothing beside the start of a worker, which measures its speed for as long.
            do { try await Task.sleep(for: .milliseconds(500)) } catch { throw ExitCode(130) }
        }
    }
}
