// One layer's trip round the ring as a value: it is told what happened and says what to do next. It moves no byte and
// computes nothing, so that the engine and the simulator turn the same machine.
//
// Two receive buffers: step s >= 1 arrives in buffer (s - 1) % 2; step 0 is the rank's own shard, which stays where it
// lies. A buffer is posted for step s + 2 only when step s has been attended to AND its send onward is done.

/// A sans-IO machine that orders receives, sends and attention of one ring pass.
public struct RingPass: Sendable {
    /// What happened.
    public enum Event: Hashable, Sendable {
        /// Start the trip.
        case begin
        /// The keys and values of a step are here, whole and checked.
        case received(step: Int)
        /// The attention of a step is done.
        case attended(step: Int)
        /// The send onward of a step's keys and values is acknowledged.
        case sent(step: Int)
        /// A rank is gone.
        case lost(Rank)
    }

    /// What to do.
    public enum Directive: Hashable, Sendable {
        /// Post the receive of a step's keys and values into receive buffer `buffer` (0 or 1).
        case receive(step: Int, from: Rank, buffer: Int)
        /// Post the send of a step's keys and values.
        case send(step: Int, to: Rank)
        /// Attend to the keys and values of a step.
        case attend(step: Int, kvOwner: Rank)
        /// The trip is over.
        case finish
        /// The trip cannot be finished.
        case abort(lost: Rank)
    }

    /// Where the trip stands.
    public enum Phase: Hashable, Sendable {
        /// Not begun.
        case idle
        /// Under way.
        case running
        /// Every step attended to and every send done.
        case finished
        /// Given up.
        case aborted
    }

    /// Where the trip stands.
    public private(set) var phase = Phase.idle
    /// The steps of this rank.
    public let schedule: RingSchedule

    // One flag a step; a step's flags only ever go from false to true.
    private var posted: [Bool]
    private var received: [Bool]
    private var sendPosted: [Bool]
    private var sent: [Bool]
    private var attended: [Bool]
    private var attending = false

    /// A trip along `schedule`.
    public init(along schedule: RingSchedule) {
        self.schedule = schedule
        let none = [Bool](repeating: false, count: schedule.count)
        (posted, received, sendPosted, sent, attended) = (none, none, none, none, none)
    }

    /// The receive buffer that step `step` (>= 1) uses.
    public static func buffer(ofStep step: Int) -> Int { (step - 1) % 2 }

    /// Steps whose attention is done.
    public var stepsAttended: Int { attended.count(where: { $0 }) }

    /// Applies `event` and appends what follows from it, in order. Receives come before sends, sends before attention,
    /// so that communication is under way before compute begins.
    public mutating func handle(_ event: Event, into directives: inout [Directive]) {
        // Late news about a settled trip changes nothing.
        if phase == .finished || phase == .aborted { return }
        switch event {
        case .begin:
            precondition(phase == .idle, "a ring pass begins once")
            phase = .running
            posted[0] = true
            received[0] = true
        case .received(let step):
            precondition(posted[step] && !received[step], "step \(step) arrived without being expected")
            received[step] = true
        case .attended(let step):
            precondition(attending && received[step] && !attended[step], "step \(step) was attended to out of turn")
            attended[step] = true
            attending = false
        case .sent(let step):
            precondition(sendPosted[step] && !sent[step], "step \(step) was sent without being posted")
            sent[step] = true
        case .lost(let rank):
            phase = .aborted
            directives.append(.abort(lost: rank))
            return
        }
        advance(into: &directives)
    }

    private mutating func advance(into directives: inout [Directive]) {
        for step in schedule.indices where step > 0 && !posted[step] && bufferIsFree(for: step) {
            posted[step] = true
            let source = schedule.world.previous(before: schedule.rank)
            directives.append(.receive(step: step, from: source, buffer: Self.buffer(ofStep: step)))
        }
        for step in schedule.indices where schedule[step].forwards && received[step] && !sendPosted[step] {
            sendPosted[step] = true
            directives.append(.send(step: step, to: schedule.world.next(after: schedule.rank)))
        }
        // Steps are attended to in order, one at a time: the order decides rounding, so it must not depend on arrival.
        if !attending, let next = schedule.indices.first(where: { !attended[$0] }), received[next] {
            attending = true
            directives.append(.attend(step: next, kvOwner: schedule[next].kvOwner))
        }
        let sendsDone = schedule.indices.allSatisfy { !schedule[$0].forwards || sent[$0] }
        if sendsDone && attended.allSatisfy({ $0 }) {
            phase = .finished
            directives.append(.finish)
        }
    }

    /// Step s uses the buffer of step s - 2, which must be attended to and, if it goes on, sent.
    private func bufferIsFree(for step: Int) -> Bool {
        guard step >= 3 else { return phase == .running }
        let before = step - 2
        return attended[before] && (!schedule[before].forwards || sent[before])
    }
}
