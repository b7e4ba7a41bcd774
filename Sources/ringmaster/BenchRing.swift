// `ringmaster bench ring`: a ring of worker processes on loopback against one process with as many threads, on the same problem in the
// same run. It goes the way of every job: coordinator, sessions, worker processes, and what their data travels by.

import ArgumentParser
import Foundation
import RingControl
import RingCoordinator
import RingCore
import RingFormats
import RingKernels
import RingWorker

/// `ringmaster bench ring`.
struct BenchRing: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ring", abstract: "A ring of worker processes against one process with as many threads.",
        discussion: """
            Both compute the same seeded attention, by turns, as jobs of one cluster on this machine. Efficiency is the time of one process \
            over the time of the ring, from the first ring step to the last, loading left out. With more workers than cores the \
            workers share the cores, and one process has as many threads as there are cores.
            """)

    @Option(help: ArgumentHelp("Tokens.", valueName: "n"), transform: { try TokenCount(parsing: $0).value })
    var tokens: Int = 131_072
    @Option(help: ArgumentHelp("Query heads.", valueName: "n"))
    var heads: Int = 1
    @Option(help: ArgumentHelp("Key and value heads (default: as many as query heads).", valueName: "n"))
    var kvHeads: Int?
    @Option(help: ArgumentHelp("Elements of a query, key or value.", valueName: "n"))
    var headDim: Int = 128
    @Option(help: ArgumentHelp("Storage of keys and values: f32 or bf16.", valueName: "type"))
    var dtype: KVType = .bf16
    @Option(help: ArgumentHelp("Worker processes of the ring.", valueName: "n"))
    var workers: Int = 2
    @Flag(inversion: .prefixedNo, help: "Hide later keys.")
    var causal = true
    @Option(help: ArgumentHelp("Times to run each of the two.", valueName: "n"))
    var repeats: Int = 3
    @OptionGroup var lane: LaneOptions
    @Flag(help: "Print the result as JSON.")
    var json = false
    @OptionGroup(title: "Figures") var figures: FigureOptions

    mutating func validate() throws {
        guard (1...Limits.tokens).contains(tokens) else { throw ValidationError("--tokens is 1 to \(Limits.tokens), got \(tokens)") }
        guard (2...64).contains(workers) else { throw ValidationError("--workers is 2 to 64, got \(workers)") }
        guard (1...100).contains(repeats) else { throw ValidationError("--repeats is 1 to 100, got \(repeats)") }
        try checkHeads(heads, kvHeads ?? heads)
        guard AttendCommand.takes(headDim) else { throw ValidationError("--head-dim is a multiple of 8 from 32 to 256, got \(headDim)") }
    }

    private var element: ElementType { dtype == .f32 ? .f32 : .bf16 }

    private var spec: AttendSpec {
        let shape = AttentionShape(
            tokens: tokens, heads: heads, kvHeads: kvHeads ?? heads, headDim: headDim, valueDim: headDim, element: dtype.element)
        return AttendSpec(input: .seeded(seed: 0), shape: shape, causal: causal)
    }

    func run() async throws {
        let kernels = try fromKernels { () throws(KernelError) in try Kernels.fromEnvironment() }
        let spec = spec
        try MemoryCheck.run(workers: workers) { () throws(ExecutionError) in try MemoryEstimate(attend: spec, workers: workers) }
        let each = max(1, MachineFacts().cpus / workers)
        let threads = min(MachineFacts().cpus, workers * each)
        // The kernel alone, before and after the jobs: what the same threads can reach without a ring and without memory.
        let before = try kernel(kernels, threads: threads)
        let pairs = try await measure(spec, each: each, threads: threads)
        let after = try kernel(kernels, threads: threads)
        let report = RingBenchReport(
            spec: spec, workers: workers, threadsEach: each, threads: threads, pairs: pairs,
            peakGflops: (before.peakGflops + after.peakGflops) / 2, kernelGflops: (before.gflops + after.gflops) / 2,
            instructionSet: before.instructionSet.rawValue)
        figures.tell(report.median.ring)
        Console.out(json ? report.json.text(pretty: true) : report.text)
    }

    private func kernel(_ kernels: Kernels, threads: Int) throws -> AttentionBenchmark.Result {
        let benchmark = AttentionBenchmark(
            tokens: 8192, heads: 1, kvHeads: 1, headDim: headDim, element: element, causal: causal, threads: threads, repeats: 3)
        return try fromKernels { () throws(KernelError) in try benchmark.run(kernels) }
    }

    /// Runs ring and single process by turns; which of them is first changes with every pair, so that a drift of the machine hits both.
    private func measure(_ spec: AttendSpec, each: Int, threads: Int) async throws -> [RingBenchReport.Pair] {
        var cluster = EmbeddedCluster.Configuration(binary: try JobFollower.ownBinary(), workers: workers)
        cluster.workerArguments = try lane.workerArguments()
        let configuration = cluster
        let (workers, repeats) = (workers, repeats)
        let trace = try figures.traceFile()
        defer { trace?.discard() }
        do {
            return try await EmbeddedCluster.run(configuration) { cluster in
                var pairs: [RingBenchReport.Pair] = []
                for turn in 0..<repeats {
                    var (ring, single): ([WorkerSummary], [WorkerSummary]) = ([], [])
                    for isRing in turn % 2 == 0 ? [true, false] : [false, true] {
                        let summaries = try await Self.job(
                            cluster, spec, workers: isRing ? workers : 1, threads: isRing ? each : threads,
                            // The last run of the ring is traced.
                            traces: trace != nil && isRing && turn == repeats - 1
                        ) { job in
                            try await trace?.write(cluster.traces(of: job), workers: cluster.processNumbers.map(\.name))
                        }
                        if isRing { ring = summaries } else { single = summaries }
                    }
                    pairs.append(RingBenchReport.Pair(ring: ring, single: single))
                }
                return pairs
            }
        } catch let failure as Failure {
            throw CommandError(failure)
        } catch let error as ServerError {
            throw CommandError.tryAgain(error.description)
        }
    }

    /// Runs one job to its end, and calls `onTraces` with its number then if it was traced.
    static func job(
        _ cluster: EmbeddedCluster, _ spec: AttendSpec, workers: Int, threads: Int, traces: Bool, onTraces: (JobNumber) async throws -> Void
    ) async throws -> [WorkerSummary] {
        let (job, events) = try await cluster.submit(.attend(spec), workers: workers, threads: threads, prompt: [], traces: traces)
        var screen = JobScreen(job, verbose: false)
        defer { screen.clear() }
        for await item in events {
            guard case .news(let news) = item, let end = try screen.show(news.event, onToken: { _ in }) else { continue }
            switch end {
            case .succeeded(let summaries):
                screen.clear()
                if traces { try await onTraces(job) }
                return summaries
            case .failed(let failure): throw failure
            case .cancelled(let reason): throw Failure(.shuttingDown, "the job was cancelled: \(reason)")
            }
        }
        throw CancellationError()
    }
}
