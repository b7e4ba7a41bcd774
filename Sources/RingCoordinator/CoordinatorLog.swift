// What a coordinator writes to its log about workers and jobs, all in one place: made from the events that its machine is told and the
// directives that it answers. Docs/OPERATIONS.md lists the messages. Nothing here is a secret, part of a prompt or part of an answer.

import Logging
import RingControl
import RingCore

/// Turns events and directives into log lines.
struct CoordinatorLog {
    private let logger: Logger
    /// Names of the members, for directives that have the number only.
    private var names: [WorkerID: String] = [:]

    init(_ logger: Logger) { self.logger = logger }

    // MARK: members

    /// Tells of an event and of what the machine says to it, apart from what becomes of jobs.
    mutating func note(_ event: Coordinator.Event, _ directives: ArraySlice<Coordinator.Directive>) {
        switch event {
        case .workerJoined(let registration, _): noteJoin(registration, directives)
        case .workerDisconnected(let id): logger.debug("worker disconnected", metadata: worker(id))
        case .workerConnected(let id): logger.debug("worker connected", metadata: worker(id))
        case .workerWillNotJoin(let name, let reason):
            logger.warning("worker did not start", metadata: ["worker": .string(name), "reason": .string(reason)])
        case .draining: logger.notice("draining")
        case .stopping(let reason): logger.notice("ending every job", metadata: ["reason": .string(reason)])
        case .workerReported, .workerHeard, .workerGone, .workerDrained, .submitted, .promptStored, .cancelled, .tick: break
        }
        for directive in directives {
            switch directive {
            case .remark(let id, let news): note(news, of: id)
            case .refused(_, let refusal): note(refusal)
            case .send(.stop, let id): logger.debug("worker told to stop", metadata: worker(id))
            default: break
            }
        }
    }

    private mutating func noteJoin(_ registration: WorkerRegistration, _ directives: ArraySlice<Coordinator.Directive>) {
        for directive in directives {
            switch directive {
            case .welcome(_, let id) where names[id] != nil: break
            case .welcome(_, let id):
                names[id] = registration.name
                var fields = worker(id)
                fields["machine"] = .string(registration.machine)
                fields["isa"] = .string(registration.isa)
                fields["cpus"] = .stringConvertible(registration.cpus)
                fields["memory_bytes"] = .stringConvertible(registration.memoryBytes)
                fields["data_host"] = .string(registration.dataHost)
                fields["data_port"] = .stringConvertible(registration.dataPort)
                logger.info("worker joined", metadata: fields)
            case .turnAway(_, let reason, let isTemporary):
                let fields: Logger.Metadata = [
                    "worker": .string(registration.name), "reason": .string(reason), "temporary": .stringConvertible(isTemporary),
                ]
                logger.warning("worker turned away", metadata: fields)
            default: break
            }
        }
    }

    private mutating func note(_ news: MemberNews, of id: WorkerID) {
        var fields = worker(id)
        switch news {
        case .suspected: logger.warning("worker suspected", metadata: fields)
        case .heardAgain: logger.info("worker heard again", metadata: fields)
        case .draining: logger.info("worker draining", metadata: fields)
        case .lost(let reason):
            fields["reason"] = .string(reason)
            logger.warning("worker lost", metadata: fields)
            names[id] = nil
        case .left:
            logger.info("worker left", metadata: fields)
            names[id] = nil
        }
    }

    private func worker(_ id: WorkerID) -> Logger.Metadata {
        ["worker": .string(names[id] ?? ""), "id": .stringConvertible(id.number)]
    }

    // MARK: jobs

