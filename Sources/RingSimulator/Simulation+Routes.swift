// The coordinator's routes, modelled: what each request means to the machine and the store.

import RingControl
import RingCore

extension Simulation {
    mutating func serve(_ request: Request, _ number: UInt64, from node: Int) {
        if options.keepsTranscript {
            let name = name(of: node)
            note(0, "gets from \(name): \(Describe.request(request))")
        }
        switch request {
        case .join(let registration):
            decide([.workerJoined(registration, ticket(node, number))])
        case .report(let id, let batch, let seen, let isLeaving, let reports):
            report(id, batch, seen, isLeaving, reports, (node, number))
        case .openStream(let id, let seen, let connection): openStream(id, seen, connection, (node, number))
        case .fetchPrompt(let job, let chunks): answer(node, number, prompt(of: job, chunks))
        case .submit(var submission):
            if options.mutation == .forgetKeys { submission.idempotencyKey = nil }
            decide([.submitted(submission, ticket(node, number))])
        case .storePrompt(let job, let start, let ids): storePrompt(job, start, ids, (node, number))
        case .follow(let job, let seen, let connection): follow(job, seen, connection, (node, number))
        case .cancel(let job):
            if coordinator.machine.jobView(job) == nil {
                answer(node, number, .unknown)
            } else {
                decide([.cancelled(job, reason: "its submitter asked for it")], reply: (node, number, .done))
            }
        }
    }

    private mutating func ticket(_ node: Int, _ request: UInt64) -> Ticket {
        coordinator.lastTicket += 1
        let ticket = Ticket(coordinator.lastTicket)
        coordinator.tickets.append((ticket, node, request))
        return ticket
    }

    private mutating func report(
        _ id: WorkerID, _ batch: UInt64, _ seen: UInt64, _ isLeaving: Bool, _ reports: [WorkerReport], _ asked: (node: Int, request: UInt64)
    ) {
        guard let place = coordinator.place(of: id) else {
            answer(asked.node, asked.request, .unknown)
            return
        }
        checkIdentity(coordinator.sessions[place], asked.node)
        coordinator.sessions[place].unseen.removeAll { $0.sequence <= seen }
        guard batch > coordinator.sessions[place].batch || (options.mutation == .acceptOldReports && !reports.isEmpty) else {
            decide([.workerHeard(id)], reply: (asked.node, asked.request, .done))
            return
        }
        coordinator.sessions[place].batch = batch
        var events: [Coordinator.Event] = reports.isEmpty ? [.workerHeard(id)] : reports.map { .workerReported(id, current($0)) }
        if isLeaving { events.append(.workerDrained(id)) }
        decide(events, reply: (asked.node, asked.request, .done))
    }

    /// The report itself, unless runs are not told apart.
    private func current(_ report: WorkerReport) -> WorkerReport {
        guard options.mutation == .acceptOldReports, let view = coordinator.machine.jobView(report.run.job) else { return report }
        let run = Run(report.run.job, view.epoch)
        switch report {
        case .ready: return .ready(run)
        case .progress(_, let progress): return .progress(run, progress)
        case .token(_, let index, let id): return .token(run, index: index, id: id)
        case .finished(_, let summary): return .finished(run, summary)
        case .failed(_, let code, let message, let lost): return .failed(run, code, message: message, lostRank: lost)
        case .kept(_, let shares): return .kept(run, shares)
        case .stopped: return .stopped(run)
        }
    }

    private mutating func openStream(_ id: WorkerID, _ seen: UInt64, _ connection: Int, _ asked: (node: Int, request: UInt64)) {
        guard let place = coordinator.place(of: id) else {
            answer(asked.node, asked.request, .unknown)
            return
        }
        checkIdentity(coordinator.sessions[place], asked.node)
        // The reader may have gone before its request came through.
        guard !connections[connection].isClosed, coordinator.sessions[place].connection != connection else { return }
        if let earlier = coordinator.sessions[place].connection { write(.closed, to: earlier) }
        coordinator.sessions[place].connection = connection
        coordinator.sessions[place].unseen.removeAll { $0.sequence <= seen }
        write(.opened, to: connection)
        for (sequence, directive) in coordinator.sessions[place].unseen { write(.directive(sequence, directive), to: connection) }
        decide([.workerConnected(id)])
    }

    /// The reader of a stream has gone.
    mutating func streamLeft(_ connection: Int) {
        if let place = coordinator.sessions.firstIndex(where: { $0.connection == connection }) {
            coordinator.sessions[place].connection = nil
            if options.mutation != .hideDisconnects { decide([.workerDisconnected(coordinator.sessions[place].id)]) }
        }
        coordinator.followers.removeAll { $0.connection == connection }
    }

    private func prompt(of job: JobNumber, _ chunks: [Chunk]) -> Response {
        guard let entry = coordinator.store.job(job), !entry.prompt.isEmpty else { return .unknown }
        let told = options.mutation == .forgetAnswer ? entry.answer.map { _ in 0 } : entry.answer
        let whole = entry.prompt.map { $0 ?? 0 } + told
        var ids: [UInt32] = []
        for chunk in chunks {
            guard chunk.end <= whole.count else { return .unknown }
            ids += whole[chunk.range]
        }
        return .prompt(ids)
    }

    private mutating func storePrompt(_ job: JobNumber, _ start: Int, _ ids: [UInt32], _ asked: (node: Int, request: UInt64)) {
        guard let view = coordinator.machine.jobView(job), !view.state.isSettled, let entry = coordinator.store.job(job),
            start + ids.count <= entry.prompt.count
        else {
            answer(asked.node, asked.request, .unknown)
            return
        }
        if entry.isWhole {
            answer(asked.node, asked.request, .done)
            return
        }
        if options.mutation != .dropPrompt { coordinator.open.changes.append(.prompt(job, start: start, ids: ids)) }
        coordinator.open.replies.append((asked.node, asked.request, .done))
        // Pieces come in order, each after the one before was kept.
        if start + ids.count == entry.prompt.count { decide([.promptStored(job)]) } else { flush() }
    }

    private mutating func follow(_ job: JobNumber, _ seen: Int, _ connection: Int, _ asked: (node: Int, request: UInt64)) {
        guard coordinator.machine.jobView(job) != nil else {
            answer(asked.node, asked.request, .unknown)
            return
        }
        guard !connections[connection].isClosed, !coordinator.followers.contains(where: { $0.connection == connection }) else { return }
        let told = options.mutation == .repeatEvents ? max(0, seen - 1) : seen
        coordinator.followers.append(CoordinatorNode.Follower(connection: connection, job: job, told: told))
        write(.opened, to: connection)
        tellFollower(coordinator.followers.count - 1)
    }
}
