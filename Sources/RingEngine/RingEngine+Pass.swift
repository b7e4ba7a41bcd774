// One layer's prefill attention: the shell round RingPass. It posts what the pass orders, computes when told to, and
// looks at the transport between two compute tasks, so that blocks move while others are attended to.
import RingCore
import RingKernels
import RingTransport

/// A rank's queries of one layer and the running state of their attention.
public struct AttentionInput: Sendable {
    /// Queries after rotation, [own tokens, heads * headDim], own tokens in order of position.
    public var queries: FloatRows
    /// Running state, one row a token and head; reset by the pass, finished by the caller.
    public var state: HeadStates
    /// Where a plan with a grain sums up instead, so that the result has the same bits under each of them: reset by the pass, finished
    /// by the caller, and `state` is not touched.
    public var bins: HeadBins?
    /// Which keys a query sees; the same on every rank.
    public var mask: Mask
    /// By rank, and place in its shard, which chunks have queries; `nil` is all. The others are only attended to.
    public var active: [[Bool]]?
    /// Positions of the queries, ascending, where they are only some of the rank's own tokens: query row i is at `positions[i]`.
    public var positions: [Int]?

    /// Input of its parts.
    public init(queries: FloatRows, state: HeadStates, mask: Mask, active: [[Bool]]? = nil) {
        self.queries = queries
        self.state = state
        self.mask = mask
        self.active = active
    }
}

/// The messages of a pass that are posted or wait to be: pieces left for each step, and orders the transport had no room for.
struct PassTraffic {
    enum Direction: Hashable { case receive, send }
    struct Order: Hashable {
        let direction: Direction
        /// The step at which the receiver attends to it.
        let step: Int
        let piece: Int
        let block: BlockRef
        let peer: Rank
    }
    var backlog: [Order] = []
    /// What of the backlog could not be posted, while it is gone through.
    var held: [Order] = []
    /// By the receiver's step; of what is passed on, by the step at which this rank attends to it.
    var receivesLeft: [Int], forwardsLeft: [Int], servesLeft: [Int]
    var bytesSent = 0, bytesReceived = 0

    init(steps: Int) {
        receivesLeft = Array(repeating: 0, count: steps)
        (forwardsLeft, servesLeft) = (receivesLeft, receivesLeft)
    }
}

extension RingEngine where Wire: ~Copyable {
    /// Attends `input`'s queries to the whole ring's keys and values of `layer`, whose own blocks are in `store`.
    /// Under a plan with a grain the result has the same bits on however many ranks and threads, in whatever order blocks come.
    /// `progress` is called on the engine thread, between its tasks.
    public mutating func attend(
        layer: Int, _ input: AttentionInput, progress: (PassProgress) -> Void = { _ in }
    ) throws(EngineError) -> PassReport {
        let route = route(under: input.mask, active: input.active)
        var run = PassRun(pass: RingPass(along: route), traffic: PassTraffic(steps: route.steps.count), layer: layer)
        run.pairs = route.steps.map { visiblePairs(at: $0, input) }
        run.pairsInAll = run.pairs.reduce(0) { $0 + visiblePairCount(of: $1, under: input.mask) } * heads
        run.watch.begin(steps: route.steps.count, layer: layer, rank: rank, trace: trace)
        let begun = MonotonicClock.now()
        precondition((input.bins != nil) == (plan.grain != nil), "bins go with a plan whose edges lie on a grid, and no other")
        if let bins = input.bins { bins.reset() } else { input.state.reset() }
        try handle(.begin, &run)
        while run.pass.phase == .running {
            if let step = run.attending {
                run.attending = nil
                var report = StepReport(
                    step: step, kvOwner: route.steps[step].kvOwner, pairs: 0, computeSeconds: 0, exposedSeconds: run.waited)
                run.exposed += run.waited
                run.waited = 0
                let start = MonotonicClock.now()
                report.pairs = try compute(step, since: start, input, &run, progress)
                run.pairsDone += report.pairs
                report.computeSeconds = run.watch.note(.compute, step: step, from: start).seconds(since: start)
                run.computed += report.computeSeconds
                run.report.steps.append(report)
                try handle(.attended(step: step), &run)
            } else {
                try awaitTraffic(&run)
            }
        }
        run.report.seconds = run.watch.note(.pass, step: 0, from: begun).seconds(since: begun)
        (run.report.bytesSent, run.report.bytesReceived) = (run.traffic.bytesSent, run.traffic.bytesReceived)
        run.watch.settle(&run.report)
        return run.report
    }

