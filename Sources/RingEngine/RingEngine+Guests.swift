// The arithmetic of a pass of queries: a round of queries, own ones or another rank's, against the keys that lie here, and the merge of
// partials that have come back.
import RingCore
import RingKernels
import RingTransport

/// 1 / ln 2: log-sum-exps are natural, a state's maxima binary.
private let binaryOfNatural = 1.4426950408889634

extension RingEngine where Wire: ~Copyable {
    /// Visible pairs of a round and own keys, summed over heads.
    func pairCount(of round: QueryRoute.Round, under mask: Mask) -> Int {
        visiblePairCount(of: ownPairs(of: round, under: mask), under: mask) * heads
    }

    /// The runs of a round with the own chunks of which they see some key; rows counted from the round's first.
    private func ownPairs(of round: QueryRoute.Round, under mask: Mask) -> [StepPair] {
        round.runs.flatMap { run in
            let queries = ShardBlocks.Run(
                chunk: run.chunk, firstBlock: 0, blockCount: 0, firstRow: run.firstRow - round.rows.lowerBound)
            return shard.runs.filter { !mask.span(of: $0.chunk.range, seenBy: run.chunk.range).isEmpty }.map {
                StepPair(queries: queries, keys: $0.chunk.range, firstBlock: $0.firstBlock)
            }
        }
    }

    /// Attends to a round of another rank and sends the partial back.
    mutating func attendGuest(
        _ guest: QueryRoute.Round, _ input: AttentionInput, _ pass: inout QueryPass, _ progress: (PassProgress) -> Void
    ) throws(EngineError) {
        let (slot, count, state) = (pass.guestSlot, guest.rows.count, pass.buffers.state)
        for head in 0..<heads { state.slice(head: head, rows: 0..<count).reset() }
        let theirs = AttentionInput(queries: pass.buffers.queries(slot, count), state: state, mask: input.mask)
        try attend(guest, theirs, &pass, progress)
        let start = MonotonicClock.now()
        let partial = pass.buffers.guest(slot, count)
        let valueDim = layout.valueDim
        // What is not finite goes on as it is: the owner of the queries finds it when it merges, and names it.
        forEachHead(floats: count * heads * valueDim) { head in
            let mine = AttentionPartial(
                out: partial.out.columns(head * valueDim..<(head + 1) * valueDim), logSumExp: partial.lse.rows(head..<head + 1))
            _ = state.slice(head: head, rows: 0..<count).finish(into: mine)
        }
        pass.answer(guest)
        addComputed(seconds: MonotonicClock.now().seconds(since: start), step: pass.route.step(of: guest.owner), &pass)
    }

    private func addComputed(seconds: Double, step: Int, _ pass: inout QueryPass) {
        pass.report.steps[step].computeSeconds += seconds
        pass.computed += seconds
    }

    /// Merges the partials of an own round, in order of rank, into the state of its rows. The state is normalised for it and stays so:
    /// accumulator out, maximum the log-sum-exp in base 2, sum one.
    mutating func merge(_ own: QueryRoute.Own, into state: HeadStates, _ pass: inout QueryPass) {
        let start = MonotonicClock.now()
        let (rows, slot, buffers, valueDim) = (own.round.rows, pass.mergeSlot, pass.buffers, layout.valueDim)
        let broken = FirstBroken()
        if !own.peers.isEmpty {
            forEachHead(floats: rows.count * heads * valueDim * own.peers.count) { head in
                let mine = state.slice(head: head, rows: rows)
                let total = AttentionPartial(out: mine.accumulator, logSumExp: mine.rowMax)
                if let row = mine.finish(into: total) { broken.note(row: rows.lowerBound + row, head: head, peer: own.round.owner) }
                for (place, peer) in own.peers.enumerated() {
                    let theirs = buffers.own(slot, place, rows.count)
                    let partial = AttentionPartial(
                        out: theirs.out.columns(head * valueDim..<(head + 1) * valueDim), logSumExp: theirs.lse.rows(head..<head + 1))
                    if let row = total.merge(partial) { broken.note(row: rows.lowerBound + row, head: head, peer: peer) }
                }
                for row in 0..<rows.count {
                    let lse = mine.rowMax[0, row]
                    mine.rowSum[0, row] = lse == -.infinity ? 0 : 1
                    mine.rowMax[0, row] = Float(Double(lse) * binaryOfNatural)
                }
            }
        }
        if pass.broken == nil { pass.broken = broken.first }
        pass.noteMerged()
        addComputed(seconds: MonotonicClock.now().seconds(since: start), step: 0, &pass)
    }

    /// Runs `body` for every head, on all threads where there is enough to do.
    private func forEachHead(floats: Int, _ body: @escaping @Sendable (Int) -> Void) {
        if floats <= EngineLimits.mergeAloneFloats {
            for head in 0..<heads { body(head) }
        } else {
            pool.forEach(heads) { head, _ in body(head) }
        }
    }

    /// Attends `input`, the queries of `round`, to the keys that lie here. The engine thread looks at the transport, and at the clock,
    /// after each of its tasks.
    mutating func attend(
        _ round: QueryRoute.Round, _ input: AttentionInput, _ pass: inout QueryPass, _ progress: (PassProgress) -> Void
    ) throws(EngineError) {
        let step = pass.route.step(of: round.owner)
        pass.report.steps[step].exposedSeconds += pass.waited
        pass.exposed += pass.waited
        pass.waited = 0
        let pairs = ownPairs(of: round, under: input.mask)
        let visible = visiblePairCount(of: pairs, under: input.mask) * heads
        guard visible > 0 else { return }
        let start = MonotonicClock.now()
        let work = StepWork(
            input: input, blocks: store.prompt(layer: pass.layer), pairs: pairs, tiles: tiles(of: pairs), heads: heads, scale: scale,
            kernels: kernels, scratch: scratch, fault: fault?.action(layer: pass.layer, kvOwner: rank))
        let (steps, done, all, computed, exposed) = (plan.world.count, pass.pairsDone, pass.pairsInAll, pass.computed, pass.exposed)
        try perform(work, layer: pass.layer, step: step, &pass) { pairs in
            progress(
                PassProgress(
                    step: step, steps: steps, fraction: Double(done + pairs) / Double(max(all, 1)),
                    computeSeconds: computed + MonotonicClock.now().seconds(since: start), exposedSeconds: exposed))
        } poll: { (engine, pass) throws(EngineError) in
            _ = try engine.pollTraffic(&pass)
        }
        pass.pairsDone += visible
        pass.report.steps[step].pairs += visible
        addComputed(seconds: pass.watch.note(.compute, step: step, from: start).seconds(since: start), step: step, &pass)
    }
}
