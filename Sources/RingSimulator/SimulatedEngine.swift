// A worker's engine at one run, as a value: it loads, meets its peers, takes the real `RingPass` through every layer and
// generates tokens, over frames that the simulation carries. What it computes is in IntegerModel.

import RingControl
import RingCore

/// One rank's part of a run.
struct SimulatedEngine: Sendable {
    /// What travels between two ranks of a run.
    enum Frame: Hashable, Sendable {
        /// I am here; an answer is asked for unless this is one.
        case hello(isAnswer: Bool)
        /// Keys and values for the receiver's step lie ready in the sender's memory.
        case offer(layer: Int, step: Int)
        /// They have been taken.
        case taken(layer: Int, step: Int)
        /// The leader's new token wants every rank's part of the attention; one of them keeps its key.
        case query(layer: Int, position: Int, row: UInt64, keeper: Int)
        /// A rank's part.
        case partial(layer: Int, position: Int, Partial)
        /// The answer is complete.
        case done
        /// The connection has broken.
        case reset
    }

    /// What happened.
    enum Event: Hashable, Sendable {
        case loaded
        case released
        case frame(Frame, from: Int)
        /// A pull is done: this lay in the sender's memory.
        case pulled(layer: Int, step: Int, from: Int, Block)
        case attended
        case answered
        /// Looks after silence.
        case look
    }

    /// What to do.
    enum Effect: Sendable {
        case send(Frame, to: Int)
        /// Read what is offered for an own step from another rank's memory, now.
        case pull(layer: Int, step: Int, from: Int)
        /// Send an event after a while, given in seconds.
        case after(Double, Event)
        case report(WorkerReport)
        /// A layer's rows are done at these places among the own ones: compare them.
        case check(layer: Int, places: [Int], rows: [UInt64], partials: [Partial])
        /// Hold this beyond the end of the run.
        case keep(Kept)
        /// The thread ends.
        case end
    }

    /// Where it stands.
    enum Phase: Hashable, Sendable { case loading, meeting, ready, ring, decode, over }

    /// Seconds of computing in a ring step: the same for everybody but for a tenth, so that who is slower has been slowed.
    static let stepSeconds = 0.03

    let assignment: Assignment
    let mutation: Mutation?
    let layers: Int
    let plan: ShardPlan
    let mask: Mask
    var phase = Phase.loading
    /// Peers that have been heard.
    var met: [Bool]
    /// How often it has looked without anything new.
    var silentLooks = 0

    /// What it was to go on from is not there.
    var isBereft = false

    // The ring.
    var layer = 0
    var pass: RingPass
    /// Of each own position, chunk after chunk, its row of layer 0 and of each layer that it has been through.
    var history: [[UInt64]]
    /// Rows of answer tokens that it keeps, by layer.
    var growth: [[(position: Int, row: UInt64)]]
    var partials: [Partial] = []
    var buffers: [Block?]
    /// By own step, sends onward that are not acknowledged.
    var onwardLeft: [Int]
    /// Offers of other ranks that have not been taken, by own step.
    var offers: [(layer: Int, step: Int, sender: Int)] = []
    /// Receives of the present layer that are posted, one a sender.
    var posted: [(step: Int, sender: Int, buffer: Int)] = []
    var attending = 0

    // Time, as the simulation sets it before each event, and what it was spent with.
    var clock = 0.0
    /// How many times as long computing takes now.
    var slowness = 1.0
    var computeSeconds = 0.0
    var exposedSeconds = 0.0
    /// Since when it has had nothing to compute in the ring.
    var idleSince: Double?

    // Decode.
    /// Queries that came before this rank was through with its prompt.
    var waiting: [Event] = []
    var answer: [UInt32] = []
    var token: (position: Int, row: UInt64, layer: Int, heard: Int, partial: Partial) = (0, 0, 0, 0, Partial())

    var run: Run { assignment.run }
    var rank: Int { assignment.rank }
    var world: Int { assignment.world }
    var peers: [Int] { (0..<world).filter { $0 != rank } }
    var own: [Chunk] { plan.chunks(of: Rank(rank)) }
    var positions: [Int] { own.flatMap { Array($0.range) } }

    /// What is left of a broken run.
    struct Kept: Hashable, Sendable {
        let run: Run
        let shares: [Share]
        /// By position.
        let history: [Int: [UInt64]]
    }

    /// `prompt` are the token ids of the rank's own positions; `kept` is what the worker holds of the run that this one goes on from.
    init(_ assignment: Assignment, prompt: [UInt32], goingOnFrom kept: Kept? = nil, mutation: Mutation?) {
        self.assignment = assignment
        self.mutation = mutation
        layers = IntegerModel.layers(of: assignment.spec)
        guard let plan = try? assignment.plan(), let mask = try? assignment.spec.resolvedMask() else {
            preconditionFailure("an assignment of \(assignment.tokens) tokens")
        }
        (self.plan, self.mask) = (plan, mask)
        buffers = Array(repeating: nil, count: plan.tour.buffersMax)
        onwardLeft = Array(repeating: 0, count: assignment.world)
        met = (0..<assignment.world).map { $0 == assignment.rank }
        pass = RingPass(along: RingRoute(for: Rank(assignment.rank), under: plan, mask))
        growth = Array(repeating: [], count: layers)
        history = []
        for (id, position) in zip(prompt, positions) { history.append([IntegerModel.embed(id, at: position)]) }
        adopt(kept)
    }

    /// The layer that position `place` is to go through next.
    func level(_ place: Int) -> Int { history[place].count - 1 }