    /// This rank's part in the exchange; worked out once for the layers that share it.
    private mutating func route(under mask: Mask, active: [[Bool]]?) -> RingRoute {
        if let planned, planned.mask == mask, planned.active == active { return planned.route }
        let route = RingRoute(for: rank, under: plan, mask, active: active)
        planned = PlannedRoute(mask: mask, active: active, route: route)
        return route
    }

    /// Applies an event and carries out what follows.
    mutating func handle(_ event: RingPass.Event, _ run: inout PassRun) throws(EngineError) {
        run.directives.removeAll(keepingCapacity: true)
        run.pass.handle(event, into: &run.directives)
        for directive in run.directives {
            switch directive {
            case .receive(let step, let buffer):
                for transfer in run.pass.route.steps[step].receives {
                    run.traffic.receivesLeft[step] += enqueue(.receive, step, transfer, at: buffer, &run)
                }
            case .serve(let step):
                guard let transfer = run.pass.route.steps[step].serve else { preconditionFailure("nobody is served at step \(step)") }
                run.traffic.servesLeft[step] = enqueue(.send, step, transfer, at: nil, &run)
            case .forward(let step):
                for onward in run.pass.route.steps[step].onward {
                    run.traffic.forwardsLeft[step] += enqueue(
                        .send, onward.step, onward.transfer, at: run.pass.buffer(ofStep: step), from: step, &run)
                }
            case .attend(let step, _): run.attending = step
            case .finish: break
            case .abort(let lost):
                throw .lost(lost, layer: run.layer, step: run.pass.stepsAttended, reason: wire.lossReason(of: lost) ?? "connection lost")
            }
        }
        try postBacklog(&run)
    }

    /// Cuts a transfer for the receiver's step `step` into pieces and queues them; returns how many there are. Its blocks lie in a
    /// receive buffer, where those of this rank's step `origin` are (its step `step`, if nothing is said), or, where the buffer is `nil`,
    /// in the rank's own store.
    private func enqueue(
        _ direction: PassTraffic.Direction, _ step: Int, _ transfer: RingRoute.Transfer, at buffer: Int?, from origin: Int? = nil,
        _ run: inout PassRun
    ) -> Int {
        var piece = 0
        let held = run.pass.route.steps[origin ?? step]
        for part in transfer.runs {
            let region = buffer.map { receiveRegions[$0] } ?? store.region
            let first = buffer == nil ? shard.runs[part.chunk].firstBlock + part.blocks.lowerBound : held.firstBlock(of: part)
            let start = (buffer == nil ? store.offset(layer: run.layer) : 0) + first * layout.blockByteCount
            let whole = part.blocks.count * layout.blockByteCount
            if let buffer, direction == .receive { receiveBuffers[buffer].settle(start..<start + whole) }
            for offset in stride(from: 0, to: whole, by: EngineLimits.pieceBytes) {
                let block = BlockRef(region: region, offset: start + offset, byteCount: min(EngineLimits.pieceBytes, whole - offset))
                run.traffic.backlog.append(
                    PassTraffic.Order(direction: direction, step: step, piece: piece, block: block, peer: transfer.peer))
                piece += 1
            }
            if direction == .receive { run.traffic.bytesReceived += whole } else { run.traffic.bytesSent += whole }
        }
        return piece
    }

    /// Posts as much of the backlog as the transport takes. A peer that has no room for more holds up nobody but itself: what goes
    /// to and from the others may be what it waits for. The tag names the receiver's step.
    private mutating func postBacklog(_ run: inout PassRun) throws(EngineError) {
        if run.traffic.backlog.isEmpty { return }
        run.traffic.held.removeAll(keepingCapacity: true)
        do throws(TransportError) {
            for order in run.traffic.backlog {
                let isHeld = run.traffic.held.contains { $0.peer == order.peer && $0.direction == order.direction }
                let posted: Posted = isHeld ? .full : try post(order, &run)
                if posted == .full { run.traffic.held.append(order) }
            }
        } catch {
            throw failure(error, run)
        }
        swap(&run.traffic.backlog, &run.traffic.held)
    }

