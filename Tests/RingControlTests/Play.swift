// Plays events to a coordinator and writes down, one line each, what it is told and what it says to do.

import RingControl
import RingCore

/// A coordinator under test and its transcript.
struct Play {
    var machine: Coordinator
    private(set) var lines: [String] = []
    private(set) var workers: [String: WorkerID] = [:]
    private(set) var directives: [Coordinator.Directive] = []
    private var tickets: UInt64 = 0

    /// What the store would hold.
    private(set) var kept: [StoreChange] = []

    /// The defaults, but nobody is suspected before they count as lost: a play that is not about silence has no heartbeats.
    static var calm: CoordinatorPolicy {
        var policy = CoordinatorPolicy()
        policy.suspectSeconds = policy.silenceSeconds
        return policy
    }

    init(policy: CoordinatorPolicy = Play.calm, state: StoredState = StoredState()) {
        machine = Coordinator(version: "1", policy: policy, state: state)
    }

    /// The transcript as text.
    var transcript: String { lines.joined(separator: "\n") }

    mutating func join(
        _ name: String, at seconds: Double = 0, machine host: String = "m", cpus: Int = 4, version: String = "1",
        instance: String = "", attempt: Int? = nil, speed: Double? = nil, speedIsTold: Bool? = nil, memoryBytes: Int = 1 << 30,
        rack: String? = nil, isa: String = "avx2", home: [Int]? = nil
    ) {
        tickets += 1
        var registration = WorkerRegistration(
            name: name, pid: 7, machine: host, isa: isa, cpus: cpus, numaNodes: 1, memoryBytes: memoryBytes, dataHost: "127.0.0.1",
            dataPort: 9000 + Int(tickets), version: version, instance: instance)
        registration.attempt = attempt
        registration.homeNodes = home
        (registration.speed, registration.speedIsTold) = (speed, speedIsTold)
        registration.rack = rack
        tell(.workerJoined(registration, Ticket(tickets)), "join \(name)", at: seconds)
        for case .welcome(_, let id) in directives { workers[name] = id }
    }

    mutating func submit(
        _ spec: JobSpec, workers count: Int?, at seconds: Double = 0, threads: Int? = nil, owner: String = "", priority: Int = 0,
        retries: Int = 0, timeout: Double? = nil, key: String? = nil
    ) {
        tickets += 1
        var submission = Submission(spec: spec, workers: count, threads: threads)
        (submission.owner, submission.priority, submission.retries) = (owner, priority, retries)
        (submission.timeoutSeconds, submission.idempotencyKey) = (timeout, key)
        tell(
            .submitted(submission, Ticket(tickets)), "submit \(spec.kind) over \(count.map(String.init) ?? "all")", at: seconds)
    }

    mutating func report(_ name: String, _ report: WorkerReport, at seconds: Double = 0) {
        tell(.workerReported(id(name), report), "\(name): \(Self.text(report))", at: seconds)
    }

    mutating func lose(_ name: String, _ reason: String, at seconds: Double = 0) {
        tell(.workerGone(id(name), reason: reason), "\(name) \(reason)", at: seconds)
    }

    mutating func hear(_ name: String, at seconds: Double) { tell(.workerHeard(id(name)), "\(name) is heard", at: seconds) }

    mutating func tick(at seconds: Double) { tell(.tick, "tick", at: seconds) }

    mutating func tell(_ event: Coordinator.Event, _ text: String, at seconds: Double = 0) {
        directives = []
        machine.handle(event, at: Moment(nanoseconds: Int64(seconds * 1e9)), into: &directives)
        note(text, at: seconds)
    }

    /// Goes on from the state that the machine was made with.
    mutating func resume(at seconds: Double = 0) {
        directives = []
        machine.resume(at: Moment(nanoseconds: Int64(seconds * 1e9)), into: &directives)
        note("resume", at: seconds)
    }

    private mutating func note(_ text: String, at seconds: Double) {
        for directive in directives {
            switch directive {
            case .keep(let change): kept.append(change)
            case .emit(let job, let sequence?, let at, let event): kept.append(.event(job, sequence: sequence, at: at, event))
            default: break
            }
        }
        lines.append("\(seconds) \(text)")
        lines += directives.compactMap { directive in self.text(directive).map { "    \($0)" } }
    }

    /// What a store that took every change would give back.
    var stored: StoredState {
        var state = StoredState()
        for change in kept {
            switch change {
            case .reserve(let reservation): state.reservation = reservation
            case .job(let record):
                state.jobs.removeAll { $0.record.number == record.number }
                state.jobs.append(StoredJob(record: record, events: 0, tokensGenerated: 0))
            case .forget(let job): state.jobs.removeAll { $0.record.number == job }
            case .event, .prompt, .dropPrompt: break
            }
        }
        for index in state.jobs.indices {
            for case .event(state.jobs[index].record.number, _, _, let event) in kept {
                state.jobs[index].events += 1
                if case .token = event { state.jobs[index].tokensGenerated += 1 }
            }
        }
        state.jobs.sort { $0.record.number.number < $1.record.number.number }
        return state
    }

