// What a worker writes to its log about its session and its runs, all in one place: made from the events that its machine is told and the
// directives that it answers. Docs/OPERATIONS.md lists the messages. Nothing here is a secret, part of a prompt or part of an answer.

import Logging
import RingClient
import RingControl
import RingCore

/// Turns events and directives into log lines.
struct WorkerLog {
    /// Beside an event: what the machine does not need to know.
    struct Circumstances {
        /// Why it happened, where the event does not say.
        var reason: String?
        /// Seconds until the worker asks to be let in again, if it waits to.
        var retrySeconds: Double?
    }

    private let logger: Logger
    /// The runs that are held or wait for their turn: at most a few.
    private var assignments: [Assignment] = []
    /// Requests to be let in since the last that was granted.
    private var requests = 0
    private var failures = 0
    private var isReading = false
    private var why: [Run: String] = [:]
    /// The newest run of which is told what its data travels by.
    private var connected: Run?

    init(_ logger: Logger) { self.logger = logger }

    /// Tells of an event and of what the machine says to it.
    mutating func note(_ event: WorkerMachine.Event, _ directives: [WorkerMachine.Directive], _ circumstances: Circumstances) {
        noteSession(event, circumstances)
        switch event {
        case .directive(_, .prepare(let assignment)):
            assignments = assignments.suffix(3) + [assignment]
            logger.debug("run assigned", metadata: fields(assignment.run))
        case .directive(_, .abort(let run, let reason)): why = [run: reason]
        default: break
        }
        for directive in directives { note(directive, circumstances) }
    }

    /// The trace of a run did not get to the coordinator; the run goes on without.
    func noteTrace(_ run: Run, _ error: ClientError) {
        var fields = fields(run)
        fields["reason"] = .string(error.description)
        logger.warning("trace lost", metadata: fields)
    }

    // MARK: the session

    private mutating func noteSession(_ event: WorkerMachine.Event, _ circumstances: Circumstances) {
        switch event {
        case .joined(let id):
            (requests, failures) = (0, 0)
            logger.info("joined the coordinator", metadata: ["id": .stringConvertible(id.number)])
        case .turnedAway(let reason, _): logger.warning("turned away", metadata: Self.fields(reason, circumstances))
        case .requestFailed:
            failures += 1
            // The first says that something is wrong; the others only that it still is.
            var fields = Self.fields(circumstances.reason, circumstances)
            fields["attempt"] = .stringConvertible(failures)
            logger.log(level: failures == 1 ? .warning : .info, "coordinator unreachable", metadata: fields)
        case .streamOpened:
            isReading = true
            logger.debug("directives stream opened")
        case .streamClosed:
            // That a connection broke is news; that the next one does not come up yet is not.
            let level = isReading ? Logger.Level.info : .debug
            isReading = false
            logger.log(level: level, "directives stream closed", metadata: Self.fields(circumstances.reason, Circumstances()))
        case .directive(_, .stop): logger.info("told to stop")
        case .drainRequested: logger.notice("draining")
        case .stopRequested: logger.notice("stopping")
        case .started, .sessionLost, .coordinatorHeard, .directive, .promptFetched, .promptFailed, .engineReported, .engineEnded, .tick:
            break
        }
    }

    private mutating func note(_ directive: WorkerMachine.Directive, _ circumstances: Circumstances) {
        switch directive {
        case .join:
            requests += 1
            logger.log(level: requests == 1 ? .info : .debug, "joining", metadata: ["attempt": .stringConvertible(requests)])
        case .closeSession(let reason):
            var fields = Self.fields(reason, circumstances)
            if let detail = circumstances.reason { fields["detail"] = .string(detail) }
            logger.warning("coordinator lost", metadata: fields)
        case .openStream(_, let after): logger.debug("directives stream opening", metadata: ["after": .stringConvertible(after)])
        case .fetchPrompt(let assignment): logger.debug("prompt fetching", metadata: fields(assignment.run))
        case .startEngine(let assignment): logger.debug("engine starting", metadata: fields(assignment.run))
        case .releaseEngine(let run): logger.info("run started", metadata: fields(run))
        case .cancelEngine(let run): logger.info("run given up", metadata: because(run))
        case .dropKept(let run): logger.info("kept context dropped", metadata: fields(run))
        case .report(let report): note(report)
        case .drainSelf: logger.debug("telling the coordinator that this worker leaves")
        case .leave(let departure): note(departure)
        case .cancelFetch(let run): logger.info("run given up", metadata: because(run))
        case .wake: break
        }
    }