    private mutating func post(_ order: PassTraffic.Order, _ run: inout PassRun) throws(TransportError) -> Posted {
        let tag = MessageTag(.keysAndValues, layer: run.layer, step: order.step, piece: order.piece)
        let posted: Posted
        switch order.direction {
        case .receive: posted = try wire.post(receive: order.block, from: order.peer, tag: tag)
        case .send: posted = try wire.post(send: order.block, to: order.peer, tag: tag)
        }
        if posted != .full {
            run.watch.posted(order.direction, step: order.step, piece: order.piece, peer: order.peer, byteCount: order.block.byteCount)
        }
        return posted
    }

    private func failure(_ error: TransportError, _ run: PassRun) -> EngineError {
        if case .lost(let rank, let reason) = error {
            return .lost(rank, layer: run.layer, step: run.pass.stepsAttended, reason: reason)
        }
        return .transport(error)
    }

    /// Takes what has completed; true if anything had.
    mutating func pollTraffic(_ run: inout PassRun) throws(EngineError) -> Bool {
        if isCancelled() { throw .cancelled }
        run.completions.removeAll(keepingCapacity: true)
        guard wire.poll(into: &run.completions) > 0 else { return false }
        for completion in run.completions {
            switch completion.outcome {
            case .received:
                let step = completion.tag.step
                run.watch.completed(.receive, step: step, piece: completion.tag.piece, peer: completion.peer)
                run.traffic.receivesLeft[step] -= 1
                if run.traffic.receivesLeft[step] == 0 { try handle(.received(step: step), &run) }
            case .sent: try noteSent(completion, &run)
            case .damaged: throw .damaged(completion.peer, layer: run.layer, step: run.pass.stepsAttended)
            case .lost, .cancelled: try handle(.lost(completion.peer), &run)
            }
        }
        try postBacklog(&run)
        return true
    }

    /// The tag names the receiver's step: what the receiver attends to there is the rank's own, or else was passed on.
    private mutating func noteSent(_ completion: Completion, _ run: inout PassRun) throws(EngineError) {
        let (step, tour) = (completion.tag.step, run.pass.route.tour)
        run.watch.completed(.send, step: step, piece: completion.tag.piece, peer: completion.peer)
        let owner = tour.kvOwner(for: completion.peer, atStep: step)
        if owner != rank {
            let origin = tour.step(of: rank, attendingTo: owner)
            run.traffic.forwardsLeft[origin] -= 1
            if run.traffic.forwardsLeft[origin] == 0 { try handle(.forwarded(step: origin), &run) }
        } else {
            run.traffic.servesLeft[step] -= 1
            if run.traffic.servesLeft[step] == 0 { try handle(.served(step: step), &run) }
        }
    }

    /// Sleeps until something completes, and counts the time as exposed.
    private mutating func awaitTraffic(_ run: inout PassRun) throws(EngineError) {
        let start = MonotonicClock.now()
        let limit = patienceSeconds
        while try !pollTraffic(&run) {
            let waited = MonotonicClock.now().seconds(since: start)
            // A loss anywhere breaks the ring; say so before the missing block makes it a mystery.
            if let lost = wire.lostPeers.first {
                // What completed between the two looks may say better why it is lost.
                if try pollTraffic(&run) { break }
                try handle(.lost(lost), &run)
            }
            if waited > limit { throw .stalled(layer: run.layer, step: run.pass.stepsAttended, seconds: waited) }
            _ = wire.wait(atMost: .milliseconds(50))
        }
        run.waited += run.watch.note(.wait, step: min(run.pass.stepsAttended, plan.world.count - 1), from: start).seconds(since: start)
    }
}

/// A route and what it was worked out from.
struct PlannedRoute {
    let mask: Mask
    let active: [[Bool]]?
    let route: RingRoute
}

/// The state of one pass.
struct PassRun {
    var pass: RingPass
    /// By step, own query chunks and the keys that they see.
    var pairs: [[StepPair]] = []
    var traffic: PassTraffic
    let layer: Int
    var attending: Int?
    /// Seconds waited for the present step, and for those before it; seconds computed in those.
    var waited = 0.0
    var exposed = 0.0
    var computed = 0.0
    var pairsDone = 0
    var pairsInAll = 0
    var report = PassReport()
    var watch = PassWatch()
    var directives: [RingPass.Directive] = []
    var completions: [Completion] = []

    init(pass: RingPass, traffic: PassTraffic, layer: Int) {
        self.pass = pass
        self.traffic = traffic
        self.layer = layer
    }
}
