// The attention of one ring step: own queries against the shard that is here, cut into tasks of one head and a few rows.
import RingCore
import RingKernels
import RingTransport

/// One query chunk against a run of an owner's keys, of which it sees some.
struct StepPair: Hashable, Sendable {
    let queries: ShardBlocks.Run
    let keys: Range<Int>
    /// Where the keys' blocks begin among those of the step.
    let firstBlock: Int
}

/// The attention of one query tile over one run of keys.
struct TileAttention: Sendable {
    let queries: FloatRows
    let position: Int
    let keys: KVBlocks
    let kvHead: Int
    /// `nil` where the tile sees every key.
    let mask: Mask?
    let scale: Float

    func perform(into state: AttentionState, kernels: Kernels, scratch: AttentionScratch) {
        if mask == nil, queries.rows <= KernelLimits.decodeRows, !kernels.rowsStandAlone {
            // Few rows are bound by the reading of the keys, whether they are heads of one token or tokens of one head.
            return kernels.decode(queries: queries, keys: keys, kvHead: kvHead, scale: scale, into: state, scratch: scratch)
        }
        guard let mask, !mask.isPlainCausal else {
            return kernels.attend(
                queries: queries, firstPosition: position, keys: keys, kvHead: kvHead, causal: mask != nil, scale: scale, into: state,
                scratch: scratch)
        }
        let (start, end) = (keys.firstPosition, keys.firstPosition + keys.tokens)
        func visible(_ run: Range<Int>) -> Range<Int> {
            let seen = run.clamped(to: start..<end)
            return seen.lowerBound - start..<seen.upperBound - start
        }
        kernels.attend(queries: queries, keys: keys, kvHead: kvHead, scale: scale, into: state, scratch: scratch) { row in
            visible(mask.runs(of: position + row).main)
        }
        // No end of a run falls from row to row, so the last row's sinks reach as far as any.
        guard mask.hasSinks, mask.runs(of: position + queries.rows - 1).sinks.upperBound > start else { return }
        kernels.attend(queries: queries, keys: keys, kvHead: kvHead, scale: scale, into: state, scratch: scratch) { row in
            visible(mask.runs(of: position + row).sinks)
        }
    }
}

/// Own rows of one query chunk, at most as many as a task takes, and what of the step they may see.
struct StepTile: Hashable, Sendable {
    let rows: Range<Int>
    let position: Int
    /// Among the step's pairs.
    let pairs: Range<Int>

    var positions: Range<Int> { position..<position + rows.count }
}

/// What every task of a step reads; plain values and views, so that tasks share it without locks.
struct StepWork: Sendable {
    let input: AttentionInput
    let blocks: KVBlocks
    let pairs: [StepPair]
    let tiles: [StepTile]
    let heads: Int
    let scale: Float
    var kernels: Kernels
    let scratch: [AttentionScratch]
    let fault: RingFault.Action?
    /// Where a deterministic job is summed up; `nil` for others, which go on in `input.state`.
    var deposit: TileDeposit?

    var taskCount: Int { tiles.count * heads }

    /// Visible pairs of a task: what it costs. Under a causal mask the first tasks cost many times the last ones.
    func work(ofTask task: Int) -> Int {
        let tile = tiles[tiles.count - 1 - task / heads]
        return pairs[tile.pairs].reduce(0) { $0 + input.mask.pairs(queries: tile.positions, keys: $1.keys) }
    }

    /// Task t: tiles from last to first, since under a causal mask the last ones are the dearest, and all heads of a tile
    /// after each other, so that heads which share a KV head find its blocks in cache.
    func run(task: Int, thread: Int) {
        let tile = tiles[tiles.count - 1 - task / heads]
        let head = task % heads
        for pair in pairs[tile.pairs] {
            if let deposit {
                self.deposit(pair, tile, head: head, thread: thread, into: deposit)
            } else if let attention = attention(pair.keys, at: pair.firstBlock, of: tile, head: head) {
                perform(attention, into: input.state.slice(head: head, rows: tile.rows), thread: thread)
            }
        }
    }

    /// The attention of a tile's rows over a run of keys whose blocks begin at `firstBlock`; `nil` if they see none of them: some query of
    /// the chunk sees some of the keys, but these may see nothing or everything.
    func attention(_ keys: Range<Int>, at firstBlock: Int, of tile: StepTile, head: Int) -> TileAttention? {
        let seen = input.mask.visibility(of: keys, to: tile.positions)
        if seen == .none { return nil }
        return TileAttention(
            queries: input.queries.rows(tile.rows).columns(head * blocks.layout.headDim..<(head + 1) * blocks.layout.headDim),
            position: tile.position, keys: blocks.run(firstBlock: firstBlock, tokens: keys.count, at: keys.lowerBound),
            kvHead: head / (heads / blocks.layout.kvHeads), mask: seen == .all ? nil : input.mask, scale: scale)
    }

    /// Computes it, or does to it what a test asks for.
    func perform(_ attention: TileAttention, into state: AttentionState, thread: Int) {
        if let fault {
            fault.perform(attention, into: state, kernels: kernels, scratch: scratch[thread])
        } else {
            attention.perform(into: state, kernels: kernels, scratch: scratch[thread])
        }
    }
}

