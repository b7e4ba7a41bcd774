// The shell's side of a worker's session: joining, the numbered stream of directives, reports.

import Foundation
import RingControl
import RingCore

/// A directive with its number in its worker's session: 1, 2, ... A worker that comes back says which it has seen.
struct NumberedDirective: Encodable, Sendable {
    let sequence: UInt64
    let directive: WorkerDirective

    private enum Key: String, CodingKey { case seq }

    /// The directive's own form with `seq` beside its fields.
    func encode(to encoder: any Encoder) throws {
        var fields = encoder.container(keyedBy: Key.self)
        try fields.encode(sequence, forKey: .seq)
        try directive.encode(to: encoder)
    }
}

/// What goes down a worker's stream.
enum StreamItem: Sendable {
    case directive(NumberedDirective)
    case keepAlive
}

extension CoordinatorShell {
    /// Lets a worker in, or says why not.
    package func join(_ registration: WorkerRegistration) throws(APIError) -> WorkerID {
        for directive in receive(.workerJoined(registration, Ticket(nextNumber()))) {
            switch directive {
            case .welcome(_, let id):
                joined.insert(registration.name)
                workers[id]?.name = registration.name
                return id
            case .turnAway(_, let reason, let isTemporary): throw APIError(isTemporary ? .conflict : .badRequest, reason)
            default: continue
            }
        }
        throw APIError(.internalError, "the registration of \(registration.name) was not answered")
    }

    /// The directives of a worker behind number `after`, and the number of this reader. An earlier reader's stream ends.
    func stream(of id: WorkerID, after seen: UInt64) throws(APIError) -> (items: AsyncStream<StreamItem>, reader: UInt64) {
        guard workers[id] != nil else { throw APIError(.notFound, "there is no worker \(id)") }
        let (stream, continuation) = AsyncStream<StreamItem>.makeStream(
            bufferingPolicy: .bufferingOldest(CoordinatorLimits.directivesQueued))
        let number = nextNumber()
        workers[id]?.reader?.continuation.finish()
        workers[id]?.reader = (number, continuation)
        note(seen, of: id)
        for directive in workers[id]?.unseen ?? [] { continuation.yield(.directive(directive)) }
        receive(.workerConnected(id))
        return (stream, number)
    }

    /// A reader's connection has ended.
    func streamClosed(of id: WorkerID, reader: UInt64) {
        guard workers[id]?.reader?.number == reader else { return }
        workers[id]?.reader = nil
        receive(.workerDisconnected(id))
    }

    private func note(_ seen: UInt64, of id: WorkerID) { workers[id]?.unseen.removeAll { $0.sequence <= seen } }

    func send(_ message: WorkerDirective, to id: WorkerID) {
        guard workers[id] != nil else { return }
        workers[id]?.sequence += 1
        let numbered = NumberedDirective(sequence: workers[id]?.sequence ?? 0, directive: withSecret(message))
        workers[id]?.unseen.append(numbered)
        workers[id]?.reader?.continuation.yield(.directive(numbered))
        if (workers[id]?.unseen.count ?? 0) > CoordinatorLimits.directivesQueued {
            consequences.append(.workerGone(id, reason: "does not read its directives and counts as lost"))
        }
    }

    /// Every rank of a run gets the same fresh secret, which is nowhere kept.
    private func withSecret(_ message: WorkerDirective) -> WorkerDirective {
        guard case .prepare(var assignment) = message else { return message }
        if jobs[assignment.job]?.secret?.epoch != assignment.epoch {
            jobs[assignment.job]?.secret = (assignment.epoch, randomHex(bytes: 32))
        }
        assignment.secret = jobs[assignment.job]?.secret?.text ?? ""
        return .prepare(assignment)
    }

