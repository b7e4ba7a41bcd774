// What `bench prefill` has measured, for people and for scripts.

import RingFormats
import RingKernels
import RingModels

struct PrefillReport {
    let command: BenchPrefill
    /// Of each worker.
    let threads: Int
    /// By share of the vector peak.
    let runs: [PrefillBenchmark.Run]
    let kernels: Kernels

    private var median: PrefillBenchmark.Run { runs[runs.count / 2] }
    private var gflops: Double { median.flops / median.seconds / 1e9 }
    private var tokensPerSecond: Double { Double(command.tokens) / median.seconds }
    private var hasTiles: Bool { kernels.instructionSet == .amx }
    /// How weights are multiplied.
    private var form: String {
        guard kernels.packsWeights && command.dtype == .bf16 else { return "f32 through oneDNN" }
        return "bf16 tiles, activations \(kernels.activations.rawValue)"
    }

    /// A line of the table: seconds of all threads together, and operations where the part has them of its own.
    private struct Part {
        let name: String
        let seconds: Double
        var flops: Double?
    }

    private var threadSeconds: Double { median.seconds * Double(command.workers * threads) }

    private var parts: [Part] {
        var sum = LayerPartSeconds()
        for rank in median.ranks { sum.add(rank.parts) }
        let attention = median.ranks.reduce(0) { $0 + $1.attentionSeconds } * Double(threads)
        let waiting = median.ranks.reduce(0) { $0 + $1.exposedSeconds } * Double(threads)
        var parts = LayerPart.allCases.map { Part(name: $0.rawValue, seconds: sum[$0], flops: flops(of: $0)) }
        parts.append(Part(name: "attention", seconds: attention, flops: median.ranks.reduce(0) { $0 + $1.attentionFlops }))
        parts.append(Part(name: "waiting", seconds: waiting))
        parts.append(Part(name: "rest", seconds: max(threadSeconds - sum.total - attention - waiting, 0)))
        return parts
    }

    private func flops(of part: LayerPart) -> Double? {
        let query = command.heads * command.headDim
        let weights: Int
        switch part {
        case .queryKeyValue: weights = command.hidden * (query + 2 * command.kvHeads * command.headDim)
        case .output: weights = command.hidden * query
        case .gateUp: weights = 2 * command.hidden * command.intermediate
        case .down: weights = command.hidden * command.intermediate
        case .packing, .elementwise: return nil
        }
        return 2 * Double(weights) * Double(command.tokens) * Double(command.layers)
    }

    /// For `--json`.
    var json: JSONValue {
        let shares = parts.map { part -> JSONValue in
            [
                "part": .string(part.name), "thread_seconds": .number(part.seconds), "share": .number(part.seconds / threadSeconds),
                "gflops_per_thread": part.flops.map { .number($0 / part.seconds / 1e9) } ?? .null,
            ]
        }
        let each = runs.map { run -> JSONValue in
            [
                "seconds": .number(run.seconds), "vector_peak_fraction": .number(run.vectorFraction),
                "bf16_peak_fraction": .number(run.bf16Fraction),
            ]
        }
        return [
            "vector_peak_fraction": .number(median.vectorFraction), "bf16_peak_fraction": .number(median.bf16Fraction),
            "tokens_per_second": .number(tokensPerSecond), "gflops": .number(gflops), "seconds": .number(median.seconds),
            "vector_peak_gflops": .number(median.peakVector / 1e9), "bf16_peak_gflops": .number(median.peakBF16 / 1e9),
            "parts": .array(shares), "runs": .array(each), "isa": .string(kernels.instructionSet.rawValue), "linear": .string(form),
            "tokens": .integer(Int64(command.tokens)), "hidden": .integer(Int64(command.hidden)),
            "layers": .integer(Int64(command.layers)), "heads": .integer(Int64(command.heads)),
            "kv_heads": .integer(Int64(command.kvHeads)), "head_dim": .integer(Int64(command.headDim)),
            "intermediate": .integer(Int64(command.intermediate)), "dtype": .string(command.dtype.rawValue),
            "kv_dtype": .string(command.kvDtype.rawValue), "activations": .string(kernels.activations.rawValue),
            "workers": .integer(Int64(command.workers)), "threads": .integer(Int64(threads)),
        ]
    }

    /// For people.
    var text: String {
        let all = runs.map(\.vectorFraction)
        var table = Table(["part", "thread s", "share", "GFLOP/s a thread"])
        for part in parts {
            table.add([
                part.name, fixed(part.seconds, 2), fixed(100 * part.seconds / threadSeconds, 1) + "%",
                part.flops.map { fixed($0 / part.seconds / 1e9, 1) } ?? "",
            ])
        }
        let tiles = hasTiles ? ", \(percent(median.bf16Fraction)) of the tile peak (\(fixed(median.peakBF16 / 1e9, 0)) GFLOP/s)" : ""
        return """
            \(percent(median.vectorFraction)) of the multiply-add peak of vectors (\(fixed(median.peakVector / 1e9, 0)) GFLOP/s)\(tiles), \
            from \(percent(all.first ?? 0)) to \(percent(all.last ?? 0)) of the former in \(runs.count) runs
            \(fixed(tokensPerSecond, 1)) tokens/s, \(fixed(gflops, 1)) GFLOP/s over all operations, \(fixed(median.seconds, 2)) s for \
            \(command.tokens) tokens
            \(command.workers) worker\(command.workers == 1 ? "" : "s") inside this process with \(threads) \
            thread\(threads == 1 ? "" : "s") each, \(kernels.instructionSet.rawValue), linear layers in \(form)
            \(table.text)

            """
    }

    private func percent(_ fraction: Double) -> String { fixed(100 * fraction, 1) + "%" }
}
