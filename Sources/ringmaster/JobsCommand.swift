// `ringmaster jobs`: the jobs of a running cluster: what there are, how one stands, its end, its events.

import ArgumentParser
import Foundation
import RingClient
import RingControl
import RingCore
import RingFormats

struct JobsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "jobs",
        abstract: "List, show, wait for, cancel and read the events of jobs.",
        subcommands: [JobsList.self, JobsShow.self, JobsWait.self, JobsCancel.self, JobsLogs.self])
}

struct JobsList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "list", abstract: "The newest jobs, newest last.")

    @Option(
        help: ArgumentHelp("Only jobs in this state: \(JobPhase.allCases.map(\.rawValue).joined(separator: ", ")).", valueName: "state"))
    var state: JobPhase?
    @Option(help: ArgumentHelp("Most jobs to list.", valueName: "n"))
    var limit: Int = 100
    @Flag(help: "Print them as JSON.")
    var json = false
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    mutating func validate() throws {
        guard limit >= 1 else { throw ValidationError("--limit is 1 or more, got \(limit)") }
    }

    func run() async throws {
        let jobs = try await connection.use { try await $0.jobs(state: state, limit: limit) }
        if json { return Console.out(try ControlJSON.pretty(["jobs": jobs]) + "\n") }
        if jobs.isEmpty { return Console.message("no jobs") }
        Console.out(JobTable.text(jobs) + "\n")
    }
}

extension JobPhase: ExpressibleByArgument {}

struct JobsShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "One job with everything that is known of it.")

    @Argument(help: "Number of the job.") var job: UInt64
    @Flag(help: "Print it as JSON.")
    var json = false
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    func run() async throws {
        let view = try await connection.use { try await $0.job(JobNumber(job)) }
        Console.out(json ? try ControlJSON.pretty(view) + "\n" : JobTable.details(view))
    }
}

struct JobsWait: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Wait until jobs have ended.",
        discussion: """
            Prints each job's number and state when it ends. The exit code is the first job's, in the order given, that did not succeed: \
            1 failed, 75 failed for want of workers or because the coordinator went down, 130 cancelled; 0 if all succeeded; \
            75 if --timeout passes first. Ctrl-C ends the waiting, not the jobs.
            """)

    @Argument(help: "Numbers of the jobs.") var jobs: [UInt64]
    @Option(
        help: ArgumentHelp("Longest to wait, like 30s or 2h (default: no limit).", valueName: "time"),
        transform: { try DurationText(parsing: $0).value })
    var timeout: Duration?
    @Flag(help: "Print the jobs as JSON.")
    var json = false
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    func run() async throws {
        let numbers = jobs.map { JobNumber($0) }
        let views = try await connection.use { client in
            try await withThrowingTaskGroup(of: [JobView]?.self) { group in
                group.addTask { [json] in try await Self.wait(for: numbers, client, quiet: json) }
                if let timeout {
                    group.addTask {
                        try await Task.sleep(for: timeout)
                        return nil
                    }
                }
                defer { group.cancelAll() }
                return try await group.next() ?? nil
            }
        }
        guard let views else { throw CommandError.tryAgain("not every job has ended within \(DurationText(timeout ?? .zero))") }
        if json { Console.out(try ControlJSON.pretty(["jobs": views]) + "\n") }
        if let code = views.map(\.exitCode).first(where: { $0 != 0 }) { throw ExitCode(code) }
    }

    /// All at once: each job's end is told when it comes.
    private static func wait(for numbers: [JobNumber], _ client: ClusterClient, quiet: Bool) async throws -> [JobView] {
        try await withThrowingTaskGroup(of: (Int, JobView).self) { group in
            var waiting = Array(numbers.enumerated())[...]
            func add() {
                guard let (place, number) = waiting.popFirst() else { return }
                group.addTask { (place, try await end(of: number, client)) }
            }
            // Each holds a connection; all are waited for in the end, so that a late beginning delays nobody.
            for _ in 0..<ClientLimits.connections / 2 { add() }
            var views: [(place: Int, view: JobView)] = []
            for try await (place, view) in group {
                add()
                views.append((place, view))
                if quiet { continue }
                Console.out("\(view.id) \(view.state.rawValue)\n")
                if let failure = view.failure { Console.message("job \(view.id): \(printable(failure.message))") }
            }
            return views.sorted { $0.place < $1.place }.map(\.view)
        }
    }

    private static func end(of number: JobNumber, _ client: ClusterClient) async throws -> JobView {
        while true {
            let view = try await client.job(number)
            if view.state.isSettled { return view }
            for try await _ in client.events(of: number) {}
        }
    }
}

struct JobsCancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "cancel", abstract: "Give jobs up.")

    @Argument(help: "Numbers of the jobs.") var jobs: [UInt64]
    @Flag(help: "Print the jobs as JSON.")
    var json = false
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    func run() async throws {
        let views = try await connection.use { client in
            var views: [JobView] = []
            for job in jobs { views.append(try await client.cancel(JobNumber(job))) }
            return views
        }
        if json { return Console.out(try ControlJSON.pretty(["jobs": views]) + "\n") }
        for view in views { Console.out("\(view.id) \(view.state.rawValue)\n") }
    }
}

struct JobsLogs: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "The events of a job, one JSON object a line.",
        discussion: """
            Each lasting event has a number in seq, from 1 on: give the last one seen to --after to go on behind it. \
            Lines of type progress have none. Ctrl-C ends the reading, not the job.
            """)

    @Argument(help: "Number of the job.") var job: UInt64
    @Option(help: ArgumentHelp("Only events behind this number.", valueName: "n"))
    var after: Int = 0
    @Flag(name: .shortAndLong, help: "Go on until the job has ended.")
    var follow = false
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    mutating func validate() throws {
        guard after >= 0 else { throw ValidationError("--after is 0 or more, got \(after)") }
    }

    func run() async throws {
        try await connection.use { client in
            // Tells at once of a job that is not there, or of nobody at the address.
            let number = try await client.job(JobNumber(job)).id
            for try await news in follow ? client.events(of: number, after: after) : client.eventsSoFar(of: number, after: after) {
                Console.out(String(decoding: try ControlJSON.encode(news), as: UTF8.self) + "\n")
            }
        }
    }
}