    /// Applies a batch of reports, once however often it is sent. An empty batch is a sign of life; `seen` is the newest
    /// directive that the worker has got, and `isLeaving` that it wants no further run.
    func report(_ reports: [WorkerReport], batch: UInt64, seen: UInt64, isLeaving: Bool, from id: WorkerID) throws(APIError) {
        guard let worker = workers[id] else { throw APIError(.notFound, "there is no worker \(id)") }
        note(seen, of: id)
        guard batch > worker.batch else {
            receive(.workerHeard(id))
            return
        }
        workers[id]?.batch = batch
        receive(reports.isEmpty ? [.workerHeard(id)] : reports.map { .workerReported(id, $0) })
        if isLeaving { receive(.workerDrained(id)) }
    }

    /// Holds what a rank noted in its run, until its job is forgotten or told to somebody.
    func storeTrace(_ bytes: [UInt8], of run: Run, from id: WorkerID) throws(APIError) {
        guard workers[id] != nil else { throw APIError(.notFound, "there is no worker \(id)") }
        guard let rank = machine.tracedRank(of: id, in: run) else {
            throw APIError(.conflict, "worker \(id) has no place in a traced run of job \(run.job)")
        }
        let held = jobs.values.reduce(0) { sum, job in sum + (job.traces?.byRank.values.reduce(0) { $0 + $1.count } ?? 0) }
        guard held + bytes.count <= CoordinatorLimits.traceStoreBytes else {
            throw APIError(.tooLarge, "traces may have \(CoordinatorLimits.traceStoreBytes) bytes together")
        }
        guard let trace = RankTrace(bytes: bytes), trace.rank == Rank(rank) else {
            throw APIError(.badRequest, "the body is not the trace of rank \(rank)")
        }
        if jobs[run.job]?.traces?.run != run { jobs[run.job]?.traces = (run, [:]) }
        jobs[run.job]?.traces?.byRank[rank] = bytes
    }

    /// Gives a job's traces away, by rank.
    func takeTraces(of job: JobNumber) -> [RankTrace] {
        let held = jobs[job]?.traces?.byRank ?? [:]
        jobs[job]?.traces = nil
        return held.keys.sorted().compactMap { held[$0].flatMap { RankTrace(bytes: $0) } }
    }

    /// The name under which a worker joined.
    func name(of id: WorkerID) throws(APIError) -> String {
        guard let worker = workers[id] else { throw APIError(.notFound, "there is no worker \(id)") }
        return worker.name
    }

    /// A worker is to leave when it holds no run.
    func drainWorker(_ name: String) throws(APIError) {
        guard let worker = workerViews().first(where: { $0.registration.name == name }) else {
            throw APIError(.notFound, "there is no worker named \(name)", parameter: "name")
        }
        receive(.workerDrained(worker.id))
    }

    /// A started process has ended; `reason` completes "worker X ...".
    func processEnded(_ name: String, reason: String) {
        if let worker = workerViews().first(where: { $0.registration.name == name }) {
            receive(.workerGone(worker.id, reason: reason))
        } else if !joined.contains(name) {
            receive(.workerWillNotJoin(name: name, reason: reason))
        }
    }

    /// Every worker.
    public func workerViews() -> [WorkerView] {
        let now = now
        return machine.workerViews(at: now).map { view in
            guard let facts = workers[view.id]?.facts else { return view }
            var view = view
            view.facts = facts.told
            view.factsSeconds = max(0, now.seconds(since: facts.at))
            return view
        }
    }

    /// Keeps what a worker tells of its machine. The answer has this machine's clock, and the workers that would follow it in a ring.
    func noteFacts(_ facts: WorkerFacts, from id: WorkerID) throws(APIError) -> FactsAnswer {
        guard let name = workers[id]?.name else { throw APIError(.notFound, "there is no worker \(id)") }
        workers[id]?.facts = (facts.bounded, now)
        let others = machine.workerViews(at: now).map(\.registration).filter { $0.name != name }.sorted { $0.name < $1.name }
        let next = others.firstIndex { $0.name > name } ?? 0
        let peers = (0..<min(others.count, ControlLimits.peersTried)).map { others[(next + $0) % others.count] }
        return FactsAnswer(
            clock: Date().timeIntervalSince1970, peers: peers.map { Peer(host: $0.dataHost, port: $0.dataPort, worker: $0.name) })
    }
}
