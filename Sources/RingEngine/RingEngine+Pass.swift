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
    /// Whether a key is visible only to queries at its position and later.
    public var causal: Bool
    /// Which of the rank's chunks have queries, by place in its shard; `nil` is all. The others are only attended to.
    public var active: [Bool]?
    /// Positions of the queries, ascending, where they are only some of the rank's own tokens: query row i is at `positions[i]`.
    public var positions: [Int]?

    /// Input of its parts.
    public init(queries: FloatRows, state: HeadStates, causal: Bool, active: [Bool]? = nil) {
        self.queries = queries
        self.state = state
        self.causal = causal
        self.active = active
    }
}

/// The messages of a pass that are posted or wait to be: pieces left for each step, and orders the transport had no room for.
struct PassTraffic {
    enum Direction: Hashable { case receive, send }
    struct Order: Hashable {
        let direction: Direction
        let step: Int
        let piece: Int
        let block: BlockRef
        let peer: Rank
    }
    var backlog: [Order] = []
    var receivesLeft: [Int]
    var sendsLeft: [Int]
    var bytesSent = 0

    init(steps: Int) {
        receivesLeft = Array(repeating: 0, count: steps)
        sendsLeft = Array(repeating: 0, count: steps)
    }
}

extension RingEngine where Wire: ~Copyable {
    /// Attends `input`'s queries to the whole ring's keys and values of `layer`, whose own blocks are in `store`.
    /// `progress` is called on the engine thread, between its tasks.
    public mutating func attend(
        layer: Int, _ input: AttentionInput, progress: (PassProgress) -> Void = { _ in }
    ) throws(EngineError) -> PassReport {
        let schedule = RingSchedule(for: rank, in: plan.world)
        var run = PassRun(pass: RingPass(along: schedule), traffic: PassTraffic(steps: schedule.count), layer: layer)
        run.pairsInAll = schedule.reduce(0) { $0 + visiblePairCount(of: visiblePairs(with: $1.kvOwner, input)) } * heads
        run.watch.begin(steps: schedule.count, layer: layer, rank: rank, trace: trace)
        let begun = MonotonicClock.now()
        input.state.reset()
        try handle(.begin, &run)
        while run.pass.phase == .running {
            if let step = run.attending {
                run.attending = nil
                var report = StepReport(
                    step: step, kvOwner: schedule[step].kvOwner, pairs: 0, computeSeconds: 0, exposedSeconds: run.waited)
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
        run.report.bytesSent = run.traffic.bytesSent
        run.watch.settle(&run.report)
        return run.report
    }

    /// Applies an event and carries out what follows.
    mutating func handle(_ event: RingPass.Event, _ run: inout PassRun) throws(EngineError) {
        var events = [event]
        while let event = events.popLast() {
            run.directives.removeAll(keepingCapacity: true)
            run.pass.handle(event, into: &run.directives)
            for directive in run.directives {
                switch directive {
                case .receive(let step, let source, let buffer):
                    let bytes = shards[run.pass.schedule[step].kvOwner.index].blockCount * layout.blockByteCount
                    let block = BlockRef(region: receiveRegions[buffer], offset: 0, byteCount: bytes)
                    if enqueue(.receive, step, block, source, &run) == 0 { events.append(.received(step: step)) }
                case .send(let step, let target):
                    if enqueue(.send, step, blockRef(ofStep: step, run), target, &run) == 0 { events.append(.sent(step: step)) }
                case .attend(let step, _): run.attending = step
                case .finish: break
                case .abort(let lost):
                    throw .lost(
                        lost, layer: run.layer, step: run.pass.stepsAttended, reason: wire.lossReason(of: lost) ?? "connection lost")
                }
            }
        }
        try postBacklog(&run)
    }

    /// Where the keys and values of a step lie on this rank.
    func blockRef(ofStep step: Int, _ run: PassRun) -> BlockRef {
        let bytes = shards[run.pass.schedule[step].kvOwner.index].blockCount * layout.blockByteCount
        if step == 0 { return BlockRef(region: store.region, offset: store.offset(layer: run.layer), byteCount: bytes) }
        return BlockRef(region: receiveRegions[RingPass.buffer(ofStep: step)], offset: 0, byteCount: bytes)
    }

    /// Cuts a step's message into pieces and queues them; returns how many there are.
    private func enqueue(
        _ direction: PassTraffic.Direction, _ step: Int, _ whole: BlockRef, _ peer: Rank, _ run: inout PassRun
    ) -> Int {
        let pieces = (whole.byteCount + EngineLimits.pieceBytes - 1) / EngineLimits.pieceBytes
        for piece in 0..<pieces {
            let offset = piece * EngineLimits.pieceBytes
            let bytes = min(EngineLimits.pieceBytes, whole.byteCount - offset)
            let block = BlockRef(region: whole.region, offset: whole.offset + offset, byteCount: bytes)
            run.traffic.backlog.append(PassTraffic.Order(direction: direction, step: step, piece: piece, block: block, peer: peer))
        }
        if direction == .receive {
            run.traffic.receivesLeft[step] = pieces
        } else {
            run.traffic.sendsLeft[step] = pieces
            run.traffic.bytesSent += whole.byteCount
        }
        return pieces
    }

    /// Posts as much of the backlog as the transport takes. The tag names the step at the receiver.
    private mutating func postBacklog(_ run: inout PassRun) throws(EngineError) {
        var done = 0
        do throws(TransportError) {
            posting: for order in run.traffic.backlog {
                let posted: Posted
                switch order.direction {
                case .receive:
                    let tag = MessageTag(.keysAndValues, layer: run.layer, step: order.step, piece: order.piece)
                    posted = try wire.post(receive: order.block, from: order.peer, tag: tag)
                case .send:
                    let tag = MessageTag(.keysAndValues, layer: run.layer, step: order.step + 1, piece: order.piece)
                    posted = try wire.post(send: order.block, to: order.peer, tag: tag)
                }
                if posted == .full { break posting }
                done += 1
                let step = order.direction == .send ? order.step + 1 : order.step
                run.watch.posted(order.direction, step: step, piece: order.piece, peer: order.peer, byteCount: order.block.byteCount)
            }
        } catch {
            throw failure(error, run)
        }
        run.traffic.backlog.removeFirst(done)
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
            case .sent:
                let step = completion.tag.step - 1
                run.watch.completed(.send, step: step + 1, piece: completion.tag.piece, peer: completion.peer)
                run.traffic.sendsLeft[step] -= 1
                if run.traffic.sendsLeft[step] == 0 { try handle(.sent(step: step), &run) }
            case .damaged: throw .damaged(completion.peer, layer: run.layer, step: run.pass.stepsAttended)
            case .lost, .cancelled: try handle(.lost(completion.peer), &run)
            }
        }
        try postBacklog(&run)
        return true
    }

    /// Sleeps until something completes, and counts the time as exposed.
    private mutating func awaitTraffic(_ run: inout PassRun) throws(EngineError) {
        let start = MonotonicClock.now()
        let limit = patienceSeconds
        while try !pollTraffic(&run) {
            let waited = MonotonicClock.now().seconds(since: start)
            // A loss anywhere breaks the ring; say so before the missing block makes it a mystery.
            if let lost = wire.lostPeers.first { try handle(.lost(lost), &run) }
            if waited > limit { throw .stalled(layer: run.layer, step: run.pass.stepsAttended, seconds: waited) }
            _ = wire.wait(atMost: .milliseconds(50))
        }
        run.waited += run.watch.note(.wait, step: min(run.pass.stepsAttended, plan.world.count - 1), from: start).seconds(since: start)
    }
}

/// The state of one pass.
struct PassRun {
    var pass: RingPass
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