    /// Tells what became of a job, once the store has it. `view` is asked for where a line needs it.
    func note(_ job: JobNumber, _ sequence: Int?, _ event: JobEvent, view: (JobNumber) -> JobView?) {
        var fields: Logger.Metadata = ["job": .stringConvertible(job.number)]
        switch event {
        // The first of a job's events is that it was taken in; a later one follows on a run that failed, which says more.
        case .phase(.queued): if sequence == 1 { logger.info("job submitted", metadata: Self.order(view(job), fields)) }
        case .phase(.running): logger.info("job running", metadata: fields)
        case .phase, .progress, .token: break
        case .placed(let workers, let epoch):
            fields["epoch"] = .stringConvertible(epoch.number)
            fields["workers"] = .array(workers.map { .string($0) })
            logger.info("job placed", metadata: fields)
        case .slow(let straggler):
            fields["worker"] = .string(straggler.worker)
            fields["rank"] = .stringConvertible(straggler.rank)
            fields["pace"] = .stringConvertible((straggler.pace * 100).rounded() / 100)
            logger.warning("worker slow", metadata: fields)
        case .resumed(let tokens, let layers):
            fields["tokens_kept"] = .stringConvertible(tokens)
            fields["layers"] = .stringConvertible(layers)
            logger.info("job goes on", metadata: fields)
        case .retrying(let attempt, let cause):
            fields["attempt"] = .stringConvertible(attempt)
            // A run that was handed back is nobody's fault.
            let level = cause.code == .shuttingDown ? Logger.Level.notice : .warning
            logger.log(level: level, "job retrying", metadata: Self.failure(cause, fields))
        case .succeeded(let summaries):
            fields["tokens"] = .stringConvertible(summaries.reduce(0) { $0 + $1.tokensOwned })
            logger.info("job succeeded", metadata: Self.figures(view(job), fields))
        case .failed(let failure): logger.warning("job failed", metadata: Self.failure(failure, Self.figures(view(job), fields)))
        case .cancelled(let reason):
            fields["reason"] = .string(reason)
            logger.info("job cancelled", metadata: Self.figures(view(job), fields))
        }
    }

    private func note(_ refusal: Coordinator.Refusal) {
        switch refusal {
        case .full(let open): logger.warning("job refused", metadata: ["reason": "the queue is full", "open": .stringConvertible(open)])
        // What one client did wrong is told to that client.
        case .invalid(let sentence): logger.debug("job refused", metadata: ["reason": .string(sentence)])
        case .keyTaken(let job):
            logger.debug("job refused", metadata: ["reason": "the idempotency key is taken", "job": .stringConvertible(job.number)])
        case .stopping: logger.debug("job refused", metadata: ["reason": "the coordinator is going down"])
        }
    }

    private static func order(_ view: JobView?, _ fields: Logger.Metadata) -> Logger.Metadata {
        guard let view else { return fields }
        var fields = fields
        fields["kind"] = .string(view.kind)
        fields["owner"] = .string(view.owner)
        fields["tokens"] = .stringConvertible(view.tokens)
        if let wanted = view.wantedWorkers { fields["wanted_workers"] = .stringConvertible(wanted) }
        if view.priority != 0 { fields["priority"] = .stringConvertible(view.priority) }
        return fields
    }

    /// How long it took, from its submission and from its last run's placing, and how much of an answer it gave.
    private static func figures(_ view: JobView?, _ fields: Logger.Metadata) -> Logger.Metadata {
        guard let view, let end = view.settledAt else { return fields }
        var fields = fields
        fields["attempt"] = .stringConvertible(view.attempt)
        fields["seconds"] = .seconds(end - view.submittedAt)
        if let start = view.startedAt { fields["run_seconds"] = .seconds(end - start) }
        if view.tokensGenerated > 0 { fields["tokens_generated"] = .stringConvertible(view.tokensGenerated) }
        return fields
    }

    private static func failure(_ failure: Failure, _ fields: Logger.Metadata) -> Logger.Metadata {
        var fields = fields
        fields["code"] = .string(failure.code.rawValue)
        fields["reason"] = .string(failure.message)
        if let worker = failure.worker { fields["worker"] = .string(worker) }
        if let rank = failure.rank { fields["rank"] = .stringConvertible(rank) }
        if let layer = failure.layer { fields["layer"] = .stringConvertible(layer) }
        if let step = failure.step { fields["step"] = .stringConvertible(step) }
        return fields
    }

    // MARK: the whole

    /// Tells how much a coordinator goes on with.
    func noteResumed(_ jobs: [JobView]) {
        let open = jobs.count { !$0.state.isSettled }
        guard !jobs.isEmpty else { return }
        logger.info("jobs restored", metadata: ["open": .stringConvertible(open), "kept": .stringConvertible(jobs.count)])
    }

    /// Tells that the store can no longer be written, or can again.
    func noteStore(trouble: String?) {
        if let trouble {
            logger.error("store cannot be written", metadata: ["reason": .string(trouble)])
        } else {
            logger.notice("store can be written again")
        }
    }

    func noteDrained() { logger.notice("drained") }
}

extension Logger.MetadataValue {
    /// Seconds, to the millisecond.
    static func seconds(_ seconds: Double) -> Logger.MetadataValue { .stringConvertible((seconds * 1000).rounded() / 1000) }
}