extension RingEngine where Wire: ~Copyable {
    /// Attends to the shard of `step` from `start` on and returns the visible pairs, summed over heads. The engine thread looks
    /// at the transport, and at the clock, after each of its tasks.
    mutating func compute(
        _ step: Int, since start: Moment, _ input: AttentionInput, _ run: inout PassRun, _ progress: (PassProgress) -> Void
    ) throws(EngineError) -> Int {
        let owner = run.pass.route.steps[step].kvOwner
        let pairs = run.pairs[step]
        let visible = visiblePairCount(of: pairs, under: input.mask) * heads
        guard visible > 0 else { return 0 }
        let blocks = step == 0 ? store.prompt(layer: run.layer) : received(step, run)
        var work = StepWork(
            input: input, blocks: blocks, pairs: pairs, tiles: tiles(of: pairs), heads: heads, scale: scale, kernels: kernels,
            scratch: scratch, fault: fault?.action(layer: run.layer, kvOwner: owner))
        if let grain = plan.grain, let bins = input.bins {
            work.kernels.rowsStandAlone = true
            work.deposit = TileDeposit(grain: grain, bins: bins, states: tileStates)
        }
        let (steps, done, all, computed, exposed) = (plan.world.count, run.pairsDone, run.pairsInAll, run.computed, run.exposed)
        try perform(work, layer: run.layer, step: step, &run) { pairs in
            progress(
                PassProgress(
                    step: step, steps: steps, fraction: Double(done + pairs) / Double(all),
                    computeSeconds: computed + MonotonicClock.now().seconds(since: start), exposedSeconds: exposed))
        } poll: { (engine, run) throws(EngineError) in
            _ = try engine.pollTraffic(&run)
        }
        return visible
    }

    /// Performs `work` on all threads. After each of its own tasks the engine thread tells the pairs of the tasks that were taken, and looks
    /// at the transport by `poll`, for the pass that it is part of.
    mutating func perform<Pass>(
        _ work: StepWork, layer: Int, step: Int, _ pass: inout Pass, told: (Int) -> Void,
        poll: (inout RingEngine, inout Pass) throws(EngineError) -> Void
    ) throws(EngineError) {
        let timed = TraceRecorder.timing(trace, layer: layer, step: step, rank: rank) { task, thread in
            work.run(task: task, thread: thread)
        }
        pool.start(work.taskCount, timed)
        var failure: EngineError?
        var (counted, pairs) = (0, 0)
        while pool.step() {
            while counted < min(pool.taken, work.taskCount) {
                pairs += work.work(ofTask: counted)
                counted += 1
            }
            told(pairs)
            // A failure must not leave helpers working on memory that is about to go: note it, stop taking tasks, join.
            do throws(EngineError) { try poll(&self, &pass) } catch {
                failure = error
                pool.abandon()
            }
        }
        pool.finish()
        if let failure { throw failure }
    }

    /// The chunks of own queries with what they see of a step's keys, in order of query chunk.
    func visiblePairs(at step: RingRoute.Step, _ input: AttentionInput) -> [StepPair] {
        var pairs: [StepPair] = []
        for queries in queryRuns(of: input) {
            for run in step.needed where !input.mask.span(of: run.positions, seenBy: queries.chunk.range).isEmpty {
                // Own blocks stay in the store, chunk after chunk; what has come lies packed.
                let first = step.index == 0 ? shard.runs[run.chunk].firstBlock + run.blocks.lowerBound : step.firstBlock(of: run)
                pairs.append(StepPair(queries: queries, keys: run.positions, firstBlock: first))
            }
        }
        return pairs
    }

    /// The chunks of own queries: those that are active, or the runs of neighbours where only some tokens have queries.
    func queryRuns(of input: AttentionInput) -> [ShardBlocks.Run] {
        if let positions = input.positions {
            return QueryRun.runs(of: positions).map {
                ShardBlocks.Run(chunk: $0.chunk, firstBlock: 0, blockCount: 0, firstRow: $0.firstRow)
            }
        }
        return shard.runs.enumerated().filter { input.active?[rank.index][$0.offset] ?? true }.map(\.element)
    }

    /// Query and key pairs of these chunks, counted once for all heads.
    func visiblePairCount(of pairs: [StepPair], under mask: Mask) -> Int {
        pairs.reduce(0) { $0 + mask.pairs(queries: $1.queries.chunk.range, keys: $1.keys) }
    }

    /// Own rows of the query chunks that see anything, cut at task size.
    func tiles(of pairs: [StepPair]) -> [StepTile] {
        var (tiles, first): ([StepTile], Int) = ([], 0)
        while first < pairs.count {
            let run = pairs[first].queries
            let end = pairs[first...].firstIndex { $0.queries != run } ?? pairs.count
            for start in stride(from: 0, to: run.chunk.length, by: EngineLimits.taskRows) {
                let rows = run.firstRow + start..<run.firstRow + min(start + EngineLimits.taskRows, run.chunk.length)
                tiles.append(StepTile(rows: rows, position: run.chunk.start + start, pairs: first..<end))
            }
            first = end
        }
        return tiles
    }

    private func received(_ step: Int, _ run: PassRun) -> KVBlocks {
        guard let buffer = run.pass.buffer(ofStep: step) else { preconditionFailure("nothing arrives for step \(step)") }
        let bytes = run.pass.route.steps[step].blocksReceived * layout.blockByteCount
        return KVBlocks(layout: layout, region: receiveBuffers[buffer].bytes[0..<bytes], tokens: 0, firstPosition: 0)
    }
}
