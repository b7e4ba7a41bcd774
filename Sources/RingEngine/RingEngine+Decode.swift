// Attention of one new token over KV that stays where it lies: the leader (rank 0) sends the query to every rank, each
// answers with its partial, one exchange a layer. The new token's key and value go to one rank, block by block round the
// ring, so that growth stays even.
import RingCore
import RingKernels
import RingTransport

/// A run of keys that one decode task attends to.
struct DecodeSegment: Hashable, Sendable {
    let growth: Bool
    let firstBlock: Int
    let keyCount: Int
}

extension RingEngine where Wire: ~Copyable {
    /// The rank that leads decoding.
    public static var leader: Rank { Rank(0) }

    /// Leader only: attention of the next token in `layer`. `queries` [1, heads * headDim], `keys` [1, kvHeads * headDim] and
    /// `values` [1, kvHeads * valueDim] after rotation; `out` [1, heads * valueDim]. Call for every layer in order, then
    /// `finishToken`.
    public mutating func attendToken(
        layer: Int, queries: FloatRows, keys: FloatRows, values: FloatRows, out: FloatRows
    ) throws(EngineError) {
        precondition(rank == Self.leader, "\(rank) does not lead decoding")
        let message = decode.queries.floats(0)
        message.columns(0..<decode.queryFloats).copy(from: queries)
        message.columns(decode.queryFloats..<decode.queryFloats + decode.keyFloats).copy(from: keys)
        message.columns(decode.queryFloats + decode.keyFloats..<decode.queries.floatCount).copy(from: values)
        try announce(.attend, layer: layer, tag: MessageTag(.queries, layer: layer, step: decode.tokens, piece: 0))
        for peer in decode.others {
            try post(
                layer: layer, receive: decode.partials.block(peer.index), peer,
                MessageTag(.partials, layer: layer, step: decode.tokens, piece: 0))
        }
        let start = MonotonicClock.now()
        try attendLocally(layer: layer, message: message, slot: rank.index)
        let attended = MonotonicClock.now()
        try awaitCompletions(2 * decode.others.count, layer: layer)
        decode.seconds.compute += attended.seconds(since: start)
        decode.seconds.exposed += MonotonicClock.now().seconds(since: attended)
        // Always in rank order, so that the bits do not depend on who answered first.
        let total = decode.partials.floats(rank.index)
        for peer in decode.others {
            let other = decode.partials.floats(peer.index)
            if let head = partial(total).merge(partial(other)) {
                throw .nonFinite(layer: layer, rank: peer, step: decode.tokens, position: plan.tokens + decode.tokens, head: head)
            }
        }
        out.copy(from: total.columns(0..<heads * layout.valueDim))
    }

    /// Leader only: the token's last layer is done.
    public mutating func finishToken() { decode.tokens += 1 }

    /// Leader only: sends the others home.
    public mutating func finishDecoding() throws(EngineError) {
        precondition(rank == Self.leader, "\(rank) does not lead decoding")
        try announce(.finish, layer: 0, tag: MessageTag(.queries, layer: 0, step: decode.tokens, piece: 0))
        try awaitCompletions(decode.others.count, layer: 0, peersMayLeave: true)
    }

    /// Every other rank: answers until the leader is done; returns the tokens decoded.
    public mutating func followDecoding(progress: (Int) -> Void = { _ in }) throws(EngineError) -> Int {
        precondition(rank != Self.leader, "\(rank) leads decoding")
        // The next order's place is made as soon as a partial is on its way, so that the order, which may follow at once, finds
        // it; the partial's own completion is waited for together with that order.
        try awaitOrder(layer: 0)
        var completions = 1
        while true {
            for layer in 0..<store.layers {
                try awaitCompletions(completions, layer: layer)
                switch DecodeOrder(rawValue: decode.queries.header(0, DecodeHeader.order)) {
                case .finish: return decode.tokens
                case .attend: break
                case nil: throw .protocolViolation("order \(decode.queries.header(0, DecodeHeader.order)) is unknown")
                }
                let claimed = (decode.queries.header(0, DecodeHeader.layer), decode.queries.header(0, DecodeHeader.step))
                guard claimed == (layer, decode.tokens) else {
                    throw .protocolViolation("layer \(claimed.0) step \(claimed.1) came instead of layer \(layer) step \(decode.tokens)")
                }
                let start = MonotonicClock.now()
                try attendLocally(layer: layer, message: decode.queries.floats(0), slot: rank.index)
                decode.seconds.compute += MonotonicClock.now().seconds(since: start)
                let tag = MessageTag(.partials, layer: layer, step: decode.tokens, piece: 0)
                try post(layer: layer, send: decode.partials.block(rank.index), Self.leader, tag)
                let isLast = layer == store.layers - 1
                if isLast { decode.tokens += 1 }
                try awaitOrder(layer: isLast ? 0 : layer + 1)
                completions = 2
            }
            progress(decode.tokens)
        }
    }

