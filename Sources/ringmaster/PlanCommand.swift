// `ringmaster plan`: would this model with that context fit a cluster, how fast would it be, what would it cost, and what would change it.
// Nothing is measured and nothing is started; the arithmetic is RingPlacement's.

import ArgumentParser
import Foundation
import RingFormats
import RingPlacement

struct PlanCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan",
        abstract: "Say whether a model and a context fit a cluster, how fast it would be and what it would cost.",
        discussion: """
            Computes from the model's shape and the machines' figures; neither weights nor machines need exist. Every assumption is \
            printed and can be set. Formulas and their sources: Docs/PLANNING.md.
            """)

    @Option(help: ArgumentHelp("A model by name (see --list-models), or a folder with a config.json.", valueName: "spec|dir"))
    var model: String?
    @Option(
        help: ArgumentHelp("Tokens of the context, such as 1M (default: the longest that the model claims).", valueName: "n"),
        transform: { try TokenCount(parsing: $0).value })
    var context: Int?
    @Option(help: ArgumentHelp("A cluster file with 'machines'.", valueName: "file"))
    var cluster: String?
    @Option(
        parsing: .upToNextOption,
        help: ArgumentHelp(
            "So many machines instead of the file's, the further ones of its last kind; several for a table.", valueName: "n"))
    var nodes: [Int] = []
    @Option(help: ArgumentHelp("Sequences whose next tokens are decoded together, each with such a context.", valueName: "n"))
    var sequences = 1
    @Option(help: ArgumentHelp("How keys and values are kept: f32, bf16, fp8, int8 or int4.", valueName: "type"))
    var kvDtype = "bf16"
    @Option(help: ArgumentHelp("How experts are kept: bf16, fp8, int8, int4, mxfp4 (default: as released).", valueName: "type"))
    var expertDtype: String?
    @Option(help: ArgumentHelp("How all other weights are kept (default: as released).", valueName: "type"))
    var weightDtype: String?
    @Option(help: ArgumentHelp("What an hour of a machine costs, instead of the file's prices.", valueName: "x"))
    var pricePerNodeHour: Double?
    @Option(
        help: ArgumentHelp("The smallest cluster must prefill within this time, such as 60s.", valueName: "t"),
        transform: { try DurationText(parsing: $0).value })
    var prefillWithin: Duration?
    @Option(help: ArgumentHelp("The smallest cluster must decode so many tokens a second.", valueName: "x"))
    var tokensPerSecond: Double?
    @Option(
        help: ArgumentHelp("Set an assumption: link=0.8. May be given several times; their names are printed.", valueName: "name=value"))
    var assume: [String] = []
    @Flag(help: "List the models that are known by name.")
    var listModels = false
    @Flag(help: "Print it as JSON.")
    var json = false

    func validate() throws {
        if listModels { return }
        guard model != nil else {
            throw ValidationError("--model is missing: name a model (--list-models), or a folder with a config.json")
        }
        guard cluster != nil else { throw ValidationError("--cluster is missing: name a file such as cluster-configs/plan-servers.yaml") }
        if let bad = nodes.first(where: { $0 < 1 || $0 > ClusterShape.machinesMax }) {
            throw ValidationError("--nodes is 1 to \(ClusterShape.machinesMax), got \(bad)")
        }
        if let price = pricePerNodeHour, !(price >= 0 && price < .infinity) {
            throw ValidationError("--price-per-node-hour is at least 0, got \(price)")
        }
        if let rate = tokensPerSecond, !(rate > 0 && rate < .infinity) {
            throw ValidationError("--tokens-per-second is more than 0, got \(rate)")
        }
    }

    func run() throws {
        if listModels {
            Console.out(json ? PlanModels.json.text(pretty: true) : PlanModels.text)
            return
        }
        let question = try ask()
        let questions =
            nodes.isEmpty
            ? [question]
            : nodes.map { count in
                var other = question
                other.cluster = question.cluster.resized(to: count)
                return other
            }
        let plans = try fromPlanner { () throws(PlanningError) in
            var plans: [ClusterPlan] = []
            for question in questions { plans.append(try ClusterPlan(question)) }
            return plans
        }
        let report = PlanReport(plans: plans, target: target)
        Console.out(json ? report.json.text(pretty: true) : report.text)
        if let failure = report.failure { throw CommandError.failed(failure) }
    }

    private var target: PlanTarget {
        var target = PlanTarget()
        target.prefillSeconds = prefillWithin.map { $0 / .seconds(1) }
        target.tokensPerSecond = tokensPerSecond
        return target
    }

    private func ask() throws(CommandError) -> PlanQuestion {
        let spec = try Self.spec(model ?? "")
        var shape = try Self.machines(cluster ?? "")
        if let pricePerNodeHour {
            for place in shape.machines.indices { shape.machines[place].pricePerHour = pricePerNodeHour }
        }
        var assumptions = PlanAssumptions()
        for text in assume {
            let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 2 else { throw .usage("--assume takes a name and a value, such as link=0.8, got '\(printable(text))'") }
            try fromPlanner { () throws(PlanningError) in try assumptions.set(parts[0], to: parts[1]) }
        }
        return PlanQuestion(
            model: spec, tokens: context ?? spec.contextMax, sequences: sequences, cluster: shape,
            denseType: try weightDtype.map { text throws(CommandError) in try Self.type(text, "--weight-dtype") },
            expertType: try expertDtype.map { text throws(CommandError) in try Self.type(text, "--expert-dtype") },
            cacheType: try Self.type(kvDtype, "--kv-dtype"), assumptions: assumptions)
    }

    /// A model of the catalogue, or of a folder: what has a `/` in it, or is one, is a folder.
    private static func spec(_ name: String) throws(CommandError) -> ModelSpec {
        let attributes = try? FileManager.default.attributesOfItem(atPath: name)
        if name.contains("/") || attributes != nil {
            guard let attributes else {
                throw .failed("\(printable(name)) does not exist: give a folder with a config.json, or a model's name")
            }
            guard attributes[.type] as? FileAttributeType != .typeRegular else {
                throw .usage("\(printable(name)) is a file: give the folder of the model")
            }
            return try reading { () throws(FormatError) in try ModelSpec(folder: name) }
        }
        return try fromPlanner { () throws(PlanningError) in try ModelCatalogue.find(name) }
    }

    private static func machines(_ path: String) throws(CommandError) -> ClusterShape {
        let config = try reading { () throws(FormatError) in try ClusterConfig(path: path) }
        guard let machines = config.machines else {
            throw .usage("\(path) names no machines: add a list 'machines', as cluster-configs/plan-servers.yaml has it")
        }
        return machines
    }

    private static func type(_ text: String, _ option: String) throws(CommandError) -> StoredType {
        guard let type = StoredType(rawValue: text) else {
            throw .usage("\(option) is one of \(StoredType.allCases.map(\.rawValue).joined(separator: ", ")), got '\(printable(text))'")
        }
        return type
    }
}

/// Runs `body`, whose errors are the planner's; all of them are values that a person gave.
private func fromPlanner<Result>(_ body: () throws(PlanningError) -> Result) throws(CommandError) -> Result {
    do {
        return try body()
    } catch {
        throw .usage("\(error)")
    }
}

/// The models that are known by name, as a list.
enum PlanModels {
    static var text: String {
        var table = Table(
            ["model", "parameters", "for a token", "layers", "experts", "context", "KV a token", "unverified"], textual: [0, 7])
        for model in ModelCatalogue.all {
            table.add([
                model.name, planCount(Double(model.totalParameters)), planCount(Double(model.activeParameters)), "\(model.layerCount)",
                model.experts.map { "\($0.count), \($0.chosen) chosen" } ?? "-", grouped(model.contextMax),
                planBytes(model.cacheElements * StoredType.bf16.bytes), model.unverified.joined(separator: " "),
            ])
        }
        return table.text + "\n"
    }

    static var json: JSONValue { .array(ModelCatalogue.all.map { PlanReport.json($0) }) }
}
