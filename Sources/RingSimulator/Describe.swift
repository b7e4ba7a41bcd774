// Words for the transcript: one line says what a request, a directive, a report or an event is.

import RingControl
import RingCore

/// Values as text.
enum Describe {
    static func job(_ job: JobNumber?) -> String { job.map { "\($0)" } ?? "?" }

    static func request(_ request: Request) -> String {
        switch request {
        case .join(let registration): "join as \(registration.instance)"
        case .report(let id, let batch, let seen, let isLeaving, let reports):
            "batch \(batch) of worker \(id), seen \(seen)\(isLeaving ? ", leaving" : "")"
                + (reports.isEmpty ? "" : ": " + reports.map(report).joined(separator: ", "))
        case .openStream(let id, let seen, _): "directives of worker \(id) after \(seen)"
        case .fetchPrompt(let job, let chunks): "prompt of job \(job) \(chunks)"
        case .submit(let submission): "submit \(submission.spec.kind) \(submission.idempotencyKey ?? "without a key")"
        case .storePrompt(let job, let start, let ids): "\(ids.count) tokens of the prompt of job \(job) at \(start)"
        case .follow(let job, let seen, _): "events of job \(job) after \(seen)"
        case .cancel(let job): "cancel job \(job)"
        }
    }

    static func report(_ report: WorkerReport) -> String {
        switch report {
        case .ready(let run): "ready \(run)"
        case .progress(let run, let progress): "progress \(run) \(progress.phase) layer \(progress.layer)"
        case .token(let run, let index, let id): "token \(index) of \(run) is \(id)"
        case .finished(let run, _): "finished \(run)"
        case .failed(let run, let code, let message, let lost):
            "failed \(run) \(code.rawValue) \(message)\(lost.map { ", lost rank \($0)" } ?? "")"
        case .kept(let run, let shares): "kept \(shares.reduce(0) { $0 + $1.length }) tokens of \(run)"
        case .stopped(let run): "stopped \(run)"
        }
    }

    static func directive(_ directive: WorkerMachine.Directive) -> String {
        switch directive {
        case .join: "asks to be let in"
        case .openStream(let id, let seen): "reads directives as worker \(id) after \(seen)"
        case .closeSession: "ends its session"
        case .fetchPrompt(let assignment): "fetches the prompt of \(assignment.run)"
        case .cancelFetch(let run): "no longer wants the prompt of \(run)"
        case .startEngine(let assignment): "starts its engine at \(assignment.run), rank \(assignment.rank) of \(assignment.world)"
        case .releaseEngine(let run): "lets its engine run \(run)"
        case .cancelEngine(let run): "gives \(run) up"
        case .dropKept(let run): "drops what it kept of \(run)"
        case .report(let report): "reports \(Describe.report(report))"
        case .drainSelf: "says that it leaves"
        case .wake: "waits"
        case .leave(let why): "leaves: \(why)"
        }
    }

    static func event(_ event: JobEvent) -> String {
        switch event {
        case .phase(let phase): "\(phase)"
        case .resumed(let tokens, let layers): "resumed with \(tokens) tokens, \(layers) layers"
        case .placed(let workers, let epoch): "placed on \(workers.joined(separator: " ")) under epoch \(epoch.number)"
        case .retrying(let attempt, let cause): "attempt \(attempt) failed: \(cause.message)"
        case .progress(let whole): "\(whole.phase) \(whole.tokensDone)/\(whole.tokensTotal)"
        case .slow(let straggler): "waits for \(straggler.worker), pace \(straggler.pace)"
        case .token(let index, let id): "token \(index) is \(id)"
        case .succeeded: "succeeded"
        case .failed(let failure): "failed \(failure.code.rawValue): \(failure.message)"
        case .cancelled(let reason): "cancelled: \(reason)"
        }
    }
}
