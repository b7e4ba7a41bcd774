// What a person sees of a job while it runs, wherever it runs: the bar while it computes, the answer as it comes, and a line
// when an attempt failed and another is made.

import RingControl
import RingCore

/// How a job has ended.
enum JobEnd {
    /// Done, with the figures of every worker, by rank.
    case succeeded([WorkerSummary])
    /// Could not be done.
    case failed(Failure)
    /// Somebody gave it up.
    case cancelled(reason: String)
}

/// A job on the screen.
struct JobScreen {
    private let number: JobNumber
    private var bar: ProgressBar
    private let verbose: Bool
    /// Once the answer is on its way, redrawing would wipe the line on which it stands.
    private var answered = 0

    /// `verbose` tells each phase of job `number`.
    init(_ number: JobNumber, verbose: Bool) {
        self.number = number
        bar = ProgressBar(verbose: verbose)
        self.verbose = verbose
    }

    /// Shows one event; gives the end when it is the last.
    mutating func show(_ event: JobEvent, onToken: (UInt32) -> Void) throws(CommandError) -> JobEnd? {
        switch event {
        case .phase(let phase):
            if verbose { Console.message("job \(number): \(phase.rawValue)") }
        case .placed: break
        case .resumed(let tokens, let layers):
            Console.message(
                "it goes on from the broken run: the workers kept \(grouped(tokens)) tokens, all of them \(layers) "
                    + "layer\(layers == 1 ? "" : "s") deep or deeper")
        case .retrying(let attempt, let cause):
            bar.clear()
            Console.message("\(answered > 0 ? "\n" : "")attempt \(attempt) follows: \(printable(cause.message))")
        case .progress(let progress):
            if answered == 0 && progress.phase != .decode { bar.show(progress) }
        case .slow(let straggler):
            bar.clear()
            Console.message("\(answered > 0 ? "\n" : "")the ring waits for worker \(JobTable.describe(straggler))")
        case .token(let index, let id):
            // Each once and in order, whatever happened on the way.
            guard index == answered else { throw .failed("token \(answered) of the answer is missing: token \(index) came next") }
            if answered == 0 { bar.clear() }
            answered += 1
            onToken(id)
        case .succeeded(let summaries): return .succeeded(summaries)
        case .failed(let failure):
            bar.clear()
            return .failed(failure)
        case .cancelled(let reason): return .cancelled(reason: reason)
        }
        return nil
    }

    /// Takes the bar away.
    mutating func clear() { bar.clear() }
}
