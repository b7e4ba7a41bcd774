// When the messages of a pass were posted and when they had arrived: the figures of its steps, and the slices of a trace. It costs a
// look at the clock for each piece.
import RingCore
import RingTransport

/// The times of one pass's messages on one rank.
struct PassWatch {
    /// A message under way.
    private struct Flight {
        let direction: PassTraffic.Direction
        let step: Int
        let piece: Int
        let peer: Rank
        let byteCount: Int
        let posted: Moment
    }

    /// All pieces of a step in one direction.
    private struct Passage {
        var began: Moment?
        var ended: Moment?
        var byteCount = 0

        var seconds: Double { began.flatMap { began in ended.map { $0.seconds(since: began) } } ?? 0 }
    }

    private var layer = 0
    private var rank = Rank(0)
    private var trace: TraceRecorder?
    private var flights: [Flight] = []
    // By the step at which the receiver attends to what is sent: both ends name a message alike.
    private var sends: [Passage] = []
    private var receives: [Passage] = []

    /// Makes room for a pass of `steps` steps.
    mutating func begin(steps: Int, layer: Int, rank: Rank, trace: TraceRecorder?) {
        self.layer = layer
        self.rank = rank
        self.trace = trace
        flights.reserveCapacity(TransportLimits.sendsPerPeer + TransportLimits.receivesPerPeer)
        sends = Array(repeating: Passage(), count: steps + 1)
        receives = Array(repeating: Passage(), count: steps + 1)
    }

    /// A piece of what the receiver attends to at `step` was posted.
    mutating func posted(_ direction: PassTraffic.Direction, step: Int, piece: Int, peer: Rank, byteCount: Int) {
        let now = MonotonicClock.now()
        flights.append(Flight(direction: direction, step: step, piece: piece, peer: peer, byteCount: byteCount, posted: now))
        if direction == .send { Self.note(now, &sends[step].began) } else { Self.note(now, &receives[step].began) }
    }

    private static func note(_ now: Moment, _ began: inout Moment?) { began = began ?? now }

    /// A piece of what the receiver attends to at `step` has been sent or received.
    mutating func completed(_ direction: PassTraffic.Direction, step: Int, piece: Int, peer: Rank) {
        let found = flights.firstIndex { $0.step == step && $0.piece == piece && $0.direction == direction && $0.peer == peer }
        guard let place = found else { return }
        let (flight, now) = (flights.remove(at: place), MonotonicClock.now())
        if direction == .send {
            sends[step].ended = now
            sends[step].byteCount += flight.byteCount
        } else {
            receives[step].ended = now
            receives[step].byteCount += flight.byteCount
        }
        trace?.note(
            TraceEvent(
                direction == .send ? .send : .receive, from: flight.posted, to: now, layer: layer, step: step, piece: piece,
                peer: flight.peer,
                byteCount: flight.byteCount))
    }

    /// Notes a slice of the engine thread that has just ended, and gives its end.
    func note(_ kind: TraceEvent.Kind, step: Int, from start: Moment) -> Moment {
        let now = MonotonicClock.now()
        trace?.note(TraceEvent(kind, from: start, to: now, layer: layer, step: step, peer: rank))
        return now
    }

    /// Completes the figures of a pass that is over. What it waited at its end, for its last sends, counts to its last step, so that
    /// the steps' figures add up to the pass's.
    func settle(_ report: inout PassReport) {
        for place in report.steps.indices {
            let step = report.steps[place].step
            report.steps[place].sendSeconds = sends[step + 1].seconds
            report.steps[place].receiveSeconds = receives[step].seconds
            report.steps[place].bytesSent = sends[step + 1].byteCount
            report.steps[place].bytesReceived = receives[step].byteCount
        }
        guard let last = report.steps.indices.last else { return }
        let told = report.steps.reduce(0) { $0 + $1.exposedSeconds }
        report.steps[last].exposedSeconds += max(report.exposedSeconds - told, 0)
    }
}