    /// Posts the receive of the leader's order for `layer` of the token that is next.
    private mutating func awaitOrder(layer: Int) throws(EngineError) {
        let tag = MessageTag(.queries, layer: layer, step: decode.tokens, piece: 0)
        try post(layer: layer, receive: decode.queries.block(0), Self.leader, tag)
    }

    /// Seconds that decoding took on this rank.
    public var decodeSeconds: DecodeSeconds { decode.seconds }

    private mutating func announce(_ order: DecodeOrder, layer: Int, tag: MessageTag) throws(EngineError) {
        decode.queries.setHeader(0, DecodeHeader.order, to: order.rawValue)
        decode.queries.setHeader(0, DecodeHeader.layer, to: layer)
        decode.queries.setHeader(0, DecodeHeader.step, to: decode.tokens)
        for peer in decode.others { try post(layer: layer, send: decode.queries.block(0), peer, tag) }
    }

    /// Appends the new key and value if this rank keeps them, attends, and leaves the partial in `slot`.
    private mutating func attendLocally(layer: Int, message: FloatRows, slot: Int) throws(EngineError) {
        let growth = store.growth(layer: layer)
        let block = decode.tokens / KVLayout.blockTokens
        if block % plan.world.count == rank.index {
            let row = block / plan.world.count * KVLayout.blockTokens + decode.tokens % KVLayout.blockTokens
            let keys = message.columns(decode.queryFloats..<decode.queryFloats + decode.keyFloats)
            let values = message.columns(decode.queryFloats + decode.keyFloats..<decode.queries.floatCount)
            if growth.pack(keys: keys, values: values, at: row) != nil {
                throw .nonFinite(layer: layer, rank: rank, step: decode.tokens, position: plan.tokens + decode.tokens, head: 0)
            }
        }
        decode.list(shard, grown: grownTokens(decode.tokens + 1))
        try decode.makeStates(max(decode.segments.count, 1), heads: heads, valueDim: layout.valueDim)
        let queries = message.columns(0..<decode.queryFloats).split(into: heads)
        let work = DecodeWork(
            segments: decode.segments, states: decode.states, queries: queries, prompt: store.prompt(layer: layer), growth: growth,
            heads: heads, scale: scale, kernels: kernels, scratch: scratch)
        if work.keyCount * layout.tokenByteCount <= EngineLimits.decodeAloneBytes {
            for task in 0..<work.taskCount { work.run(task: task, thread: 0) }
        } else {
            pool.forEach(work.taskCount) { task, thread in work.run(task: task, thread: thread) }
        }
        if let head = work.collect(into: partial(decode.partials.floats(slot)), through: decode.merging) {
            throw .nonFinite(layer: layer, rank: rank, step: decode.tokens, position: plan.tokens + decode.tokens, head: head)
        }
    }

    /// A partial message's floats as out [heads, valueDim] and its log-sum-exp [1, heads].
    private func partial(_ message: FloatRows) -> AttentionPartial {
        let width = heads * layout.valueDim
        return AttentionPartial(out: message.columns(0..<width).split(into: heads), logSumExp: message.columns(width..<width + heads))
    }

    /// Of the first `count` decoded tokens, how many this rank keeps. They fill its growth blocks without a gap.
    func grownTokens(_ count: Int) -> Int {
        let (block, world) = (KVLayout.blockTokens, plan.world.count)
        let rounds = count / (block * world)
        return rounds * block + min(max(count - rounds * block * world - rank.index * block, 0), block)
    }
}

/// What the tasks of one token's local attention share.
struct DecodeWork: Sendable {
    let segments: [DecodeSegment]
    let states: [AttentionState]
    let queries: FloatRows
    let prompt: KVBlocks
    let growth: KVBlocks
    let heads: Int
    let scale: Float
    let kernels: Kernels
    let scratch: [AttentionScratch]

    var taskCount: Int { segments.count * prompt.layout.kvHeads }
    var keyCount: Int { segments.reduce(0) { $0 + $1.keyCount } }

    /// The query heads that share a KV head are the rows of one call: each block is read once for all of them.
    func run(task: Int, thread: Int) {
        let kvHeads = prompt.layout.kvHeads
        let (segment, kvHead) = (segments[task / kvHeads], task % kvHeads)
        let group = heads / kvHeads
        let rows = kvHead * group..<(kvHead + 1) * group
        let source = segment.growth ? growth : prompt
        let keys = source.run(firstBlock: segment.firstBlock, tokens: segment.keyCount, at: 0)
        let state = states[task / kvHeads].rows(rows)
        state.reset()
        kernels.decode(queries: queries.rows(rows), keys: keys, kvHead: kvHead, scale: scale, into: state, scratch: scratch[thread])
    }

    /// Merges the segments in order into `total`, each through `partial`; returns a head that is not finite.
    func collect(into total: AttentionPartial, through partial: AttentionPartial) -> Int? {
        if segments.isEmpty { states[0].reset() }
        if let bad = states[0].finish(into: total) { return bad }
        for state in states[..<segments.count].dropFirst() {
            if let bad = state.finish(into: partial) { return bad }
            if let bad = total.merge(partial) { return bad }
        }
        return nil
    }
}
