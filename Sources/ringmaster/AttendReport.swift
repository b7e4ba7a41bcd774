// The figures of a finished attention job, for people and for scripts.

import RingControl
import RingFormats
import RingWorker

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
        throw .failed(
            "the result is off: max_abs_error \(scientific(outcome.maxAbsError)) over \(outcome.rows) rows is above the bar of "
                + "\(scientific(outcome.bar)): run ringmaster verify, and report the two if it fails too")
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
        if let explanation { fields.append("explanation", explanation.json(summaries)) }
        if let outcome {
            fields.append("max_abs_error", .number(outcome.maxAbsError))
            fields.append("max_abs_error_lse", .number(outcome.maxAbsErrorLSE))
            fields.append("error_bar", .number(outcome.bar))
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
        if let outcome {
            Console.message(
                "max_abs_error \(scientific(outcome.maxAbsError)) over \(outcome.rows) rows (bar \(scientific(outcome.bar))), "
                    + "of lse \(scientific(outcome.maxAbsErrorLSE))")
        }
    }
}
