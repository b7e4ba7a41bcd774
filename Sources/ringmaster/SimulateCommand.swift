// `ringmaster simulate`, or `simulate cluster`: whole clusters under virtual time, broken in every way that a seed can draw.

import ArgumentParser
import Foundation
import RingFormats
import RingSimulator

struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "Simulate clusters under faults, or a plan of experts under drifting loads.",
        discussion: "Without a name it is cluster: see ringmaster simulate cluster --help for its options.",
        subcommands: [SimulateCluster.self, SimulatePlacement.self], defaultSubcommand: SimulateCluster.self)
}

struct SimulateCluster: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cluster",
        abstract: "Simulate clusters under faults and check what is promised of them.",
        discussion: """
            Runs the coordinator's and the workers' own state machines and ring passes under virtual time. A seed decides \
            everything: a failure prints the command that plays it again. See Docs/SIMULATOR.md.
            """)

    @Option(help: ArgumentHelp("The seed, or the first of them.", valueName: "s"))
    var seed: UInt64 = 1
    @Option(help: ArgumentHelp("How many seeds, one after the other.", valueName: "n"))
    var seeds: Int = 1
    @Option(help: ArgumentHelp("Workers (default: the seed chooses 2 to 5).", valueName: "n"))
    var nodes: Int?
    @Option(help: ArgumentHelp("Jobs (default: the seed chooses 3 to 9; 5 for every 100 of more than 100 workers).", valueName: "n"))
    var jobs: Int?
    @Option(help: ArgumentHelp("none, all, or some of delays,loss,partitions,pauses,crashes,disk,stragglers.", valueName: "kinds"))
    var faults: String = "all"
    @Option(help: ArgumentHelp("Virtual seconds of faults and new jobs (default: the seed chooses 3 to 8; 10 at scale).", valueName: "t"))
    var seconds: Double?
    @Option(
        help: ArgumentHelp(
            "Virtual hours of steady pauses, delays and loss instead, to count who is taken for dead and lives.", valueName: "h"))
    var hours: Double?
    @Option(help: ArgumentHelp("With --hours: the longest that a process stands still, in seconds (default: 0.2).", valueName: "t"))
    var longestPause: Double?
    @Flag(help: "Print every event, one a line.")
    var transcript = false
    @Flag(help: "Print the totals as JSON.")
    var json = false
    @Option(name: .customLong("break"), help: .hidden)
    var mutation: String?

    /// More workers than this are a measurement of the coordinator's machine.
    private static let scaleNodes = 100

    mutating func validate() throws {
        guard seeds >= 1, seeds <= 1_000_000_000 else { throw ValidationError("--seeds is at least 1, got \(seeds)") }
        if let nodes, nodes < 1 || nodes > 16384 { throw ValidationError("--nodes is 1 to 16384, got \(nodes)") }
        if let jobs, jobs < 1 || jobs > 100_000 { throw ValidationError("--jobs is 1 to 100000, got \(jobs)") }
        if let seconds, !(seconds >= 1 && seconds <= 3600) { throw ValidationError("--seconds is 1 to 3600, got \(seconds)") }
        if let hours {
            if !(hours > 0 && hours <= 1000) { throw ValidationError("--hours is more than 0 and at most 1000, got \(hours)") }
            if seconds != nil { throw ValidationError("--hours and --seconds exclude each other") }
        }
        if let longestPause {
            if hours == nil { throw ValidationError("--longest-pause needs --hours") }
            if !(longestPause > 0 && longestPause <= 3600) {
                throw ValidationError("--longest-pause is more than 0 and at most 3600, got \(longestPause)")
            }
        }
        _ = try kinds()
        if let mutation, Mutation(rawValue: mutation) == nil {
            throw ValidationError("--break is one of \(Mutation.allCases.map(\.rawValue).joined(separator: ", "))")
        }
    }

    private func kinds() throws -> [FaultKind] {
        if faults == "all" { return hours == nil ? FaultKind.allCases : FaultKind.steady }
        if faults == "none" { return [] }
        let names = faults.split(separator: ",").map(String.init)
        let known = FaultKind.allCases.filter { names.contains($0.rawValue) }
        if let stranger = names.first(where: { FaultKind(rawValue: $0) == nil }) ?? (names.isEmpty ? faults : nil) {
            throw ValidationError(
                "--faults is none, all, or some of \(FaultKind.allCases.map(\.rawValue).joined(separator: ",")), got '\(stranger)'")
        }
        if hours != nil, let other = known.first(where: { !FaultKind.steady.contains($0) }) {
            throw ValidationError(
                "--hours takes \(FaultKind.steady.map(\.rawValue).joined(separator: ",")) as --faults, got '\(other.rawValue)'")
        }
        return known
    }

    func run() throws {
        var options = SimulationOptions(seed: seed, faults: try kinds())
        (options.nodes, options.jobs, options.seconds) = (nodes, jobs, seconds)
        (options.hours, options.pauseSeconds) = (hours, longestPause ?? SimulationOptions.shortPauseSeconds)
        (options.keepsTranscript, options.mutation) = (transcript, mutation.flatMap(Mutation.init))
        let isScale = (nodes ?? 0) > Self.scaleNodes
        if isScale {
            options.jobs = jobs ?? (nodes ?? 0) / 20
            options.seconds = hours == nil ? seconds ?? 10 : nil
        }
        let started = Date()
        var totals = SimulationTally()
        for number in 0..<UInt64(seeds) {
            try Task.checkCancellation()
            options.seed = seed &+ number
            // The CPU time of the process; its own cost, some 0.3 us an event, is measured with it.
            let outcome = Simulation.run(options, cpuSeconds: isScale ? { Double(clock()) / Double(CLOCKS_PER_SEC) } : nil)
            totals.add(outcome)
            if transcript { Console.out(outcome.transcript.joined(separator: "\n") + "\n") }
            if let violation = outcome.violation {
                try report(violation, options)
            }
        }
        let elapsed = Date().timeIntervalSince(started)
        Console.out(
            json ? totals.json(elapsed: elapsed, isScale: isScale).text(pretty: true) : totals.text(elapsed: elapsed, isScale: isScale))
    }

    /// Plays a simulation that failed again, with its transcript, and ends.
    private func report(_ violation: Violation, _ options: SimulationOptions) throws {
        if !transcript {
            var again = options
            again.keepsTranscript = true
            Console.out(Simulation.run(again).transcript.suffix(200).joined(separator: "\n") + "\n")
        }
        Console.error("checker \(violation.checker) at \(fixed(violation.seconds, 3)) s: \(violation.message)")
        Console.message("replay: \(options.replayCommand) --transcript")
        throw ExitCode(1)
    }
}

