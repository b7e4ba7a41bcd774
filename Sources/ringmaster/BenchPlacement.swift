// `ringmaster bench placement`: the planner of experts beside EPLB, on seeded loads that anybody can make again (Docs/PLACEMENT.md).

import ArgumentParser
import Foundation
import RingFormats
import RingPlacement

struct BenchPlacement: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "placement", abstract: "Placement of experts beside EPLB: balance, moves and planning time on seeded loads.",
        discussion: """
            Balance is the sum over layers of the mean load of a host over the sum of the greatest; gap is bound / balance - 1, so 0 is \
            the best that these slots allow. EPLB is our own, in global mode, and plans from nothing each time, as it does. All times are \
            of one thread. Without --parts everything is measured, which takes about a minute.
            """)

    /// What can be measured.
    enum Part: String, CaseIterable, ExpressibleByArgument {
        case cold, drift, batches, survival, mixed, scale
    }

    @Option(help: ArgumentHelp("Only this model: dsv3, kimik2, kimik3, h25t512 or h25t1024.", valueName: "name"))
    var model: String?
    @Option(help: ArgumentHelp("Only this many hosts.", valueName: "n"))
    var hosts: Int?
    @Option(parsing: .upToNextOption, help: ArgumentHelp("cold, drift, batches, survival, mixed, scale.", valueName: "names"))
    var parts: [Part] = Part.allCases
    @Option(help: ArgumentHelp("Steps of drifting loads, each planned from the one before.", valueName: "n"))
    var steps: Int = 5
    @Option(help: ArgumentHelp("Plans of which the fastest counts.", valueName: "n"))
    var runs: Int = 3
    @Flag(help: "Print the rows as JSON.")
    var json = false

    /// A model on so many hosts with so many slots each.
    struct Setting {
        let model: LoadModel
        let hosts: Int
        let slots: Int

        init(_ name: String, _ hosts: Int, _ slots: Int) {
            model = LoadModel.known.first { $0.name == name } ?? LoadModel.known[0]
            self.hosts = hosts
            self.slots = slots
        }

        /// Eight hosts a node.
        var shapes: [HostShape] { (0..<hosts).map { HostShape(slots: slots, node: $0 / 8) } }
        var label: String { "\(model.name) \(hosts) [\(slots)]" }

        func loads(_ distribution: LoadDistribution, step: Int = 0) throws -> ExpertLoads {
            let values = SyntheticLoads(model).loads(distribution, step: step)
            return try planning { () throws(PlacementError) in
                try ExpertLoads(layers: model.layers, experts: model.experts, values: values)
            }
        }
    }

    /// The settings whose figures of EPLB are published.
    static let settings = [
        Setting("dsv3", 8, 36), Setting("dsv3", 32, 9), Setting("dsv3", 72, 4), Setting("dsv3", 144, 2), Setting("dsv3", 320, 1),
        Setting("kimik2", 32, 13), Setting("kimik2", 96, 5), Setting("kimik2", 192, 3), Setting("kimik2", 384, 2),
        Setting("kimik3", 16, 58), Setting("kimik3", 64, 15), Setting("kimik3", 224, 5), Setting("kimik3", 448, 3),
        Setting("kimik3", 896, 2),
        Setting("h25t512", 64, 9), Setting("h25t1024", 128, 9), Setting("h25t1024", 512, 3),
    ]

    mutating func validate() throws {
        if let model, !LoadModel.known.contains(where: { $0.name == model }) {
            throw ValidationError("--model is one of \(LoadModel.known.map(\.name).joined(separator: ", ")), got '\(model)'")
        }
        if let hosts, !Self.settings.contains(where: { $0.hosts == hosts && (model == nil || $0.model.name == model) }) {
            let known = Self.settings.filter { model == nil || $0.model.name == model }.map { "\($0.hosts)" }
            throw ValidationError("--hosts is one of \(known.joined(separator: ", ")) here, got \(hosts)")
        }
        guard (1...100).contains(steps) else { throw ValidationError("--steps is 1 to 100, got \(steps)") }
        guard (1...100).contains(runs) else { throw ValidationError("--runs is 1 to 100, got \(runs)") }
    }

    func run() throws {
        let chosen = Self.settings.filter { (model ?? $0.model.name) == $0.model.name && (hosts ?? $0.hosts) == $0.hosts }
        var document = JSONObject()
        for part in Part.allCases where parts.contains(part) {
            let section =
                switch part {
                case .cold: try cold(chosen)
                case .drift: try drift(chosen)
                case .batches: try batches(chosen)
                case .survival: try survival()
                case .mixed: try mixed()
                case .scale: try scale()
                }
            document.append(part == .cold ? "rows" : part.rawValue, .array(section.rows))
            if !json { Console.out(section.title + "\n" + section.table.text + "\n\n") }
        }
        if json { Console.out(JSONValue.object(document).text(pretty: true)) }
    }

    /// Rows for scripts and the same as a table.
    struct Section {
        var title: String
        var table: Table
        var rows: [JSONValue] = []
    }

    /// Seconds of the fastest of `runs`, and what it made.
    func fastest<Result>(_ body: () throws -> Result) throws -> (seconds: Double, result: Result) {
        let clock = ContinuousClock()
        var best: (seconds: Double, result: Result)?
        for _ in 0..<runs {
            let start = clock.now
            let result = try body()
            let seconds = (clock.now - start) / .seconds(1)
            if seconds < best?.seconds ?? .infinity { best = (seconds, result) }
        }
        guard let best else { throw CommandError.failed("nothing was measured") }
        return best
    }

    /// A plan that the independent check confirms.
    func plan(
        _ loads: ExpertLoads, _ hosts: [HostShape], previous: PlacementPlan? = nil, _ options: PlacementOptions = PlacementOptions()
    ) throws -> Placement {
        try planning { () throws(PlacementError) in try place(loads, on: hosts, previous: previous, options: options) }
    }

    /// Stops the benchmark where a plan is wrong.
    func confirm(_ placement: Placement, _ loads: ExpertLoads, twoDomains: Bool = false) throws {
        let wrong = faults(of: placement.plan, for: loads, certificates: placement.certificates, twoDomains: twoDomains)
        if let first = wrong.first { throw CommandError.failed("a plan is wrong: \(first)") }
    }
}