    private mutating func adopt(_ kept: Kept?) {
        guard !assignment.shares.isEmpty else { return }
        layer = assignment.shares.flatMap { $0 }.map(\.layers).min() ?? 0
        for share in assignment.shares[rank] where share.layers > 0 {
            guard let kept, kept.run == assignment.resumes, kept.shares.contains(share) else {
                isBereft = true
                return
            }
            for (place, position) in positions.enumerated() where position >= share.start && position < share.end {
                history[place] = kept.history[position] ?? []
            }
        }
    }

    /// What a next run may go on from.
    private func left() -> Kept? {
        guard case .generate = assignment.spec, phase != .over, !isBereft else { return nil }
        var (shares, place, held): ([Share], Int, [Int: [UInt64]]) = ([], 0, [:])
        for chunk in own {
            var rows = Array(history[place..<place + chunk.length])
            if mutation == .keepTooMuch, phase == .ring { rows = rows.map { $0.count == layer + 1 ? $0 + [$0[layer]] : $0 } }
            if rows[0].count > 1 {
                shares.append(Share(start: chunk.start, length: chunk.length, layers: rows[0].count - 1))
                for (position, row) in zip(chunk.range, rows) { held[position] = row }
            }
            place += chunk.length
        }
        return shares.isEmpty ? nil : Kept(run: run, shares: shares, history: held)
    }

    /// Holds what is left, and says so.
    mutating func keep(_ effects: inout [Effect]) {
        guard let left = left() else { return }
        effects.append(.keep(left))
        effects.append(.report(.kept(run, left.shares)))
    }

    mutating func handle(_ event: Event, _ random: inout SplitMix64, into effects: inout [Effect]) {
        if phase == .over { return }
        switch event {
        case .loaded where isBereft: fail(.shuttingDown, "what was kept of the broken run is gone", lost: nil, &effects)
        case .loaded:
            phase = .meeting
            meet(&effects)
            effects.append(.after(1, .look))
        case .released:
            guard phase == .ready else { return }
            phase = .ring
            // A broken run that was through with its prompt may have left nothing to do but the answer.
            if layer < layers { beginLayer(&random, &effects) } else { beginDecode(&random, &effects) }
        case .frame(let frame, let sender):
            silentLooks = 0
            receive(frame, from: sender, &random, &effects)
        case .pulled(let layer, let step, let sender, let block): take(block, layer: layer, step: step, from: sender, &random, &effects)
        case .attended: noteAttended(&random, &effects)
        case .answered: noteAnswered(&random, &effects)
        case .look: look(&effects)
        }
    }

    /// Tries to reach those who have not been heard; a peer's engine may not be there yet.
    private mutating func meet(_ effects: inout [Effect]) {
        for peer in peers where !met[peer] { effects.append(.send(.hello(isAnswer: false), to: peer)) }
        noteMet(&effects)
    }

    private mutating func noteMet(_ effects: inout [Effect]) {
        guard phase == .meeting, met.allSatisfy({ $0 }) else { return }
        phase = .ready
        effects.append(.report(.ready(run)))
    }

    private mutating func receive(_ frame: Frame, from sender: Int, _ random: inout SplitMix64, _ effects: inout [Effect]) {
        switch frame {
        case .hello(let isAnswer):
            if !isAnswer { effects.append(.send(.hello(isAnswer: true), to: sender)) }
            met[sender] = true
            noteMet(&effects)
        case .offer(let layer, let step):
            offers.append((layer, step, sender))
            pull(&effects)
        case .taken(let layer, let step):
            guard phase == .ring, layer == self.layer else { return }
            guard let origin = onward(step, to: sender) else {
                turn(.served(step: step), &random, &effects)
                return
            }
            onwardLeft[origin] -= 1
            if onwardLeft[origin] == 0 { turn(.forwarded(step: origin), &random, &effects) }
        case .query:
            guard phase == .decode else {
                waiting.append(.frame(frame, from: sender))
                return
            }
            answer(frame, to: sender, &effects)
        case .partial(let layer, let position, let partial): merge(partial, layer, position, &random, &effects)
        case .done: finish(&effects)
        case .reset: fail(.workerLost, "connection reset", lost: sender, &effects)
        }
    }

    /// A rank that waits for others hears from them, or gives up.
    private mutating func look(_ effects: inout [Effect]) {
        silentLooks += 1
        if phase == .meeting { meet(&effects) }
        effects.append(.after(phase == .meeting ? 0.1 : 1, .look))
        let isWaiting = phase == .ring || (phase == .decode && rank > 0)
        let looksMax = phase == .meeting ? 60 : 6
        guard silentLooks > looksMax, phase == .meeting || isWaiting else { return }
        let lost = met.firstIndex(of: false) ?? (phase != .ring ? 0 : posted.isEmpty ? (rank + world - 1) % world : posted[0].sender)
        if lost != rank { fail(.workerLost, "no word for too long", lost: lost, &effects) }
    }

    mutating func fail(_ code: FailureCode, _ message: String, lost: Int?, _ effects: inout [Effect]) {
        keep(&effects)
        phase = .over
        effects.append(.report(.failed(run, code, message: message, lostRank: lost)))
        breakOff(&effects)
        effects.append(.end)
    }

    /// Whoever ends out of turn breaks its connections.
    func breakOff(_ effects: inout [Effect]) {
        for peer in peers { effects.append(.send(.reset, to: peer)) }
    }

    mutating func finish(_ effects: inout [Effect]) {
        phase = .over
        var summary = WorkerSummary(rank: rank)
        summary.tokensOwned = positions.count
        // Which run it was, for the checker of results.
        summary.steps = Int(assignment.epoch.number)
        if rank == 0, case .generate = assignment.spec { summary.generatedTokens = answer }
        effects.append(.report(.finished(run, summary)))
        effects.append(.end)
    }
}
