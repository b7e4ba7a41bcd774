// `ringmaster submit`: gives a running cluster a job, and follows it if asked to.

import ArgumentParser
import Foundation
import RingClient
import RingControl
import RingCore
import RingFormats
import RingKernels
import RingModels
import RingWorker

struct SubmitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "submit",
        abstract: "Give a running cluster a job.",
        discussion: """
            The job is on the coordinator's disk when this returns. With --follow the exit code is the job's: 0 succeeded, 1 failed, \
            75 failed for want of workers or because the coordinator went down, 130 cancelled. Ctrl-C cancels a job that is followed.
            """,
        subcommands: [SubmitGenerate.self, SubmitAttend.self])
}

struct SubmitGenerate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "generate", abstract: "Answer a prompt with a model.")

    @Option(help: ArgumentHelp("Name of the model's folder, below each worker's --models.", valueName: "name"))
    var model: String
    @Option(
        help: ArgumentHelp(
            "Where this machine keeps the folder whose tokenizer encodes the prompt (default: RINGMASTER_MODELS, else .).", valueName: "dir"
        ))
    var models: String?
    @OptionGroup(title: "Prompt") var source: PromptOptions
    @OptionGroup(title: "Sampling") var sampling: SamplingOptions
    @Option(help: ArgumentHelp("How keys and values are stored and sent: f32, bf16 or int8.", valueName: "type"))
    var kvDtype: KeptType = .f32
    @Flag(help: "Accept a prompt longer than the model's max_position_embeddings.")
    var allowLonger = false
    @OptionGroup(title: "Job") var options: SubmitOptions
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    func run() async throws {
        try ClusterFolder.check(model, option: "--model")
        let folder = ClusterFolder.local(models, variable: "RINGMASTER_MODELS") + "/" + model
        guard FileManager.default.fileExists(atPath: folder) else {
            throw CommandError.failed(
                "this machine has no model folder \(folder), whose tokenizer encodes the prompt: say where it lies with --models DIR")
        }
        let loaded = try LoadedModel(folder: folder, withWeights: false)
        let prompt = try source.tokens(loaded)
        var spec = GenerateSpec(modelFolder: model, promptTokenCount: prompt.count, maxTokens: sampling.maxTokens)
        sampling.apply(to: &spec, loaded)
        spec.kvElement = kvDtype.element
        spec.allowLonger = allowLonger
        try loaded.check(prompt, maxTokens: sampling.maxTokens, allowLonger: allowLonger)
        let answer = Answer(loaded.tokenizer, streams: !options.json)
        let summaries: [WorkerSummary]?
        do {
            summaries = try await options.submit(.generate(spec), prompt: prompt, to: connection, onToken: answer.append)
        } catch {
            answer.finish()
            throw error
        }
        guard let summaries else { return }
        answer.finish()
        let report = RunReport(summaries, prompt: prompt.count, answer: answer, spec: spec)
        if options.json { Console.out(report.json.text(pretty: true)) } else { Console.message(report.text) }
    }
}

struct SubmitAttend: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attend",
        abstract: "Exact attention over q, k and v from a file or a seed.",
        discussion: """
            --input and --output are names below the workers' --data, a folder that they and this machine share. \
            Without --follow the output stands there from the beginning, full of zeros, and is whole when the job has succeeded.
            """)

    @OptionGroup(title: "Input") var input: AttendInput
    @OptionGroup(title: "Attention") var attention: AttendOptions
    @Option(help: ArgumentHelp("Where this machine finds the shared folder (default: RINGMASTER_DATA, else .).", valueName: "dir"))
    var data: String?
    @OptionGroup(title: "Job") var options: SubmitOptions
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    mutating func validate() throws {
        try attention.check(against: input)
        if attention.verifyRows != nil && !options.follow {
            throw ValidationError("--verify-rows looks at the result, and so needs --follow")
        }
    }

    func run() async throws {
        let root = ClusterFolder.local(data, variable: "RINGMASTER_DATA")
        let kernels = try fromKernels { () throws(KernelError) in try Kernels.fromEnvironment() }
        var local = input
        if let name = input.input {
            try ClusterFolder.check(name, option: "--input")
            local.input = root + "/" + name
        }
        let (source, origin) = try local.open(kernels)
        var spec = try attention.spec(
            of: input.input.map { .file(path: $0) } ?? origin, shape: AttentionShape(source.shape), seed: input.seed)
        if let output = attention.output { try ClusterFolder.check(output, option: "--output") }
        let result = try AttendResult(
            for: &spec, output: attention.output, verifyRows: attention.verifyRows, place: .shared(root: root, renames: options.follow))
        let summaries: [WorkerSummary]?
        let outcome: OracleCheck.Outcome?
        do {
            summaries = try await options.submit(.attend(spec), prompt: [], to: connection)
            outcome = try summaries.flatMap { (summaries) throws(CommandError) in try result.check(source, spec, summaries) }
            try result.keep()
        } catch {
            result.discard()
            throw error
        }
        guard let summaries else { return }
        try AttendReport(spec, summaries, outcome).print(asJSON: options.json)
    }
}

/// Names of models and files in jobs: below a folder that each worker has of its own.
enum ClusterFolder {
    /// The folder on this machine: option, variable, else the working directory.
    static func local(_ option: String?, variable: String) -> String {
        if let option { return option }
        let value = ProcessInfo.processInfo.environment[variable] ?? ""
        return value.isEmpty ? "." : value
    }

    /// Refuses what the coordinator and every worker would refuse.
    static func check(_ name: String, option: String) throws(CommandError) {
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard !name.hasPrefix("/"), !parts.contains(".."), !parts.contains("") else {
            throw .usage("\(option) is a name below the workers' folder, like llama-8b or tiny/llama, not \(name.debugDescription)")
        }
    }
}
