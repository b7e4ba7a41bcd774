// One layer's trip round the ring as a value: it is told what happened and says what to do next. It moves no byte and
// computes nothing, so that the engine and the simulator turn the same machine.
//
// Two receive buffers: steps that need anything of others arrive in them in turn; step 0 is the rank's own shard, which stays where
// it lies. Where ranks are in groups, shards that enter the group have two more of their own, in which they arrive early. A buffer is
// posted anew only when the step that it held has been attended to AND what goes on from it is sent.

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
        /// Everything that goes on of a step's keys and values is acknowledged.
        case forwarded(step: Int)
        /// The send of own keys and values that another rank attends to at its step `step` is acknowledged.
        case served(step: Int)
        /// A rank is gone.
        case lost(Rank)
    }

    /// What to do.
    public enum Directive: Hashable, Sendable {
        /// Post the receives of a step's keys and values, as the route has them, into receive buffer `buffer`, below the tour's `buffersMax`.
        case receive(step: Int, buffer: Int)
        /// Post the send of own keys and values to the rank that attends to them at its step `step`.
        case serve(step: Int)
        /// Post what goes on of a step's keys and values.
        case forward(step: Int)
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
    /// What comes and goes at each step of this rank.
    public let route: RingRoute

    // One flag a step; a step's flags only ever go from false to true.
    private var posted: [Bool]
    private var received: [Bool]
    private var forwardPosted: [Bool]
    private var forwarded: [Bool]
    private var attended: [Bool]
    private var attending = false
    /// Steps at which somebody is served, in order; how many of them are posted, and how many of those are out.
    private let serving: [Int]
    private var servesPosted = 0
    private var servesOut = 0
    /// By step, the one whose buffer it takes over, or -1; and the buffer, or -1 where nothing arrives.
    private let successors: [(of: Int, buffer: Int)]

    /// Serves that may be under way at once. With those onward, and each at most as many pieces as a peer may have outstanding, they
    /// stay below what a transport holds; more would only wait for ranks that are further behind.
    public static let servesMax = 4

    /// A trip along `route`.
    public init(along route: RingRoute) {
        self.route = route
        let none = [Bool](repeating: false, count: route.steps.count)
        (posted, received, forwardPosted, forwarded, attended) = (none, none, none, none, none)
        serving = route.steps.filter { $0.serve != nil }.map(\.index)
        var (inner, entering): ([Int], [Int]) = ([], [])
        successors = route.steps.map { step in
            if step.receives.isEmpty { return (-1, -1) }
            if route.tour.entersGroup(atStep: step.index) { return Self.take(2, step.index, &entering) }
            return Self.take(0, step.index, &inner)
        }
    }

    /// The next of a pair of buffers, and the step that has it before.
    private static func take(_ first: Int, _ step: Int, _ arriving: inout [Int]) -> (of: Int, buffer: Int) {
        arriving.append(step)
        return (arriving.count > 2 ? arriving[arriving.count - 3] : -1, first + (arriving.count - 1) % 2)
    }

    /// The receive buffer into which step `step` arrives; `nil` if nothing does.
    public func buffer(ofStep step: Int) -> Int? { successors[step].buffer < 0 ? nil : successors[step].buffer }

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
            for step in route.steps where step.receives.isEmpty { (posted[step.index], received[step.index]) = (true, true) }
        case .received(let step):
            precondition(posted[step] && !received[step], "step \(step) arrived without being expected")
            received[step] = true
        case .attended(let step):
            precondition(attending && received[step] && !attended[step], "step \(step) was attended to out of turn")
            attended[step] = true
            attending = false
        case .forwarded(let step):
            precondition(forwardPosted[step] && !forwarded[step], "step \(step) was sent on without being posted")
            forwarded[step] = true
        case .served(let step):
            precondition(serving.prefix(servesPosted).contains(step) && servesOut > 0, "step \(step) was served without being posted")
            servesOut -= 1
        case .lost(let rank):
            phase = .aborted
            directives.append(.abort(lost: rank))
            return
        }
        advance(into: &directives)
    }

    private mutating func advance(into directives: inout [Directive]) {
        for step in route.steps.indices where !posted[step] && bufferIsFree(for: step) {
            posted[step] = true
            directives.append(.receive(step: step, buffer: successors[step].buffer))
        }
        while servesPosted < serving.count, servesOut < Self.servesMax {
            directives.append(.serve(step: serving[servesPosted]))
            servesPosted += 1
            servesOut += 1
        }
        for step in route.steps.indices where forwards(step) && received[step] && !forwardPosted[step] {
            forwardPosted[step] = true
            directives.append(.forward(step: step))
        }
        // Steps are attended to in order, one at a time: the order decides rounding, so it must not depend on arrival.
        if !attending, let next = route.steps.indices.first(where: { !attended[$0] }), received[next] {
            attending = true
            directives.append(.attend(step: next, kvOwner: route.steps[next].kvOwner))
        }
        let sendsDone = servesPosted == serving.count && servesOut == 0 && route.steps.indices.allSatisfy { !forwards($0) || forwarded[$0] }
        if sendsDone && attended.allSatisfy({ $0 }) {
            phase = .finished
            directives.append(.finish)
        }
    }

    private func forwards(_ step: Int) -> Bool { !route.steps[step].onward.isEmpty }

    /// The step that the buffer held before must be attended to and, if it goes on, sent.
    private func bufferIsFree(for step: Int) -> Bool {
        let before = successors[step].of
        return before < 0 || (attended[before] && (!forwards(before) || forwarded[before]))
    }
}
