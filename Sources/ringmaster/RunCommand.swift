// `ringmaster run`: a prompt, a model, an answer. An embedded cluster for the length of one generate job.

import ArgumentParser
import Foundation
import RingControl
import RingCore
import RingFormats
import RingWorker
import Synchronization

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Answer a prompt with a model, on worker processes of this machine.",
        discussion: "The answer goes to stdout, everything else to stderr. Counts may be written 128k or 1M.")

    @Option(help: ArgumentHelp("Folder of a Hugging Face checkpoint.", valueName: "dir"))
    var model: String
    @OptionGroup(title: "Prompt") var source: PromptOptions
    @OptionGroup(title: "Sampling") var sampling: SamplingOptions
    @OptionGroup(title: "Cluster") var cluster: ClusterOptions
    @OptionGroup(title: "Figures") var figures: FigureOptions
    @Option(help: ArgumentHelp("How keys and values are stored and sent: f32, bf16 or int8.", valueName: "type"))
    var kvDtype: KeptType = .f32
    @Flag(help: "Accept a prompt longer than the model's max_position_embeddings.")
    var allowLonger = false
    @Option(help: ArgumentHelp("Write the prompt's logits [prompt_tokens, vocab] F32 to this safetensors file.", valueName: "file"))
    var logits: String?
    @Option(
        help: ArgumentHelp("Limit --logits to these positions: 0,5,100-200 (last included).", valueName: "rows"),
        transform: { try RowList.parse($0) })
    var logitsRows: [RowRange]?
    @Option(help: ArgumentHelp("Say whether the answer is this text; exit code 1 if it is not.", valueName: "text"))
    var expect: String?

    mutating func validate() throws {
        if logitsRows != nil && logits == nil { throw ValidationError("--logits-rows limits --logits FILE, which is missing") }
    }

    func run() async throws {
        let model = try LoadedModel(folder: model)
        let prompt = try source.tokens(model)
        var spec = GenerateSpec(modelFolder: model.folder, promptTokenCount: prompt.count, maxTokens: sampling.maxTokens)
        sampling.apply(to: &spec, model)
        spec.kvElement = kvDtype.element
        spec.allowLonger = allowLonger
        try model.check(prompt, maxTokens: sampling.maxTokens, allowLonger: allowLonger)
        try MemoryCheck.run(workers: cluster.workers) { () throws(ExecutionError) in
            try MemoryEstimate(
                generate: spec, config: model.config, workers: cluster.workers, threads: cluster.threadsEach)
        }
        if let logits { try createLogits(at: logits, for: &spec, model) }
        let answer = Answer(model.tokenizer, streams: !cluster.json)
        let follower = JobFollower(
            spec: .generate(spec), workers: cluster.workers, threads: cluster.threads, prompt: prompt,
            lane: try cluster.lane.workerArguments(), verbose: cluster.verbose, trace: try figures.traceFile(), numa: cluster.numa)
        let summaries: [WorkerSummary]
        do {
            summaries = try await follower.run(onToken: answer.append)
        } catch {
            answer.finish()
            // A file of zeros would look like logits.
            if let path = spec.logitsPath { try? FileManager.default.removeItem(atPath: path) }
            throw error
        }
        answer.finish()
        let report = RunReport(summaries, prompt: prompt.count, answer: answer, spec: spec)
        figures.tell(summaries)
        if cluster.json { Console.out(report.json.text(pretty: true)) } else { Console.message(report.text) }
        try judge(answer.text)
    }

    /// Creates the file at its full size; the workers write their rows in place.
    private func createLogits(at path: String, for spec: inout GenerateSpec, _ model: LoadedModel) throws {
        let absolute = absolutePath(path)
        for rows in logitsRows ?? [] where rows.start + rows.count > spec.promptTokenCount {
            throw CommandError.usage(
                "--logits-rows asks for position \(rows.start + rows.count - 1), but the prompt has "
                    + "\(spec.promptTokenCount) tokens, counted from 0")
        }
        let rows = logitsRows?.reduce(0) { $0 + $1.count } ?? spec.promptTokenCount
        _ = try reading { () throws(FormatError) in
            try SafetensorsWriter(creating: absolute, tensors: [TensorSpec("logits", .f32, [rows, model.config.vocabularySize])])
        }
        spec.logitsPath = absolute
        spec.logitsRows = logitsRows
    }

    private func judge(_ text: String) throws {
        guard let expect else { return }
        let (got, wanted) = (text.trimmingCharacters(in: .whitespacesAndNewlines), expect.trimmingCharacters(in: .whitespacesAndNewlines))
        guard got == wanted else {
            throw CommandError.failed("the answer is wrong: expected \(wanted.debugDescription), got \(got.debugDescription)")
        }
        Console.message("the answer is right")
    }
}

/// A file's path, independent of the working directory.
func absolutePath(_ path: String) -> String { URL(filePath: path).absoluteURL.standardizedFileURL.path(percentEncoded: false) }

/// The answer as it comes, in tokens and in text.
final class Answer: Sendable {
    private struct State {
        var ids: [UInt32] = []
        var text = ""
        var decoder: StreamingDecoder?
    }

    private let state: Mutex<State>
    private let streams: Bool

    /// An empty answer; `streams` prints its text as it comes. Without a tokenizer the ids are the text.
    init(_ tokenizer: Tokenizer?, streams: Bool) {
        state = Mutex(State(decoder: tokenizer.map { StreamingDecoder($0) }))
        self.streams = streams
    }

    var ids: [UInt32] { state.withLock { $0.ids } }
    var text: String { state.withLock { $0.text } }

    /// Takes the next token.
    func append(_ id: UInt32) {
        let piece = state.withLock { state in
            let piece = state.decoder?.append(id) ?? (state.ids.isEmpty ? "\(id)" : " \(id)")
            state.ids.append(id)
            state.text += piece
            return piece
        }
        if streams { Console.out(piece) }
    }

    /// Prints what an incomplete character left over, and the end of the line.
    func finish() {
        let (rest, isEmpty) = state.withLock { state in
            let rest = state.decoder?.finish() ?? ""
            state.text += rest
            return (rest, state.ids.isEmpty)
        }
        if streams && !isEmpty { Console.out(rest + "\n") }
    }
}
