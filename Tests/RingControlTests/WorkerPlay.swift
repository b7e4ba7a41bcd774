// Plays events to a worker's machine and writes down, one line each, what it is told and what it says to do.

import RingControl
import RingCore

/// A worker's machine under test and its transcript.
struct WorkerPlay {
    var machine: WorkerMachine
    private(set) var lines: [String] = []
    private(set) var directives: [WorkerMachine.Directive] = []
    private var sequence: UInt64 = 0

    init(_ policy: WorkerPolicy = .daemon) { machine = WorkerMachine(policy: policy) }

    /// The transcript as text.
    var transcript: String { lines.joined(separator: "\n") }

    /// A worker that is in and reads its directives.
    static func joined(_ policy: WorkerPolicy = .daemon) -> WorkerPlay {
        var play = WorkerPlay(policy)
        play.tell(.started, "starts")
        play.tell(.joined(WorkerID(7)), "is let in as 7")
        play.tell(.streamOpened, "stream opens")
        return play
    }

    /// The next directive.
    mutating func obey(_ directive: WorkerDirective, at seconds: Double = 0) {
        sequence += 1
        repeatDirective(sequence, directive, at: seconds)
    }

    /// A directive under a number.
    mutating func repeatDirective(_ number: UInt64, _ directive: WorkerDirective, at seconds: Double = 0) {
        tell(.directive(sequence: number, directive), "directive \(number): \(Self.text(directive))", at: seconds)
    }

    mutating func tell(_ event: WorkerMachine.Event, _ text: String, at seconds: Double = 0) {
        directives = []
        machine.handle(event, at: Moment(nanoseconds: Int64((seconds * 1e9).rounded())), into: &directives)
        lines.append("\(seconds) \(text)")
        lines += directives.map { "    \(Self.text($0))" }
    }

    /// The lines that `body` adds.
    mutating func after(_ body: (inout WorkerPlay) -> Void) -> String {
        let before = lines.count
        body(&self)
        return lines.dropFirst(before).joined(separator: "\n")
    }

    private static func text(_ directive: WorkerMachine.Directive) -> String {
        switch directive {
        case .join: "join"
        case .openStream(let id, let after): "open stream of \(id) after \(after)"
        case .closeSession: "close session"
        case .fetchPrompt(let assignment): "fetch prompt of \(assignment.run)"
        case .cancelFetch(let run): "cancel fetch of \(run)"
        case .startEngine(let assignment): "start engine at \(assignment.run)"
        case .releaseEngine(let run): "release engine at \(run)"
        case .cancelEngine(let run): "cancel engine at \(run)"
        case .dropKept(let run): "drop kept \(run)"
        case .report(let report): "report \(text(report))"
        case .drainSelf(let id): "tell that \(id) drains"
        case .wake(let moment): "wake at \(Double(moment.nanoseconds) / 1e9)"
        case .leave(let why): "leave: \(why)"
        }
    }

    private static func text(_ directive: WorkerDirective) -> String {
        switch directive {
        case .prepare(let assignment): "prepare \(assignment.run)"
        case .start(let run): "start \(run)"
        case .abort(let run, _): "abort \(run)"
        case .forget(let run): "forget \(run)"
        case .stop: "stop"
        }
    }

    private static func text(_ report: WorkerReport) -> String {
        switch report {
        case .ready(let run): "ready \(run)"
        case .progress(let run, _): "progress \(run)"
        case .token(let run, let index, _): "token \(index) of \(run)"
        case .finished(let run, _): "finished \(run)"
        case .failed(let run, let code, let message, _): "failed \(run) \(code.rawValue): \(message)"
        case .kept(let run, _): "kept \(run)"
        case .stopped(let run): "stopped \(run)"
        }
    }
}

/// Job `number` under `epoch`, rank 0 of 1.
func part(_ number: UInt64, epoch: UInt64, _ spec: JobSpec) -> Assignment {
    Assignment(
        job: JobNumber(number), epoch: Epoch(epoch), rank: 0, peers: [Peer(host: "127.0.0.1", port: 9000, worker: "a")], threads: 1,
        localIndex: 0, localCount: 1, spec: spec)
}
