// A measure job on one rank: connect as for any ring, then meet every other rank once.
import RingControl
import RingCore
import RingTransport

/// One rank of one measure job.
struct MeasureExecution {
    let assignment: Assignment
    let spec: MeasureSpec
    let context: ExecutionContext

    func run() throws(ExecutionError) -> WorkerSummary? {
        let begun = MonotonicClock.now()
        var summary = WorkerSummary(rank: assignment.rank)
        var wire = try ExecutionParts.connect(assignment, context)
        summary.loadSeconds = MonotonicClock.now().seconds(since: begun)
        guard context.awaitStart() else {
            wire.close()
            return nil
        }
        let start = MonotonicClock.now()
        let links: [LinkSurvey.Link]
        do throws(TransportError) {
            links = try LinkSurvey(messageBytes: spec.messageBytes, messages: spec.messages)
                .run(over: &wire, isCancelled: context.isCancelled)
        } catch {
            wire.close()
            throw ExecutionParts.error(error)
        }
        // All of it is waiting for the network.
        summary.prefillSeconds = MonotonicClock.now().seconds(since: start)
        summary.exposedSeconds = summary.prefillSeconds
        let lanes = wire.lanes
        summary.links = links.map { link in
            LinkFigures(
                peer: link.peer.index, bytesPerSecond: link.bytesPerSecond, roundTripSeconds: link.roundTripSeconds,
                transport: (lanes[link.peer.index]?.kind ?? .tcp).description)
        }
        summary.bytesSent = Int(clamping: wire.counters.bytesSent)
        summary.bytesReceived = Int(clamping: wire.counters.bytesReceived)
        summary.retransmissions = Int(clamping: wire.counters.retransmissions)
        wire.close()
        return context.isCancelled() ? nil : summary
    }
}
