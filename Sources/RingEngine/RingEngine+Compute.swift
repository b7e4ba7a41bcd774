// The attention of one ring step: own queries against the shard that is here, cut into tasks of one head and a few rows.
import RingCore
import RingKernels
import RingTransport

/// One query chunk against one key chunk of a step.
struct StepPair: Hashable, Sendable {
    let queries: ShardBlocks.Run
    let keys: ShardBlocks.Run
    let visibility: Visibility
}

/// The attention of one query tile over one run of keys.
struct TileAttention: Sendable {
    let queries: FloatRows
    let position: Int
    let keys: KVBlocks
    let kvHead: Int
    let causal: Bool
    let scale: Float

    func perform(into state: AttentionState, kernels: Kernels, scratch: AttentionScratch) {
        kernels.attend(
            queries: queries, firstPosition: position, keys: keys, kvHead: kvHead, causal: causal, scale: scale, into: state,
            scratch: scratch)
    }
}

/// What every task of a step reads; plain values and views, so that tasks share it without locks.
struct StepWork: Sendable {
    let input: AttentionInput
    let blocks: KVBlocks
    let pairs: [StepPair]
    let rows: [Range<Int>]
    let heads: Int
    let scale: Float
    let kernels: Kernels
    let scratch: [AttentionScratch]
    let fault: RingFault.Action?

    var taskCount: Int { rows.count * heads }

    /// Visible pairs of a task: what it costs. Under a causal mask the first tasks cost many times the last ones.
    func work(ofTask task: Int) -> Int {
        let own = rows[rows.count - 1 - task / heads]
        var work = 0
        for pair in pairs
        where pair.queries.firstRow <= own.lowerBound && own.lowerBound < pair.queries.firstRow + pair.queries.chunk.length {
            let first = pair.queries.chunk.start + own.lowerBound - pair.queries.firstRow
            let keys = pair.keys.chunk
            if pair.visibility == .all {
                work += own.count * keys.length
            } else {
                for position in first..<first + own.count { work += min(max(position + 1 - keys.start, 0), keys.length) }
            }
        }
        return work
    }

    /// Task t: tiles from last to first, since under a causal mask the last ones are the dearest, and all heads of a tile
    /// after each other, so that heads which share a KV head find its blocks in cache.
    func run(task: Int, thread: Int) {
        let tile = rows.count - 1 - task / heads
        let head = task % heads
        let own = rows[tile]
        for pair in pairs
        where pair.queries.firstRow <= own.lowerBound && own.lowerBound < pair.queries.firstRow + pair.queries.chunk.length {
            let position = pair.queries.chunk.start + own.lowerBound - pair.queries.firstRow
            let keys = pair.keys.chunk
            // The chunk-wide verdict may be `causal` where this tile sees nothing or everything.
            let seen = pair.visibility == .causal ? Visibility(of: keys.range, to: position..<position + own.count) : pair.visibility
            if seen == .none { continue }
            let attention = TileAttention(
                queries: input.queries.rows(own).columns(head * blocks.layout.headDim..<(head + 1) * blocks.layout.headDim),
                position: position, keys: blocks.run(firstBlock: pair.keys.firstBlock, tokens: keys.length, at: keys.start),
                kvHead: head / (heads / blocks.layout.kvHeads), causal: seen == .causal, scale: scale)
            let state = input.state.slice(head: head, rows: own)
            if let fault {
                fault.perform(attention, into: state, kernels: kernels, scratch: scratch[thread])
            } else {
                attention.perform(into: state, kernels: kernels, scratch: scratch[thread])
            }
        }
    }
}

