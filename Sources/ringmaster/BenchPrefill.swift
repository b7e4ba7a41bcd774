// `ringmaster bench prefill`: a whole prefill of a random checkpoint against the roofline of the same threads in the same run.

import ArgumentParser
import Foundation
import RingCore
import RingEngine
import RingFormats
import RingKernels
import RingModels
import RingWorker

/// `ringmaster bench prefill`.
struct BenchPrefill: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prefill", abstract: "A whole prefill of a random Llama-shaped checkpoint against the roofline.",
        discussion: """
            Workers are threads of this process that run the code of a worker's prefill on a ring inside it; weights are there once for \
            all of them. The checkpoint is written to a temporary folder, loaded, and gone before the first run. Before and after each run \
            the same threads multiply in registers: with vectors, and with tiles where the CPU has them. Threads of all workers together \
            should not be more than the cores.
            """)

    @Option(help: ArgumentHelp("Tokens of the prompt.", valueName: "n"), transform: { try TokenCount(parsing: $0).value })
    var tokens: Int = 16_384
    @Option(help: ArgumentHelp("Size of hidden states.", valueName: "n"))
    var hidden: Int = 2048
    @Option(help: ArgumentHelp("Layers.", valueName: "n"))
    var layers: Int = 4
    @Option(help: ArgumentHelp("Query heads.", valueName: "n"))
    var heads: Int = 16
    @Option(help: ArgumentHelp("Key and value heads.", valueName: "n"))
    var kvHeads: Int = 4
    @Option(help: ArgumentHelp("Elements of a query, key or value.", valueName: "n"))
    var headDim: Int = 128
    @Option(help: ArgumentHelp("Size of the feed-forward.", valueName: "n"))
    var intermediate: Int = 8192
    @Option(help: ArgumentHelp("Storage of the weights: f32 or bf16.", valueName: "type"))
    var dtype: KVType = .bf16
    @Option(help: ArgumentHelp("Storage of keys and values: f32 or bf16.", valueName: "type"))
    var kvDtype: KVType = .bf16
    @Option(
        help: ArgumentHelp(
            "Activations that meet bf16 weights: exact or rounded (default: what RINGMASTER_ACTIVATIONS says).", valueName: "how"))
    var activations: ActivationChoice?
    @Option(help: ArgumentHelp("Workers.", valueName: "n"))
    var workers: Int = 1
    @Option(help: ArgumentHelp("Threads of each worker (default: the machine's cores over the workers).", valueName: "n"))
    var threads: Int?
    @Option(help: ArgumentHelp("Times to run it.", valueName: "n"))
    var repeats: Int = 3
    @Flag(help: "Print the result as JSON.")
    var json = false

    private var threadsEach: Int { threads ?? max(1, MachineFacts().cpus / workers) }

    mutating func validate() throws {
        guard (1...1 << 24).contains(tokens) else { throw ValidationError("--tokens is 1 to 16M for a benchmark, got \(tokens)") }
        guard (1...64).contains(workers) else { throw ValidationError("--workers is 1 to 64 for a benchmark, got \(workers)") }
        guard (1...EngineLimits.threads).contains(threads ?? 1) else {
            throw ValidationError("--threads is 1 to \(EngineLimits.threads), got \(threads ?? 0)")
        }
        guard (1...256).contains(layers) else { throw ValidationError("--layers is 1 to 256 for a benchmark, got \(layers)") }
        guard (1...100).contains(repeats) else { throw ValidationError("--repeats is 1 to 100, got \(repeats)") }
        for (name, value) in [("--hidden", hidden), ("--intermediate", intermediate)] {
            guard (1...1 << 17).contains(value) else { throw ValidationError("\(name) is 1 to 131072, got \(value)") }
        }
        try checkHeads(heads, kvHeads)
        guard AttendCommand.takes(headDim) else { throw ValidationError("--head-dim is a multiple of 8 from 32 to 256, got \(headDim)") }
    }

    func run() throws {
        var kernels = try fromKernels { () throws(KernelError) in try Kernels.fromEnvironment() }
        if let activations { kernels.activations = activations.value }
        let benchmark = PrefillBenchmark(
            tokens: tokens, workers: workers, threads: threadsEach, element: kvDtype == .f32 ? .f32 : .bf16, repeats: repeats)
        let model = RandomModel(
            hidden: hidden, layers: layers, heads: heads, kvHeads: kvHeads, headDim: headDim, intermediate: intermediate,
            vocabulary: 512, stored: dtype == .f32 ? .f32 : .bf16, maximumPositions: 1 << 24, seed: 1)
        let runs = try measure(benchmark, model, kernels)
        let report = PrefillReport(command: self, threads: threadsEach, runs: runs, kernels: kernels)
        Console.out(json ? report.json.text(pretty: true) : report.text)
    }

    private func measure(_ benchmark: PrefillBenchmark, _ model: RandomModel, _ kernels: Kernels) throws -> [PrefillBenchmark.Run] {
        do throws(ModelError) {
            let (wanted, free) = (try benchmark.byteCount(model.config, kernels: kernels), MachineFacts.memoryAvailableNow())
            if wanted <= free {
                let weights = try load(model, kernels)
                return try benchmark.run(weights, kernels: kernels) { Console.message("run \($0 + 1) of \(repeats)") }
            }
            throw .unsupported(
                "a prefill of \(tokens) tokens takes \(humanBytes(wanted)), more than the \(humanBytes(free)) that are free here")
        } catch {
            throw CommandError.failed("\(error)")
        }
    }

    /// Weights as every worker reads them; the folder is gone when this returns, however it does.
    private func load(_ model: RandomModel, _ kernels: Kernels) throws(ModelError) -> ModelWeights {
        let folder = FileManager.default.temporaryDirectory.appending(path: "ringmaster-prefill-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.path(percentEncoded: false)
        try model.write(to: path, kernels: kernels)
        return try ModelWeights(folder: path, withHead: false, kernels: kernels)
    }
}

/// `Activations` on the command line.
enum ActivationChoice: String, ExpressibleByArgument, CaseIterable {
    case exact, rounded

    var value: Activations { self == .exact ? .exact : .rounded }
}
