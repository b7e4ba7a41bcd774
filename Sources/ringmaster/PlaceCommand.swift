// `ringmaster place`: measured loads in, a placement of experts out, with a certificate of how good it is and the way from the old plan.

import ArgumentParser
import Foundation
import RingFormats
import RingPlacement

extension PlacementPolicy: ExpressibleByArgument {}

struct PlaceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "place", abstract: "Place experts on hosts by measured loads.",
        discussion: """
            Writes for each layer which experts each host holds, which share of each expert's tokens each copy takes, and a certificate: \
            the mean and the greatest load of a host, and what no plan can undercut. With --previous the plan changes as few slots as \
            the loads demand, and says who sends what to whom. See Docs/PLACEMENT.md.
            """)

    @Option(
        help: ArgumentHelp(
            "Tokens by [layers, experts] or [steps, layers, experts]: .npy, JSON of SGLang or vLLM, or lines of figures.", valueName: "file"
        ))
    var loads: String
    @OptionGroup var places: PlacementHosts
    @Option(help: ArgumentHelp("The plan in force, to start from.", valueName: "plan.json"))
    var previous: String?
    @Option(
        help: ArgumentHelp(
            "Slots that may change from --previous, as a fraction of all (default: what the loads are worth).", valueName: "f"))
    var moveBudget: Double?
    @Option(help: ArgumentHelp("auto, wrap, eplb or eplb-hierarchical (the baselines).", valueName: "name"))
    var policy: PlacementPolicy = .auto
    @Option(help: ArgumentHelp("Groups of experts that eplb-hierarchical deals to nodes.", valueName: "n"))
    var expertGroups: Int = 8
    @Flag(help: "Copies of every expert in two nodes, or in two racks where there are several.")
    var replicasInTwoDomains = false
    @Option(help: ArgumentHelp("The model's name, kept in the plan; a previous plan of another one is refused.", valueName: "name"))
    var model: String?
    @Flag(help: "Say why the plan is as it is, layer by layer.")
    var explain = false
    @Flag(help: "Print the totals as JSON.")
    var json = false
    @Option(help: ArgumentHelp("Draw the loads of hosts by layer, before and after, as SVG.", valueName: "file.svg"))
    var heatmap: String?
    @Option(help: ArgumentHelp("Where the plan goes; nothing is written without it.", valueName: "plan.json"))
    var output: String?

    mutating func validate() throws {
        if let moveBudget {
            guard (0...1).contains(moveBudget) else { throw ValidationError("--move-budget is a fraction from 0 to 1, got \(moveBudget)") }
            guard previous != nil else { throw ValidationError("--move-budget needs --previous: without it every slot is new") }
        }
        guard (1...PlacementLimits.experts).contains(expertGroups) else {
            throw ValidationError("--expert-groups is 1 to \(PlacementLimits.experts), got \(expertGroups)")
        }
    }

    func run() throws {
        let table = try reading { () throws(FormatError) in try LoadTable(path: loads) }
        let measured = try planning { () throws(PlacementError) in
            try ExpertLoads(layers: table.layers, experts: table.experts, values: table.sums)
        }
        let (hosts, link) = try places.shapes(layers: table.layers, experts: table.experts)
        let before = try previousPlan()
        var options = PlacementOptions()
        options.policy = policy
        options.expertGroups = expertGroups
        options.twoDomains = replicasInTwoDomains
        options.moveBudget = moveBudget
        options.expertBytes = places.expertBytes
        options.linkBytesPerSecond = link
        let clock = ContinuousClock()
        let start = clock.now
        let placement = try planning { () throws(PlacementError) in
            try place(measured, on: hosts, previous: before?.plan, options: options)
        }
        let seconds = (clock.now - start) / .seconds(1)
        // Nobody acts on a plan that an independent check does not confirm.
        let wrong = faults(of: placement.plan, for: measured, certificates: placement.certificates, twoDomains: replicasInTwoDomains)
        if let first = wrong.first {
            throw CommandError.failed("the plan is wrong and was not written, which is a fault of this program: \(first)")
        }
        if let output { try write(placement, to: output) }
        if let heatmap {
            let picture = PlacementPicture(placement.plan, measured, previous: before?.plan)
            try reading { () throws(FormatError) in try FileText.write(picture.svg(), path: heatmap) }
        }
        let report = PlacementReport(placement, measured, seconds: seconds, policy: policy)
        if json {
            Console.out(report.json.text(pretty: true))
        } else {
            Console.out(report.text + (explain ? report.explanation : ""))
        }
    }

    private func previousPlan() throws -> PlacementDocument? {
        guard let previous else { return nil }
        let document = try reading { () throws(FormatError) in try PlacementDocument(path: previous) }
        if let model, let other = document.model, other != model {
            throw CommandError.usage("\(previous) is a plan of \(printable(other)), not of \(model): give the plan of this model, or none")
        }
        if let size = places.expertBytes, let other = document.expertBytes, other != size {
            throw CommandError.usage(
                "\(previous) is a plan of experts of \(other) bytes, not \(size): give the plan of this model and type, or none")
        }
        return document
    }

    /// Writes beside the place first, so that a plan is there whole or not at all.
    private func write(_ placement: Placement, to path: String) throws {
        if (try? FileManager.default.contentsOfDirectory(atPath: path)) != nil {
            throw CommandError.usage("--output names a folder, \(path): give the name of a file")
        }
        let part = path + ".part-\(ProcessInfo.processInfo.processIdentifier)"
        guard FileManager.default.createFile(atPath: part, contents: nil), let file = FileHandle(forWritingAtPath: part) else {
            throw CommandError.failed("cannot write \(path): does its folder exist, and may you write in it?")
        }
        do {
            var buffer = Data()
            try PlacementDocument.write(placement, model: model, policy: policy, expertBytes: places.expertBytes) {
                (text: String) throws(any Error) in
                buffer.append(contentsOf: text.utf8)
                guard buffer.count > 1 << 20 else { return }
                try file.write(contentsOf: buffer)
                buffer.removeAll(keepingCapacity: true)
            }
            try file.write(contentsOf: buffer)
            try file.close()
            try FileText.move(part, to: path)
        } catch {
            try? FileManager.default.removeItem(atPath: part)
            throw (error as? CommandError) ?? CommandError.failed("cannot write \(path): is there room?")
        }
    }
}

/// Runs `body`, whose errors are the planner's, and turns them into errors of a command.
func planning<Result>(_ body: () throws(PlacementError) -> Result) throws(CommandError) -> Result {
    do {
        return try body()
    } catch {
        throw .failed("\(error)")
    }
}