/// A tally as a person or a script reads it.
extension SimulationTally {
    fileprivate var share: Double { machineSeconds / max(virtualSeconds, 1e-9) }

    fileprivate func text(elapsed: Double, isScale: Bool) -> String {
        var lines = [
            "\(grouped(seeds)) seed\(seeds == 1 ? "" : "s"): \(grouped(events)) events in \(fixed(virtualSeconds, 1)) virtual seconds, "
                + "\(grouped(faults)) faults, every checker content",
            "\(grouped(jobs)) jobs acknowledged: \(grouped(succeeded)) succeeded, \(grouped(failed)) failed, \(grouped(cancelled)) cancelled; "
                + "\(grouped(retries)) retries (\(grouped(resumed)) went on from a broken run)",
        ]
        if nodeHours > 0 {
            lines.append(
                "\(fixed(nodeHours, 1)) node-hours in which nobody died: \(grouped(falseSuspicions)) suspected, "
                    + "\(grouped(falseDeaths)) declared dead")
        }
        if stragglers > 0 { lines.append("\(grouped(stragglers)) ranks named as slow, all of them rightly") }
        if deaths > 0 { lines.append("\(grouped(deaths)) deaths timed, the slowest noticed after \(fixed(deathSecondsMax, 3)) s") }
        if isScale {
            lines.append(
                "coordinator machine at \(grouped(nodes)) nodes: \(grouped(machineEvents)) events, \(fixed(machineSeconds, 2)) CPU seconds, "
                    + "\(fixed(100 * share, 1))% of one core")
        }
        lines.append("\(fixed(elapsed, 1)) s, \(fixed(Double(seeds) / max(elapsed, 1e-9), 1)) seeds a second")
        return lines.joined(separator: "\n") + "\n"
    }

    fileprivate func json(elapsed: Double, isScale: Bool) -> JSONValue {
        var object: JSONObject = [
            "seeds": .integer(Int64(seeds)), "events": .integer(Int64(events)), "virtual_seconds": .number(virtualSeconds),
            "faults": .integer(Int64(faults)), "jobs": .integer(Int64(jobs)), "succeeded": .integer(Int64(succeeded)),
            "failed": .integer(Int64(failed)), "cancelled": .integer(Int64(cancelled)), "retries": .integer(Int64(retries)),
            "resumed": .integer(Int64(resumed)), "stragglers": .integer(Int64(stragglers)), "deaths_timed": .integer(Int64(deaths)),
            "death_seconds_max": .number(deathSecondsMax), "seconds": .number(elapsed),
            "seeds_per_second": .number(Double(seeds) / max(elapsed, 1e-9)),
        ]
        if nodeHours > 0 {
            object.append("node_hours", .number(nodeHours))
            object.append("false_suspicions", .integer(Int64(falseSuspicions)))
            object.append("false_deaths", .integer(Int64(falseDeaths)))
        }
        if isScale {
            object.append("nodes", .integer(Int64(nodes)))
            object.append("machine_events", .integer(Int64(machineEvents)))
            object.append("machine_cpu_seconds", .number(machineSeconds))
            object.append("machine_cpu_share", .number(share))
        }
        return .object(object)
    }
}
