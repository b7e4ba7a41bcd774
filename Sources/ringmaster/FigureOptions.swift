// What `run`, `attend` and `bench ring` tell of a ring beside the result: a table of its steps, and a trace of who did what when.

import ArgumentParser
import RingControl
import RingFormats

/// Figures that are wanted beside the result.
struct FigureOptions: ParsableArguments {
    @Flag(help: "Print what each ring step cost each rank.")
    var steps = false
    @Option(
        help: ArgumentHelp("Write what every rank did when to this file, for ui.perfetto.dev or chrome://tracing.", valueName: "file"))
    var trace: String?

    /// The file for the trace, if one is wanted.
    func traceFile() throws(CommandError) -> TraceFile? { try trace.map { path throws(CommandError) in try TraceFile(path) } }

    /// Prints what is wanted of `summaries` for people.
    func tell(_ summaries: [WorkerSummary]) {
        if steps { Console.message(stepTable(summaries)) }
    }
}

/// The ring steps of every rank for people.
func stepTable(_ summaries: [WorkerSummary]) -> String {
    var table = Table(["rank", "step", "compute s", "exposed s", "send s", "receive s", "sent", "received", "GFLOP/s"], textual: [])
    for summary in summaries {
        for step in summary.ringSteps ?? [] {
            table.add([
                "\(summary.rank)", step.steps == 1 ? "\(step.step)" : "\(step.step)-\(step.step + step.steps - 1)",
                fixed(step.computeSeconds, 3), fixed(step.exposedSeconds, 3), fixed(step.sendSeconds, 3), fixed(step.receiveSeconds, 3),
                humanBytes(step.bytesSent), humanBytes(step.bytesReceived),
                step.computeSeconds > 0 ? fixed(step.flops / step.computeSeconds / 1e9, 1) : "-",
            ])
        }
    }
    return table.text
}

/// The ring steps of one rank for `--json`.
func stepObjects(_ steps: [RingStepFigures]) -> JSONValue {
    .array(
        steps.map { step in
            [
                "step": .integer(Int64(step.step)), "steps": .integer(Int64(step.steps)), "passes": .integer(Int64(step.passes)),
                "compute_seconds": .number(step.computeSeconds), "exposed_seconds": .number(step.exposedSeconds),
                "send_seconds": .number(step.sendSeconds), "receive_seconds": .number(step.receiveSeconds),
                "bytes_sent": .integer(Int64(step.bytesSent)), "bytes_received": .integer(Int64(step.bytesReceived)),
                "flops": .number(step.flops),
            ]
        })
}
