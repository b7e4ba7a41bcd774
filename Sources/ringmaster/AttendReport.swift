// The figures of a finished attention job, for people and for scripts.

import RingControl
import RingFormats
import RingWorker

/// How the keys and values of a finished job were kept, and what that can have changed.
struct KeptKeys {
    /// As what they were kept in the end.
    let element: ElementKind
    /// Where they were to be int8: the most by which that can change an element of the output.
    let errorBound: Double?
    /// Whether int8 was asked for and was too coarse.
    let isReplaced: Bool

    init(_ spec: AttendSpec, _ summaries: [WorkerSummary]) {
        element = summaries.first?.kvElement ?? spec.kvElement
        errorBound = summaries.compactMap(\.errorBound).max()
        isReplaced = element != spec.kvElement
    }

    /// A line for people; `nil` where int8 was not asked for.
    func text(tolerance: Double?) -> String? {
        guard let errorBound else { return nil }
        let bound = "int8 keys and values change no element of the output by more than \(scientific(errorBound))"
        guard isReplaced, let tolerance else { return bound }
        return "\(bound), which is above the tolerance of \(scientific(tolerance)): \(element.rawValue) was kept and sent instead"
    }
}

struct AttendReport {
    private let spec: AttendSpec
    private let summaries: [WorkerSummary]
    private let outcome: OracleCheck.Outcome?
    private let explanation: Explanation?

    /// `outcome` is what the check of some rows found, `explanation` why the job is shared out as it is; `nil` if nobody asked.
    init(_ spec: AttendSpec, _ summaries: [WorkerSummary], _ outcome: OracleCheck.Outcome?, _ explanation: Explanation? = nil) {
        self.explanation = explanation
        self.spec = spec
        self.summaries = summaries
        self.outcome = outcome
    }

    /// Prints the figures and throws if the checked rows are off.
    func print(asJSON: Bool) throws(CommandError) {
        if asJSON { Console.out(json.text(pretty: true)) } else { tell() }
        guard let outcome, !outcome.holds else { return }
        var (what, error, bar) = ("max_abs_error", outcome.maxAbsError, outcome.bar)
        if let stored = outcome.stored, error <= bar {
            (what, error, bar) = ("max_abs_error_stored", stored.maxAbsError, stored.bar)
        }
        throw .failed(
            "the result is off: \(what) \(scientific(error)) over \(outcome.rows) rows is above the bar of \(scientific(bar)): run "
                + "ringmaster verify, and report the two if it fails too")
    }

    private var seconds: Double { summaries.map(\.prefillSeconds).max() ?? 0 }
    private var gflops: Double { seconds > 0 ? summaries.reduce(0) { $0 + $1.flops } / seconds / 1e9 : 0 }

    private var json: JSONValue {
        var fields: JSONObject = [
            "tokens": .integer(Int64(spec.shape.tokens)), "heads": .integer(Int64(spec.shape.heads)),
            "workers": .integer(Int64(summaries.count)), "seconds": .number(seconds), "gflops": .number(gflops),
            "exposed_communication_fraction": .number(exposedFraction(summaries)),
        ]
        if let sampled = spec.queryRows { fields.append("sampled_queries", .integer(Int64(sampled.count))) }
        if let schedule = spec.schedule { fields.append("schedule", .string(schedule.rawValue)) }
        let kept = KeptKeys(spec, summaries)
        fields.append("kv_dtype", .string(kept.element.rawValue))
        if let bound = kept.errorBound { fields.append("error_bound", .number(bound)) }
        if let tolerance = spec.errorTolerance { fields.append("error_tolerance", .number(tolerance)) }
        if spec.deterministic == true { fields.append("deterministic", .bool(true)) }
        if let explanation { fields.append("explanation", explanation.json(summaries)) }
        if let outcome {
            fields.append("max_abs_error", .number(outcome.maxAbsError))
            fields.append("max_abs_error_lse", .number(outcome.maxAbsErrorLSE))
            fields.append("error_bar", .number(outcome.bar))
            if let stored = outcome.stored {
                fields.append("max_abs_error_stored", .number(stored.maxAbsError))
                fields.append("error_bar_stored", .number(stored.bar))
            }
        }
        fields.append("worker_figures", workerObjects(summaries))
        return .object(fields)
    }

    private func tell() {
        Console.message(
            "attention \(spec.queryRows.map { "of \(grouped($0.count)) queries " } ?? "")over \(grouped(spec.shape.tokens)) tokens, "
                + "\(spec.shape.heads) heads in \(fixed(seconds, 3)) s, \(fixed(gflops, 1)) GFLOP/s"
        )
        Console.message(workerTable(summaries))
        if let text = KeptKeys(spec, summaries).text(tolerance: spec.errorTolerance) { Console.message(text) }
        if let outcome {
            Console.message(
                "max_abs_error \(scientific(outcome.maxAbsError)) over \(outcome.rows) rows (bar \(scientific(outcome.bar))), "
                    + "of lse \(scientific(outcome.maxAbsErrorLSE))")
            if let stored = outcome.stored {
                Console.message(
                    "against what the int8 keys and values stand for \(scientific(stored.maxAbsError)) (bar \(scientific(stored.bar)))")
            }
        }
    }
}
