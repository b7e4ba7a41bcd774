// A replay of expert loads for people and for programs.

import RingFormats
import RingPlacement
import RingSimulator

struct ReplayReport {
    let steps: [ReplayStep]
    let totals: ReplayTotals
    /// Seconds that the replay took.
    let elapsed: Double

    /// So many steps are told one by one; of more, every so-manieth and those at which something was decided first.
    private static let lines = 40

    /// A line on a terminal that is watched; nothing elsewhere.
    static func progress(_ done: Int, of all: Int) {
        guard Console.isTerminal, done % 16 == 0 || done == all else { return }
        Console.raw(done == all ? "\r\u{1B}[K" : "\r\u{1B}[Kstep \(grouped(done)) of \(grouped(all))")
    }

    private var timesRealTime: Double { totals.seconds / max(elapsed, 1e-9) }

    /// For people.
    var text: String {
        var table = Table(["time", "fixed", "re-split", "live", "bound", "decision", "bytes"], textual: [5])
        let stride = max(1, (steps.count + Self.lines - 1) / Self.lines)
        for (number, step) in steps.enumerated() where number % stride == 0 || number == steps.count - 1 {
            table.add([
                span(step.seconds), fixed(step.fixed, 3), fixed(step.resplit, 3), fixed(step.live, 3), fixed(step.bound, 3),
                describe(step.decision), step.bytes > 0 ? humanBytes(step.bytes) : "",
            ])
        }
        let share = totals.slots > 0 && totals.changes > 0 ? 100 * Double(totals.moves) / Double(totals.changes) / Double(totals.slots) : 0
        let lines = [
            "balance after the first step: fixed \(fixed(totals.fixed, 4)), re-split \(fixed(totals.resplit, 4)), live "
                + "\(fixed(totals.live, 4)) (worst \(fixed(totals.liveMin, 4))), bound \(fixed(totals.bound, 4))",
            "\(grouped(totals.changes)) changes of \(fixed(share, 1))% of the slots each, \(grouped(totals.moves)) moves, "
                + "\(humanBytes(totals.bytes)); \(grouped(totals.unpaid)) found that would not have paid",
            "weights moved for \(span(totals.movingSeconds)) of \(span(totals.seconds)), layers stood still for "
                + "\(fixed(totals.stalledSeconds, 2)) s",
            "\(grouped(totals.steps)) steps in \(fixed(elapsed, 2)) s: \(grouped(Int(timesRealTime))) times real time",
        ]
        let shown = stride > 1 ? "every \(stride)th step; --json has all\n" : ""
        return table.text + "\n" + shown + "\n" + lines.joined(separator: "\n") + "\n"
    }

    private func describe(_ decision: ReplayDecision) -> String {
        switch decision {
        case .none: "-"
        case .kept: "keeps"
        case .unpaid(let gain, let cost): "would not pay: \(fixed(gain, 1)) s for \(fixed(cost, 1)) s"
        case .moved(let way, let moves, let gain, let cost):
            "\(way.rawValue): \(grouped(moves)) moves, \(fixed(gain, 1)) s for \(fixed(cost, 1)) s"
        }
    }

    /// For programs.
    var json: JSONValue {
        [
            "steps": .array(steps.map(Self.json)),
            "totals": [
                "steps": .integer(Int64(totals.steps)), "seconds": .number(totals.seconds), "fixed": .number(totals.fixed),
                "resplit": .number(totals.resplit), "live": .number(totals.live), "live_min": .number(totals.liveMin),
                "bound": .number(totals.bound), "changes": .integer(Int64(totals.changes)), "unpaid": .integer(Int64(totals.unpaid)),
                "moves": .integer(Int64(totals.moves)), "slots": .integer(Int64(totals.slots)), "bytes": .integer(Int64(totals.bytes)),
                "moving_seconds": .number(totals.movingSeconds), "stalled_seconds": .number(totals.stalledSeconds),
                "elapsed_seconds": .number(elapsed), "times_real_time": .number(timesRealTime),
            ],
        ]
    }

    private static func json(_ step: ReplayStep) -> JSONValue {
        var object: JSONObject = [
            "seconds": .number(step.seconds), "fixed": .number(step.fixed), "resplit": .number(step.resplit), "live": .number(step.live),
            "bound": .number(step.bound), "bytes": .integer(Int64(step.bytes)), "moving_seconds": .number(step.movingSeconds),
            "stalled_seconds": .number(step.stalledSeconds),
        ]
        switch step.decision {
        case .none: object.append("decision", .string("none"))
        case .kept: object.append("decision", .string("kept"))
        case .unpaid(let gain, let cost):
            object.append("decision", .string("unpaid"))
            object.append("gain_seconds", .number(gain))
            object.append("cost_seconds", .number(cost))
        case .moved(let way, let moves, let gain, let cost):
            object.append("decision", .string(way.rawValue))
            object.append("moves", .integer(Int64(moves)))
            object.append("gain_seconds", .number(gain))
            object.append("cost_seconds", .number(cost))
        }
        return .object(object)
    }
}
