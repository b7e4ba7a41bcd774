// `ringmaster bench decode`: one token over keys and values that lie sharded over the ranks of a ring, against a plain read
// of the same memory by the same threads, and what one layer's exchange between the ranks costs, against a small message
// there and back. What the ranks do is in DecodeBenchmark+Ranks.
import RingCore
import RingKernels
import RingTransport

/// Measures decoding on this machine: as many ranks as workers, in one process.
public struct DecodeBenchmark: Hashable, Sendable {
    /// Tokens of the context, dealt to the workers.
    public var tokens: Int
    /// Query heads and key-value heads; the first must be a multiple of the second.
    public var heads: Int, kvHeads: Int
    /// Dimensions of keys and of values.
    public var headDim: Int
    /// Storage of keys and values.
    public var element: ElementType
    /// Ranks, and compute threads of each.
    public var workers: Int, threads: Int
    /// Layers, each with keys and values of its own.
    public var layers: Int
    /// Times to measure; the median counts.
    public var repeats: Int
    /// What the ranks' messages travel by. It also says of what kind of memory the keys and values are.
    public var lane = LaneKind.tcp

    /// Reading.
    public struct Streaming: Hashable, Sendable {
        /// Attention of one token in all layers, from its first query to its last result, the exchange included.
        public let tokenSeconds: Double
        /// Bytes of keys and values that a token reads, and that the plain loop reads.
        public let byteCount: Int
        /// The plain loop's bytes a second: of the worker that took longest.
        public let readBytesPerSecond: Double
        /// The token's bytes a second as a share of the plain loop's just before it; the median over the repeats, of which
        /// `tokenSeconds` and `readBytesPerSecond` are.
        public let readFraction: Double

        /// Bytes of keys and values a second.
        public var bytesPerSecond: Double { Double(byteCount) / tokenSeconds }
    }

    /// One layer's exchange, where each rank has next to nothing to attend to.
    public struct Exchange: Hashable, Sendable {
        /// From the leader's query to the merged result: attention over 64 keys a rank included.
        public let mergeSeconds: Double
        /// A message of 96 bytes to one rank and back, with the same waits.
        public let roundTripSeconds: Double
        /// Merge over round trip; the median over pairs measured one after the other, as are the two above each by itself.
        public let roundTrips: Double

        /// What the merge takes beyond two round trips; negative when it takes less.
        public var secondsBeyondTwoRoundTrips: Double { mergeSeconds - 2 * roundTripSeconds }
    }

    /// What was measured.
    public struct Result: Hashable, Sendable {
        /// Reading keys and values.
        public let streaming: Streaming
        /// The exchange; nil for one worker, which has nobody to ask.
        public let exchange: Exchange?
    }

    /// A benchmark with the shape of a model's attention.
    public init(
        tokens: Int, heads: Int, kvHeads: Int, headDim: Int, element: ElementType, workers: Int, threads: Int = 1, layers: Int = 1,
        repeats: Int = 11
    ) {
        (self.tokens, self.heads, self.kvHeads, self.headDim) = (tokens, heads, kvHeads, headDim)
        (self.element, self.workers, self.threads, self.layers, self.repeats) = (element, workers, threads, layers, repeats)
    }

    /// Bytes of keys and values that the benchmark keeps, over all workers. Throws where the shape cannot be.
    public func byteCount() throws(EngineError) -> Int {
        let shape = try streamingShape()
        return shape.plan.world.ranks.reduce(0) { sum, rank in
            sum + KVStore.byteCount(layout: shape.layout, layers: layers, shard: ShardBlocks(of: rank, under: shape.plan), growthBlocks: 0)
        }
    }

    /// Runs it. Throws what the ranks throw.
    public func run(_ kernels: Kernels) throws(EngineError) -> Result {
        let streaming = try stream(kernels)
        return Result(streaming: streaming, exchange: workers > 1 ? try exchange(kernels) : nil)
    }

    private func stream(_ kernels: Kernels) throws(EngineError) -> Streaming {
        let shape = try streamingShape()
        let times = BenchmarkTimes()
        let (threads, rounds) = (threads, repeats + 1)
        try LoopbackRanks.run(shape.plan.world, over: lane) { (rank, wire) throws(EngineError) in
            try BenchmarkRank.stream(shape, wire: wire, threads: threads, rounds: rounds, kernels: kernels, times: times)
        }
        let bytes = try byteCount()
        // The first round touched memory and woke threads.
        let pairs = (1..<rounds).map { round in (token: times.longest(.token, round: round), read: times.longest(.read, round: round)) }
        let median = pairs.sorted { $0.read / $0.token < $1.read / $1.token }[pairs.count / 2]
        return Streaming(
            tokenSeconds: median.token, byteCount: bytes, readBytesPerSecond: Double(bytes) / median.read,
            readFraction: median.read / median.token)
    }

    private func exchange(_ kernels: Kernels) throws(EngineError) -> Exchange {
        let shape = try exchangeShape()
        let times = BenchmarkTimes()
        try LoopbackRanks.run(shape.plan.world, over: lane) { (rank, wire) throws(EngineError) in
            try BenchmarkRank.exchange(shape, wire: wire, rounds: Self.exchangeRounds, kernels: kernels, times: times)
        }
        let rounds = 1..<Self.exchangeRounds
        let merges = rounds.map { times.median(.merge, round: $0) }
        let trips = rounds.map { times.median(.roundTrip, round: $0) }
        return Exchange(
            mergeSeconds: Self.median(merges), roundTripSeconds: Self.median(trips),
            roundTrips: Self.median(zip(merges, trips).map { $0 / $1 }))
    }

    /// Rounds of the exchange; each measures layers and round trips in turn.
    private static let exchangeRounds = 16

    static func median(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.sorted()[values.count / 2] }

    private func streamingShape() throws(EngineError) -> EngineShape { try shape(tokens: tokens, layers: layers, decoded: repeats + 1) }

    private func exchangeShape() throws(EngineError) -> EngineShape {
        try shape(
            tokens: KVLayout.blockTokens * workers, layers: BenchmarkRank.exchangeLayers,
            decoded: Self.exchangeRounds * BenchmarkRank.exchangeTokens)
    }

    private func shape(tokens: Int, layers: Int, decoded: Int) throws(EngineError) -> EngineShape {
        for (what, value) in [
            ("tokens", tokens), ("heads", heads), ("kv_heads", kvHeads), ("workers", workers), ("threads", threads), ("layers", layers),
            ("repeats", repeats),
        ] where value < 1 { throw .memory(.invalidCount(what: what, value: value)) }
        guard heads % kvHeads == 0 else { throw .memory(.invalidCount(what: "kv_heads", value: kvHeads)) }
        guard workers <= Limits.ranks else { throw .memory(.invalidCount(what: "workers", value: workers)) }
        guard let plan = try? ShardPlan(.contiguous, tokens: tokens, over: WorldSize(workers)) else {
            throw .memory(.invalidCount(what: "tokens", value: tokens))
        }
        do throws(KernelError) {
            let layout = try KVLayout(kvHeads: kvHeads, headDim: headDim, valueDim: headDim, element: element)
            return EngineShape(plan: plan, layout: layout, heads: heads, layers: layers, decodeTokensMax: decoded)
        } catch { throw .memory(error) }
    }
}