extension RingEngine where Wire: ~Copyable {
    /// Attends to the shard of `step` from `start` on and returns the visible pairs, summed over heads. The engine thread looks
    /// at the transport, and at the clock, after each of its tasks.
    mutating func compute(
        _ step: Int, since start: Moment, _ input: AttentionInput, _ run: inout PassRun, _ progress: (PassProgress) -> Void
    ) throws(EngineError) -> Int {
        let owner = run.pass.schedule[step].kvOwner
        let pairs = visiblePairs(with: owner, input)
        let visible = visiblePairCount(of: pairs) * heads
        guard visible > 0 else { return 0 }
        let blocks = step == 0 ? store.prompt(layer: run.layer) : received(step: step, owner: owner)
        let work = StepWork(
            input: input, blocks: blocks, pairs: pairs, rows: tiles(of: pairs), heads: heads, scale: scale, kernels: kernels,
            scratch: scratch, fault: fault?.action(layer: run.layer, kvOwner: owner))
        let timed = TraceRecorder.timing(trace, layer: run.layer, step: step, rank: rank) { task, thread in
            work.run(task: task, thread: thread)
        }
        pool.start(work.taskCount, timed)
        var failure: EngineError?
        var (counted, done) = (0, run.pairsDone)
        while pool.step() {
            while counted < min(pool.taken, work.taskCount) {
                done += work.work(ofTask: counted)
                counted += 1
            }
            progress(
                PassProgress(
                    step: step, steps: plan.world.count, fraction: Double(done) / Double(run.pairsInAll),
                    computeSeconds: run.computed + MonotonicClock.now().seconds(since: start), exposedSeconds: run.exposed))
            // A failure must not leave helpers working on memory that is about to go: note it, stop taking tasks, join.
            do throws(EngineError) { _ = try pollTraffic(&run) } catch {
                failure = error
                pool.abandon()
            }
        }
        pool.finish()
        if let failure { throw failure }
        return visible
    }

    /// The chunks of own queries that see something of the owner's chunks of keys.
    func visiblePairs(with owner: Rank, _ input: AttentionInput) -> [StepPair] {
        var pairs: [StepPair] = []
        for queries in queryRuns(of: input) {
            for keys in shards[owner.index].runs {
                let visibility = input.causal ? Visibility(of: keys.chunk.range, to: queries.chunk.range) : .all
                if visibility != .none { pairs.append(StepPair(queries: queries, keys: keys, visibility: visibility)) }
            }
        }
        return pairs
    }

    /// The chunks of own queries: those that are active, or one of one token for each query of a sample.
    func queryRuns(of input: AttentionInput) -> [ShardBlocks.Run] {
        if let positions = input.positions {
            return positions.enumerated().map { row, position in
                ShardBlocks.Run(chunk: Chunk(start: position, length: 1), firstBlock: 0, blockCount: 0, firstRow: row)
            }
        }
        return shard.runs.enumerated().filter { input.active?[$0.offset] ?? true }.map(\.element)
    }

    /// Query and key pairs of these chunks, counted once for all heads.
    func visiblePairCount(of pairs: [StepPair]) -> Int {
        pairs.reduce(0) { sum, pair in
            let (queries, keys) = (pair.queries.chunk, pair.keys.chunk)
            return sum
                + (pair.visibility == .causal
                    ? Visibility.causalPairs(queries: queries.range, keys: keys.range) : queries.length * keys.length)
        }
    }

    /// Own rows of the query chunks that see anything, cut at task size.
    private func tiles(of pairs: [StepPair]) -> [Range<Int>] {
        // Pairs come query chunk by query chunk.
        pairs.indices.filter { $0 == 0 || pairs[$0].queries != pairs[$0 - 1].queries }.map { pairs[$0].queries }.flatMap { run in
            stride(from: 0, to: run.chunk.length, by: EngineLimits.taskRows).map { start in
                run.firstRow + start..<run.firstRow + min(start + EngineLimits.taskRows, run.chunk.length)
            }
        }
    }

    private func received(step: Int, owner: Rank) -> KVBlocks {
        let bytes = shards[owner.index].blockCount * layout.blockByteCount
        let region = receiveBuffers[RingPass.buffer(ofStep: step)][0..<bytes]
        return KVBlocks(layout: layout, region: region, tokens: 0, firstPosition: 0)
    }
}
