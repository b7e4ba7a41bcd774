// `ringmaster simulate placement`: what a trace of expert loads would have met with on a cluster whose plan changes when that pays.

import ArgumentParser
import Foundation
import RingFormats
import RingPlacement
import RingSimulator

/// `ringmaster simulate placement`.
struct SimulatePlacement: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "placement",
        abstract: "Replay drifting expert loads through planner, hysteresis and moves.",
        discussion: """
            Each step of the trace is judged under three plans: the first one as it was made (fixed), its copies with tokens split anew \
            (re-split), and the one that changes when a change would win more than it costs (live). Balance is mean over greatest load of a \
            host, summed over layers: the time of the experts scales with its inverse. See Docs/PLACEMENT.md.
            """)

    @Option(help: ArgumentHelp("Tokens by [steps, layers, experts], a .npy file.", valueName: "file"))
    var loads: String?
    @Option(
        help: ArgumentHelp(
            "Instead of a file: seeded loads of bench placement, like kimik2:drift, --steps of them.", valueName: "model:distribution"))
    var synthetic: String?
    @Option(help: ArgumentHelp("Steps of --synthetic.", valueName: "n"))
    var steps: Int = 60
    @OptionGroup var places: PlacementHosts
    @Option(
        help: ArgumentHelp("Time that a step stands for, like 10s.", valueName: "time"), transform: { try DurationText(parsing: $0).value })
    var step: Duration = .seconds(60)
    @Option(
        help: ArgumentHelp(
            "Steps after which half of a load's weight in the planner's running mean is gone; 0 is the newest only.", valueName: "n"))
    var halfLife: Double = 1
    @Option(help: ArgumentHelp("Steps between two looks at whether a new plan would pay.", valueName: "n"))
    var every: Int = 1
    @Option(help: ArgumentHelp("Part of a link that moves may take, 0 to 1.", valueName: "f"))
    var moveShare: Double = 0.25
    @Option(help: ArgumentHelp("Part of a step's time that experts take when they are balanced, 0 to 1.", valueName: "f"))
    var expertShare: Double = 0.5
    @Option(help: ArgumentHelp("Part of the time that is lost while weights move, 0 to 1.", valueName: "f"))
    var slowdown: Double = 0.05
    @Option(
        help: ArgumentHelp(
            "How long a change is expected to last, like 10m: what it wins in that time is set against its cost.", valueName: "time"),
        transform: { try DurationText(parsing: $0).value })
    var horizon: Duration = .seconds(600)
    @Option(help: ArgumentHelp("How many times its cost a change must win.", valueName: "x"))
    var hysteresis: Double = 1.5
    @Option(
        help: ArgumentHelp(
            "Experts that a host can hold beside its slots while they arrive; with 0 layers stand still for some.", valueName: "n"))
    var staging: Int = 1
    @Option(
        help: ArgumentHelp("Slots that one change may touch, as a fraction of all (default: what the loads are worth).", valueName: "f"))
    var moveBudget: Double?
    @Flag(help: "Print all steps and the totals as JSON.")
    var json = false

    mutating func validate() throws {
        guard places.expertBytes != nil else {
            throw ValidationError("what a move costs depends on the size of an expert: give --expert-bytes")
        }
        guard moveShare > 0, moveShare <= 1 else { throw ValidationError("--move-share is above 0 and at most 1, got \(moveShare)") }
        if let moveBudget, !(0...1).contains(moveBudget) {
            throw ValidationError("--move-budget is a fraction from 0 to 1, got \(moveBudget)")
        }
        guard (loads == nil) != (synthetic == nil) else {
            throw ValidationError("give either --loads FILE or --synthetic MODEL:DISTRIBUTION")
        }
        guard (2...100_000).contains(steps) else { throw ValidationError("--steps is 2 to 100000, got \(steps)") }
        if let synthetic { _ = try Self.source(synthetic) }
        guard every >= 1 else { throw ValidationError("--every is at least 1, got \(every)") }
        guard staging >= 0 else { throw ValidationError("--staging is at least 0, got \(staging)") }
    }

    private static func source(_ text: String) throws -> (SyntheticLoads, LoadDistribution) {
        let parts = text.split(separator: ":", maxSplits: 1).map(String.init)
        guard parts.count == 2, let model = LoadModel.known.first(where: { $0.name == parts[0] }),
            let distribution = LoadDistribution(rawValue: parts[1])
        else {
            let (models, kinds) = (LoadModel.known.map(\.name), LoadDistribution.allCases.map(\.rawValue))
            throw ValidationError(
                "--synthetic is one of \(models.joined(separator: ", ")), a colon, and one of \(kinds.joined(separator: ", ")); got '\(text)'"
            )
        }
        return (SyntheticLoads(model), distribution)
    }

    /// The steps of the trace one by one, however long it is.
    private func trace() throws -> (layers: Int, experts: Int, steps: Int, values: (Int) -> [Double]) {
        if let synthetic {
            let (source, distribution) = try Self.source(synthetic)
            return (source.model.layers, source.model.experts, steps, { source.loads(distribution, step: $0) })
        }
        let path = loads ?? ""
        let table = try reading { () throws(FormatError) in try LoadTable(path: path) }
        guard table.steps > 1 else {
            throw CommandError.failed(
                "\(path) has one step: a replay needs loads of [steps, layers, experts]; ringmaster place takes one step")
        }
        let size = table.layers * table.experts
        return (table.layers, table.experts, table.steps, { Array(table.values[$0 * size..<($0 + 1) * size]) })
    }

    func run() throws {
        let table = try trace()
        let (hosts, link) = try places.shapes(layers: table.layers, experts: table.experts)
        var options = ReplayOptions()
        (options.stepSeconds, options.halfLifeSteps, options.everySteps) = (seconds(step), halfLife, every)
        (options.expertBytes, options.moveBytesPerSecond) = (places.expertBytes ?? 0, link * moveShare)
        (options.expertShare, options.moveSlowdown) = (expertShare, slowdown)
        (options.horizonSeconds, options.hysteresis, options.staging) = (seconds(horizon), hysteresis, staging)
        options.planner.moveBudget = moveBudget
        let started = ContinuousClock.now
        let first = try planning { () throws(PlacementError) in
            try ExpertLoads(layers: table.layers, experts: table.experts, values: table.values(0))
        }
        var replay = try planning { () throws(PlacementError) in try PlacementReplay(first, on: hosts, options: options) }
        var played: [ReplayStep] = []
        for step in 0..<table.steps {
            try Task.checkCancellation()
            played.append(
                try planning { () throws(PlacementError) in
                    try replay.step(try ExpertLoads(layers: table.layers, experts: table.experts, values: table.values(step)))
                })
            ReplayReport.progress(step + 1, of: table.steps)
        }
        let report = ReplayReport(steps: played, totals: replay.totals, elapsed: seconds(ContinuousClock.now - started))
        Console.out(json ? report.json.text(pretty: true) : report.text)
    }
}