    private func id(_ name: String) -> WorkerID { workers[name] ?? WorkerID(999) }

    private func name(_ id: WorkerID) -> String {
        machine.workerViews(at: Moment(nanoseconds: 0)).first { $0.id == id }?.registration.name ?? "#\(id)"
    }

    private func text(_ directive: Coordinator.Directive) -> String? {
        switch directive {
        // Remarks have a test of their own.
        case .keep, .remark: nil
        case .welcome(_, let id): "welcome as \(id)"
        case .turnAway(_, let reason, _): "turn away: \(reason)"
        case .accepted(_, let job, let isNew): "\(isNew ? "accepted" : "known") as job \(job)"
        case .refused(_, let refusal): "refused: \(refusal)"
        case .send(.prepare(let part), let to):
            "to \(name(to)): prepare job \(part.job) epoch \(part.epoch.number) rank \(part.rank)/\(part.world) "
                + "\(part.layout) threads \(part.threads) local \(part.localIndex)/\(part.localCount)"
        case .send(.start(let run), let to): "to \(name(to)): start job \(run.job)"
        case .send(.abort(let run, let reason), let to): "to \(name(to)): abort job \(run.job): \(reason)"
        case .send(.forget(let run), let to): "to \(name(to)): forget \(run)"
        case .send(.stop, let to): "to \(name(to)): stop"
        case .dismiss(let id): "dismiss \(id)"
        case .emit(let job, _, _, let event): "job \(job): \(Self.text(event))"
        case .forget(let job): "forget job \(job)"
        case .drained: "drained"
        case .wake(let moment): "wake at \(Double(moment.nanoseconds) / 1e9)"
        }
    }

    private static func text(_ event: JobEvent) -> String {
        switch event {
        case .phase(let phase): "\(phase)"
        case .resumed(let tokens, let layers): "resumed with \(tokens) tokens, \(layers) layers"
        case .placed(let workers, _): "placed on \(workers.joined(separator: " "))"
        case .retrying(let attempt, let cause): "retrying after attempt \(attempt): \(cause.message)"
        case .progress(let whole): "\(whole.phase) \(whole.tokensDone)/\(whole.tokensTotal) layer \(whole.layer) step \(whole.step)"
        case .slow(let straggler): "waits for \(straggler.worker) rank \(straggler.rank) pace \(straggler.pace)"
        case .token(let index, let id): "token \(index) is \(id)"
        case .succeeded(let summaries): "succeeded with \(summaries.count) summaries"
        case .failed(let failure):
            "failed \(failure.code.rawValue) worker \(failure.worker ?? "-") rank \(failure.rank.map(String.init) ?? "-") "
                + "layer \(failure.layer.map(String.init) ?? "-") step \(failure.step.map(String.init) ?? "-"): \(failure.message)"
        case .cancelled(let reason): "cancelled: \(reason)"
        }
    }

    private static func text(_ report: WorkerReport) -> String {
        switch report {
        case .ready: "ready"
        case .progress(_, let progress): "\(progress.phase) layer \(progress.layer) step \(progress.step)"
        case .token(_, let index, let id): "token \(index) is \(id)"
        case .finished: "finished"
        case .failed(_, let code, let message, let lost): "failed \(code.rawValue) \(message)\(lost.map { " lost rank \($0)" } ?? "")"
        case .kept: "kept"
        case .stopped: "stopped"
        }
    }
}

/// An attention job of `tokens` tokens.
func attendSpec(tokens: Int = 100) -> JobSpec {
    let shape = AttentionShape(tokens: tokens, heads: 4, kvHeads: 2, headDim: 64, valueDim: 64, element: .f32)
    return .attend(AttendSpec(input: .seeded(seed: 1), shape: shape, causal: true))
}

/// A generate job with a prompt of `tokens` tokens.
func generateSpec(tokens: Int = 100) -> JobSpec {
    .generate(GenerateSpec(modelFolder: "/models/m", promptTokenCount: tokens, maxTokens: 8))
}

/// Progress at `layer` of 2 and `step` of 3.
func at(_ phase: WorkerProgress.Phase, layer: Int, step: Int, done: Int = 0, of total: Int = 50) -> WorkerProgress {
    WorkerProgress(phase: phase, layer: layer, layers: 2, step: step, steps: 3, tokensDone: done, tokensTotal: total)
}