    private func note(_ departure: WorkerMachine.Departure) {
        switch departure {
        case .toldToStop: logger.info("leaving", metadata: ["reason": "the coordinator said so"])
        case .drained: logger.info("leaving", metadata: ["reason": "drained"])
        case .interrupted: logger.info("leaving", metadata: ["reason": "interrupted"])
        case .coordinatorGone(let reason): logger.warning("leaving", metadata: ["reason": .string("the coordinator is gone: " + reason)])
        case .turnedAway(let reason): logger.warning("leaving", metadata: ["reason": .string("turned away: " + reason)])
        }
    }

    private static func fields(_ reason: String?, _ circumstances: Circumstances) -> Logger.Metadata {
        var fields: Logger.Metadata = [:]
        if let reason { fields["reason"] = .string(reason) }
        if let seconds = circumstances.retrySeconds {
            fields["retry_seconds"] = .stringConvertible((max(0, seconds) * 1000).rounded() / 1000)
        }
        return fields
    }

    // MARK: runs

    private mutating func note(_ report: WorkerReport) {
        var fields = fields(report.run)
        switch report {
        case .ready: logger.info("run prepared", metadata: fields)
        case .progress(let run, let progress): return noteLanes(run, progress)
        case .token: return
        case .kept(_, let shares):
            fields["tokens"] = .stringConvertible(shares.reduce(0) { $0 + $1.length })
            fields["layers"] = .stringConvertible(shares.map(\.layers).min() ?? 0)
            logger.info("context kept", metadata: fields)
        case .finished(_, let summary):
            fields["tokens"] = .stringConvertible(summary.tokensOwned)
            let figures = [
                "load_seconds": summary.loadSeconds, "prefill_seconds": summary.prefillSeconds, "decode_seconds": summary.decodeSeconds,
                "exposed_seconds": summary.exposedSeconds,
            ]
            for (name, seconds) in figures where seconds.isFinite { fields[name] = .stringConvertible((seconds * 1000).rounded() / 1000) }
            if let transport = summary.transport { fields["transport"] = .string(transport) }
            fields["bytes_sent"] = .stringConvertible(summary.bytesSent)
            if summary.retransmissions > 0 { fields["retransmissions"] = .stringConvertible(summary.retransmissions) }
            logger.info("run finished", metadata: fields)
        case .failed(_, let code, let message, let lostRank):
            fields["code"] = .string(code.rawValue)
            fields["reason"] = .string(message)
            if let lostRank { fields["lost_rank"] = .stringConvertible(lostRank) }
            // Handed back because the worker leaves: nothing is wrong.
            let isHandedBack = code == .shuttingDown
            logger.log(level: isHandedBack ? .notice : .warning, isHandedBack ? "run handed back" : "run failed", metadata: fields)
        case .stopped: logger.info("run aborted", metadata: because(report.run))
        }
        switch report {
        case .finished, .failed, .stopped:
            assignments.removeAll { $0.run == report.run }
            why[report.run] = nil
        case .ready, .progress, .token, .kept: break
        }
    }

    /// By its first progress a run tells what its data travels by.
    private mutating func noteLanes(_ run: Run, _ progress: WorkerProgress) {
        guard let transport = progress.transport, connected != run else { return }
        connected = run
        var fields = fields(run)
        fields["transport"] = .string(transport)
        if let remark = progress.transportRemark { fields["reason"] = .string(remark) }
        logger.info("ring connected", metadata: fields)
    }

    private func because(_ run: Run) -> Logger.Metadata {
        var fields = fields(run)
        if let reason = why[run] { fields["reason"] = .string(reason) }
        return fields
    }

    private func fields(_ run: Run) -> Logger.Metadata {
        var fields: Logger.Metadata = ["job": .stringConvertible(run.job.number), "epoch": .stringConvertible(run.epoch.number)]
        if let assignment = assignments.last(where: { $0.run == run }) {
            fields["rank"] = .stringConvertible(assignment.rank)
            fields["ranks"] = .stringConvertible(assignment.world)
        }
        return fields
    }
}
