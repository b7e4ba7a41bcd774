// In which way an attention job is shared out, and which tokens have queries, as `attend` and `submit attend` are told.

import ArgumentParser
import RingControl
import RingCore
import RingFormats

/// A schedule as it is asked for.
enum ScheduleWish: String, ExpressibleByArgument, CaseIterable {
    case auto
    case passKV = "pass-kv"
    case passQ = "pass-q"

    /// `nil` is for the planner to say.
    var schedule: Schedule? { Schedule(rawValue: rawValue) }
}

struct ScheduleOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "What goes round: pass-kv (keys and values), pass-q (queries), or auto, which weighs the two.", valueName: "schedule"))
    var schedule: ScheduleWish = .auto
    @Option(
        help: ArgumentHelp(
            "Only the last n tokens have queries: a turn of n new tokens over a past whose keys and values are there.", valueName: "n"),
        transform: { try TokenCount(parsing: $0).value })
    var new: Int?

    /// Refuses what cannot be meant beside a sample of queries or a kept result.
    func check(sampleQueries: Int?, output: String?) throws {
        guard let new else { return }
        guard (1...ControlLimits.rowRanges).contains(new) else {
            throw ValidationError("--new is 1 to \(ControlLimits.rowRanges) tokens, got \(new): a job names each row that it computes")
        }
        if sampleQueries != nil { throw ValidationError("--new and --sample-queries both say which queries there are: give one of them") }
        if output != nil {
            throw ValidationError("--new computes the last rows only: check them with --verify-rows, there is no --output of them")
        }
    }

    /// The only rows with queries of `tokens`; `nil` is all.
    func rows(of tokens: Int) throws(CommandError) -> [Int]? {
        guard let new else { return nil }
        guard new <= tokens else { throw .usage("--new \(new) is more than the context has: \(tokens) tokens") }
        return Array(tokens - new..<tokens)
    }
}
