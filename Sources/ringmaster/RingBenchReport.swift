// What `bench ring` has measured, for people and for scripts.

import RingControl
import RingFormats

struct RingBenchReport {
    /// One run of the ring and one of the single process.
    struct Pair: Sendable {
        let ring: [WorkerSummary]
        let single: [WorkerSummary]

        /// From the first ring step to the end of the slowest rank.
        var ringSeconds: Double { ring.map(\.prefillSeconds).max() ?? 0 }
        var singleSeconds: Double { single.map(\.prefillSeconds).max() ?? 0 }
        var efficiency: Double { singleSeconds / ringSeconds }

        /// The mean over the longest of the ranks' compute times. Shards cost the same to one part in thousands, so what it
        /// lacks of one is cores that were not equally fast, which threads of one process even out among themselves.
        var balance: Double {
            let seconds = ring.map(\.computeSeconds)
            return seconds.reduce(0, +) / Double(seconds.count) / max(seconds.max() ?? 0, 1e-9)
        }
    }

    let spec: AttendSpec
    let workers: Int
    let threadsEach: Int
    /// Of the single process.
    let threads: Int
    let pairs: [Pair]
    let peakGflops: Double
    let kernelGflops: Double
    let instructionSet: String

    /// The pair whose efficiency is the median.
    var median: Pair { pairs.sorted { $0.efficiency < $1.efficiency }[pairs.count / 2] }

    private func middle(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
    private var ringSeconds: Double { middle(pairs.map(\.ringSeconds)) }
    private var singleSeconds: Double { middle(pairs.map(\.singleSeconds)) }
    private var gflops: Double { median.ring.reduce(0) { $0 + $1.flops } / ringSeconds / 1e9 }

    /// A rank's exposed share, the median of the runs.
    private func exposed(rank: Int) -> Double { middle(pairs.map { exposedFraction([$0.ring[rank]]) }) }

    private func bytesSent(_ summary: WorkerSummary) -> Int { (summary.ringSteps ?? []).reduce(0) { $0 + $1.bytesSent } }
    private var bytesSent: Int { median.ring.reduce(0) { $0 + bytesSent($1) } }

    /// Every key and value to every other rank: (N - 1) x tokens x kv_heads x (head_dim + v_dim) x bytes of an element.
    private var bytesOfFormula: Int {
        let shape = spec.shape
        let row = spec.kvElement.byteCount(ofRow: shape.headDim) + spec.kvElement.byteCount(ofRow: shape.valueDim)
        return (workers - 1) * shape.tokens * shape.kvHeads * row
    }

    /// For `--json`.
    var json: JSONValue {
        let ranks = median.ring.map { summary -> JSONValue in
            [
                "rank": .integer(Int64(summary.rank)), "exposed_fraction": .number(exposed(rank: summary.rank)),
                "bytes_sent": .integer(Int64(bytesSent(summary))), "compute_seconds": .number(summary.computeSeconds),
                "exposed_seconds": .number(summary.exposedSeconds), "ring_steps": stepObjects(summary.ringSteps ?? []),
            ]
        }
        let runs = pairs.map { pair -> JSONValue in
            [
                "efficiency": .number(pair.efficiency), "compute_balance": .number(pair.balance),
                "ring_seconds": .number(pair.ringSeconds),
                "single_seconds": .number(pair.singleSeconds), "exposed_fraction": .number(exposedFraction(pair.ring)),
            ]
        }
        return [
            "efficiency": .number(median.efficiency), "compute_balance": .number(median.balance),
            "ring_seconds": .number(ringSeconds), "single_seconds": .number(singleSeconds),
            "exposed_fraction": .number(middle(pairs.map { exposedFraction($0.ring) })),
            "exposed_fraction_max": .number((0..<workers).map { exposed(rank: $0) }.max() ?? 0),
            "bytes_sent": .integer(Int64(bytesSent)), "bytes_of_formula": .integer(Int64(bytesOfFormula)),
            "gflops": .number(gflops), "peak_gflops": .number(peakGflops), "peak_fraction": .number(gflops / peakGflops),
            "kernel_gflops": .number(kernelGflops), "kernel_fraction": .number(gflops / kernelGflops),
            "workers": .integer(Int64(workers)), "threads_each": .integer(Int64(threadsEach)), "threads": .integer(Int64(threads)),
            "tokens": .integer(Int64(spec.shape.tokens)), "heads": .integer(Int64(spec.shape.heads)),
            "kv_heads": .integer(Int64(spec.shape.kvHeads)), "head_dim": .integer(Int64(spec.shape.headDim)),
            "dtype": .string(spec.kvElement.rawValue), "causal": .bool(spec.causal), "isa": .string(instructionSet),
            "ranks": .array(ranks), "runs": .array(runs),
        ]
    }

    /// For people.
    var text: String {
        var table = Table(["rank", "compute s", "exposed", "sent"])
        for summary in median.ring {
            table.add([
                "\(summary.rank)", fixed(summary.computeSeconds, 2), fixed(100 * exposed(rank: summary.rank), 2) + "%",
                humanBytes(bytesSent(summary)),
            ])
        }
        let efficiencies = pairs.map(\.efficiency)
        return """
            efficiency \(fixed(100 * median.efficiency, 1))% (\(fixed(100 * (efficiencies.min() ?? 0), 1)) to \
            \(fixed(100 * (efficiencies.max() ?? 0), 1))% in \(pairs.count) pairs of runs); \
            the ranks' cores were equally fast to \(fixed(100 * median.balance, 1))%
            ring of \(workers) workers with \(threadsEach) thread\(threadsEach == 1 ? "" : "s") each \(fixed(ringSeconds, 2)) s, one process with \
            \(threads) thread\(threads == 1 ? "" : "s") \(fixed(singleSeconds, 2)) s
            exposed communication \(fixed(100 * middle(pairs.map { exposedFraction($0.ring) }), 2))% of the ranks' time
            \(table.text)
            sent \(humanBytes(bytesSent)) in all, \(fixed(100 * Double(bytesSent) / Double(max(bytesOfFormula, 1)), 1))% of every key and value to \
            every other rank, (N - 1) x tokens x kv_heads x 2 head_dim x \(spec.kvElement.byteCount(ofRow: 1)) bytes = \(humanBytes(bytesOfFormula))
            \(fixed(gflops, 1)) GFLOP/s, \(fixed(100 * gflops / kernelGflops, 1))% of the kernel alone on \(threads) \
            thread\(threads == 1 ? "" : "s") (\(fixed(kernelGflops, 1))), \(fixed(100 * gflops / peakGflops, 1))% of the \
            \(fixed(peakGflops, 1)) GFLOP/s that \(instructionSet) reached in this run

            """
    }
}
