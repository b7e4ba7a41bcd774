// `ringmaster bench`: this machine against its own roofline.

import ArgumentParser
import Foundation
import RingFormats
import RingKernels
import RingWorker

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench", abstract: "Measure this machine against its own roofline.",
        subcommands: [
            BenchAttention.self, BenchDecode.self, BenchPlacement.self, BenchPrefill.self, BenchRing.self, BenchTrace.self,
            BenchTransport.self,
        ])
}

/// Refuses heads that no benchmark takes.
func checkHeads(_ heads: Int, _ kvHeads: Int) throws {
    guard (1...1024).contains(heads), (1...1024).contains(kvHeads), heads % kvHeads == 0 else {
        throw ValidationError("--kv-heads must divide --heads (at most 1024)")
    }
}

/// Storage that a benchmark of the kernels can measure.
enum BenchType: String, ExpressibleByArgument, CaseIterable {
    case f32, bf16, int8

    var element: ElementType {
        switch self {
        case .f32: .f32
        case .bf16: .bf16
        case .int8: .int8
        }
    }
}

/// `ringmaster bench attention`.
struct BenchAttention: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "attention", abstract: "The attention kernel against the peak of the same threads in the same run.")

    @Option(help: ArgumentHelp("Tokens, as many queries as keys.", valueName: "n"), transform: { try TokenCount(parsing: $0).value })
    var tokens: Int = 8192
    @Option(help: ArgumentHelp("Query heads.", valueName: "n"))
    var heads: Int = 1
    @Option(help: ArgumentHelp("Key and value heads (default: as many as query heads).", valueName: "n"))
    var kvHeads: Int?
    @Option(help: ArgumentHelp("Elements of a query or key.", valueName: "n"))
    var headDim: Int = 128
    @Option(help: ArgumentHelp("Storage of keys and values: f32, bf16 or int8.", valueName: "type"))
    var dtype: BenchType = .bf16
    @Flag(help: "Hide later keys.")
    var causal = false
    @Option(help: ArgumentHelp("Threads.", valueName: "n"))
    var threads: Int = 1
    @Flag(help: "Print the result as JSON.")
    var json = false

    mutating func validate() throws {
        guard tokens >= 1, tokens <= 1 << 24 else { throw ValidationError("--tokens is 1 to 16M for a benchmark, got \(tokens)") }
        guard threads >= 1, threads <= 1024 else { throw ValidationError("--threads is 1 to 1024, got \(threads)") }
        try checkHeads(heads, kvHeads ?? heads)
    }

    func run() throws {
        let kernels = try fromKernels { () throws(KernelError) in try Kernels.fromEnvironment() }
        let benchmark = AttentionBenchmark(
            tokens: tokens, heads: heads, kvHeads: kvHeads ?? heads, headDim: headDim, element: dtype.element,
            causal: causal, threads: threads)
        let result = try fromKernels { () throws(KernelError) in try benchmark.run(kernels) }
        if json {
            let quantisation: JSONValue? = result.quantisation.map {
                [
                    "error_max": .number($0.errorMax), "error_bound": .number($0.errorBound),
                    "bound_fraction": .number($0.boundFraction), "rows": .integer(Int64($0.rows)),
                ]
            }
            let object: JSONValue = [
                "gflops": .number(result.gflops), "peak_gflops": .number(result.peakGflops), "peak_fraction": .number(result.peakFraction),
                "vector_peak_gflops": result.vectorPeakGflops.map { .number($0) } ?? .null,
                "vector_peak_fraction": result.vectorPeakGflops.map { .number(result.gflops / $0) } ?? .null,
                "isa": .string(result.instructionSet.rawValue), "seconds": .number(result.seconds), "tokens": .integer(Int64(tokens)),
                "heads": .integer(Int64(heads)), "kv_heads": .integer(Int64(kvHeads ?? heads)), "head_dim": .integer(Int64(headDim)),
                "dtype": .string(dtype.rawValue), "causal": .bool(causal), "threads": .integer(Int64(threads)),
                "quantisation": quantisation ?? .null,
            ]
            Console.out(object.text(pretty: true))
        } else {
            let vectors =
                result.vectorPeakGflops.map {
                    "\(fixed(100 * result.gflops / $0, 1))% of the \(fixed($0, 1)) GFLOP/s that the best vector multiply-add reached and "
                } ?? ""
            Console.out(
                "\(fixed(result.gflops, 1)) GFLOP/s, \(vectors)\(fixed(100 * result.peakFraction, 1))% of the \(fixed(result.peakGflops, 1)) GFLOP/s that "
                    + "\(threads) thread\(threads == 1 ? "" : "s") of \(result.instructionSet.rawValue) reached in this run (\(fixed(result.seconds, 3)) s)\n"
            )
            if let quantisation = result.quantisation {
                Console.out(
                    "int8 moved no output of \(quantisation.rows) rows by more than \(String(format: "%.2g", quantisation.errorMax)), "
                        + "\(fixed(100 * quantisation.boundFraction, 1))% of the bound that its scales give at most, "
                        + "\(String(format: "%.2g", quantisation.errorBound)) at the least\n")
            }
        }
    }
}
