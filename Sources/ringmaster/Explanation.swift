// `attend --explain`: every schedule with what it would need, the one that is chosen and why, and what came of it.

import RingControl
import RingCore
import RingFormats

struct Explanation {
    let figures: ScheduleFigures
    let choice: ScheduleChoice
    /// What the job does: the choice, unless somebody said otherwise.
    let schedule: Schedule

    /// What the job's own schedule would need.
    private var expected: ScheduleEstimate { choice.candidates.first { $0.schedule == schedule } ?? choice.best }

    /// The table of candidates, for people.
    func tell() {
        var table = Table(
            ["schedule", "sent", "to one rank", "GFLOP", "busiest rank", "seconds", "exposed s", "buffers"], textual: [0])
        for one in choice.candidates {
            table.add([
                one.schedule.rawValue + (one.schedule == schedule ? " *" : ""), humanBytes(one.bytes), humanBytes(one.bytesMax),
                fixed(one.flops / 1e9, 3), fixed(one.flopsMax / 1e9, 3), fixed(one.seconds, 4), fixed(one.exposedSeconds, 4),
                humanBytes(one.memoryBytes),
            ])
        }
        Console.message(table.text)
        for one in choice.candidates {
            let verdict = one.schedule == choice.chosen ? "chosen" : "not chosen"
            Console.message("\(one.schedule.rawValue): \(verdict), \(one.reason)")
        }
        if schedule != choice.chosen { Console.message("\(schedule.rawValue) runs because --schedule says so") }
        Console.message(
            "measured: \(fixed(figures.flopsPerSecond / 1e9, 1)) GFLOP/s a rank, \(fixed(figures.bytesPerSecond / 1e9, 2)) GB/s and "
                + "\(fixed(figures.latencySeconds * 1e6, 0)) us a link")
    }

    /// Predicted beside measured, for people.
    func compare(_ summaries: [WorkerSummary]) {
        let (predicted, measured) = (expected.seconds, Self.seconds(summaries))
        let sign = measured >= predicted ? "more" : "less"
        let share = predicted > 0 ? abs(measured / predicted - 1) : 0
        Console.message(
            "\(schedule.rawValue): predicted \(fixed(predicted, 4)) s, measured \(fixed(measured, 4)) s (\(fixed(100 * share, 1))% \(sign))"
        )
    }

    private static func seconds(_ summaries: [WorkerSummary]) -> Double { summaries.map(\.prefillSeconds).max() ?? 0 }

    /// All of it, with what was measured, where something was.
    func json(_ summaries: [WorkerSummary]? = nil) -> JSONValue {
        let candidates = choice.candidates.map { one -> JSONValue in
            [
                "schedule": .string(one.schedule.rawValue), "bytes": .integer(Int64(one.bytes)),
                "bytes_to_one_rank": .integer(Int64(one.bytesMax)), "flops": .number(one.flops),
                "flops_of_busiest_rank": .number(one.flopsMax), "seconds": .number(one.seconds),
                "exposed_seconds": .number(one.exposedSeconds), "buffer_bytes": .integer(Int64(one.memoryBytes)),
                "reason": .string(one.reason),
            ]
        }
        return [
            "chosen": .string(choice.chosen.rawValue), "candidates": .array(candidates),
            "predicted_seconds": .number(expected.seconds),
            "measured_seconds": summaries.map { .number(Self.seconds($0)) } ?? .null,
            "figures": [
                "flops_per_second": .number(figures.flopsPerSecond), "bytes_per_second": .number(figures.bytesPerSecond),
                "latency_seconds": .number(figures.latencySeconds), "merge_bytes_per_second": .number(figures.mergeBytesPerSecond),
                "move_seconds_per_byte": .number(figures.moveSecondsPerByte), "threads": .integer(Int64(figures.threads)),
            ],
        ]
    }
}
