// `ringmaster bench attention`: the attention kernel against the peak measured in the same minute on the same threads.
import Synchronization

/// Measures one layer's attention on this machine: seeded queries, keys and values, no ring.
public struct AttentionBenchmark: Hashable, Sendable {
    /// Tokens, as many queries as keys.
    public var tokens: Int
    /// Query heads and key-value heads; the first must be a multiple of the second.
    public var heads: Int, kvHeads: Int
    /// Dimensions of keys and of values.
    public var headDim: Int, valueDim: Int
    /// Storage of keys and values.
    public var element: ElementType
    /// Whether a key after the query is invisible.
    public var causal: Bool
    /// Threads; heads and runs of query rows are shared out among them.
    public var threads: Int
    /// Times to measure; the median counts.
    public var repeats: Int

    /// What was measured: the repeat whose share of the peak is the median.
    public struct Result: Hashable, Sendable {
        /// Wall time of the attention: of the thread that had most.
        public let seconds: Double
        /// 2 x (headDim + valueDim) operations for each visible pair of query and key, / 1e9 / seconds.
        public let gflops: Double
        /// Register-only multiply-adds on all threads, measured in short bursts between the pieces of the attention, so
        /// that a change of clock or a busy neighbour strikes both: TDPBF16PS for bf16 and int8 under amx, VDPBF16PS for bf16
        /// under avx512bf16, else f32, which attention over f32 by tiles may exceed.
        public let peakGflops: Double
        /// gflops / peakGflops.
        public let peakFraction: Double
        /// The same of the best multiply-add in vector registers, bf16 pairs (VDPBF16PS) or f32, where `peakGflops` is that of
        /// tiles: what a CPU without them could reach. Nil elsewhere.
        public let vectorPeakGflops: Double?
        /// The kernels that ran.
        public let instructionSet: InstructionSet
        /// What storing int8 changed; nil for what is stored as it was.
        public var quantisation: Quantisation?
    }

    /// A benchmark with the shape of one layer.
    public init(
        tokens: Int, heads: Int, kvHeads: Int, headDim: Int, valueDim: Int? = nil, element: ElementType, causal: Bool, threads: Int = 1,
        repeats: Int = 5,
    ) {
        self.tokens = tokens
        self.heads = heads
        self.kvHeads = kvHeads
        self.headDim = headDim
        self.valueDim = valueDim ?? headDim
        self.element = element
        self.causal = causal
        self.threads = threads
        self.repeats = repeats
    }

    /// Visible pairs of query and key, over all heads.
    public var visiblePairs: Double {
        let tokens = Double(tokens)
        return Double(heads) * (causal ? tokens * (tokens + 1) / 2 : tokens * tokens)
    }

    /// Runs it.
    public func run(_ kernels: Kernels) throws(KernelError) -> Result {
        try check()
        let work = try BenchmarkWork(self)
        let bursts = try PeakBursts(kernels, element)
        let operations = visiblePairs * 2 * Double(headDim + valueDim)
        var results: [Result] = []
        for _ in 0..<repeats {
            work.reset()
            try runThreads(threads) { index in work.run(kernels, thread: index, bursts: bursts) }
            let seconds = work.clocks.map(\.attention).max() ?? 0
            let peak = work.clocks.reduce(0) { $0 + $1.peak.rate }
            let vectors = work.clocks.reduce(0) { $0 + max($1.pairs.rate, $1.floats.rate) }
            let gflops = operations / seconds / 1e9
            results.append(
                Result(
                    seconds: seconds, gflops: gflops, peakGflops: peak / 1e9, peakFraction: gflops / (peak / 1e9),
                    vectorPeakGflops: bursts.vectors == nil ? nil : vectors / 1e9, instructionSet: kernels.instructionSet))
        }
        results.sort { $0.peakFraction < $1.peakFraction }
        results[results.count / 2].quantisation = try work.quantisation()
        return results[results.count / 2]
    }

    private func check() throws(KernelError) {
        for (what, value) in [
            ("tokens", tokens), ("heads", heads), ("kv_heads", kvHeads), ("threads", threads), ("repeats", repeats),
        ] where value < 1 { throw .invalidCount(what: what, value: value) }
        guard heads % kvHeads == 0 else { throw .invalidCount(what: "kv_heads", value: kvHeads) }
    }
}

/// The tensors of a benchmark and the hand that deals them out: one piece is a run of query rows of one head.
final class BenchmarkWork: Sendable {
    private static let pieceRows = 384  // four query tiles
    let shape: AttentionBenchmark
    let queries: [FloatRows], states: [AttentionState]
    let keys: KVBlocks
    private let scratch: [AttentionScratch]
    private let next = Atomic<Int>(0)
    private let measured = Mutex<[ThreadClock]>([])

    init(_ shape: AttentionBenchmark) throws(KernelError) {
        self.shape = shape
        let kernels = try Kernels(.scalar)
        let layout = try KVLayout(kvHeads: shape.kvHeads, headDim: shape.headDim, valueDim: shape.valueDim, element: shape.element)
        var keys = try KVBlocks.allocate(layout: layout, capacity: shape.tokens, firstPosition: 0)
        keys.tokens = shape.tokens
        let keyRows = try FloatRows.allocate(rows: shape.tokens, columns: shape.headDim)
        let valueRows = try FloatRows.allocate(rows: shape.tokens, columns: shape.valueDim)
        for head in 0..<shape.kvHeads {
            Self.draw(keyRows, valueRows, head: head, kernels)
            _ = keys.packKeys(keyRows, head: head, at: 0)
            _ = keys.packValues(valueRows, head: head, at: 0)
        }
        self.keys = keys
        var queries: [FloatRows] = []
        var states: [AttentionState] = []
        for head in 0..<shape.heads {
            let rows = try FloatRows.allocate(rows: shape.tokens, columns: shape.headDim)
            kernels.fillNormals(rows, seed: 2, tensor: UInt64(head))
            queries.append(rows)
            states.append(try .allocate(rows: shape.tokens, valueDim: shape.valueDim))
        }
        var scratch: [AttentionScratch] = []
        for _ in 0..<shape.threads { scratch.append(try AttentionScratch()) }
        (self.queries, self.states, self.scratch) = (queries, states, scratch)
    }

    /// The keys and values of a KV head before they are packed.
    static func draw(_ keys: FloatRows, _ values: FloatRows, head: Int, _ kernels: Kernels) {
        kernels.fillNormals(keys, seed: 1, tensor: UInt64(2 * head))
        kernels.fillNormals(values, seed: 1, tensor: UInt64(2 * head + 1))
    }

    func reset() {
        for state in states { state.reset() }
        next.store(0, ordering: .sequentiallyConsistent)
        measured.withLock { $0.removeAll() }
    }

    /// What each thread measured, in seconds.
    fileprivate var clocks: [ThreadClock] { measured.withLock { $0 } }

    /// Takes pieces until none is left. The last rows come first: under a causal mask they are the longest.
    fileprivate func run(_ kernels: Kernels, thread: Int, bursts: PeakBursts) {
        let pieces = (shape.tokens + Self.pieceRows - 1) / Self.pieceRows
        var clock = ThreadClock()
        bursts.add(to: &clock)
        while true {
            let piece = next.add(1, ordering: .relaxed).oldValue
            guard piece < pieces * shape.heads else { break }
            let start = MonotonicClock.now
            attend(kernels, head: piece % shape.heads, first: (pieces - 1 - piece / shape.heads) * Self.pieceRows, thread: thread)
            clock.attention += MonotonicClock.now - start
            bursts.add(to: &clock)
        }
        measured.withLock { [clock] in $0.append(clock) }
    }

    private func attend(_ kernels: Kernels, head: Int, first: Int, thread: Int) {
        let rows = first..<min(first + Self.pieceRows, shape.tokens)
        kernels.attend(
            queries: queries[head].rows(rows), firstPosition: first, keys: keys, kvHead: head / (shape.heads / shape.kvHeads),
            causal: shape.causal, scale: Float(1 / Double(shape.headDim).squareRoot()), into: states[head].rows(rows),
            scratch: scratch[thread])
    }
}

/// Operations in registers and what they took.
private struct Burst {
    var seconds = 0.0, operations = 0.0

    /// Operations a second.
    var rate: Double { operations / max(seconds, 1e-9) }

    mutating func add(_ kernels: Kernels, _ element: ElementType, rounds: Int) {
        let start = MonotonicClock.now
        let rate = kernels.peakRate(of: element, rounds: rounds)
        let elapsed = MonotonicClock.now - start
        seconds += elapsed
        operations += rate * elapsed
    }
}

/// Times of one thread.
private struct ThreadClock {
    var attention = 0.0, peak = Burst(), pairs = Burst(), floats = Burst()
}

/// The bursts between pieces of attention, and how many rounds of each take about as long as a burst should.
private struct PeakBursts {
    private static let seconds = 0.002
    private let kernels: Kernels, element: ElementType
    private let rounds: Int, pairRounds: Int, floatRounds: Int
    /// The kernels of vectors, where `kernels` multiply this element by tiles.
    let vectors: Kernels?

    init(_ kernels: Kernels, _ element: ElementType) throws(KernelError) {
        (self.kernels, self.element) = (kernels, element)
        let tiles = kernels.instructionSet == .amx && element != .f32
        let vectors = tiles && InstructionSet.supported.contains(.avx512bf16) ? try Kernels(.avx512bf16) : nil
        self.vectors = vectors
        rounds = Self.rounds(kernels, element)
        pairRounds = vectors.map { Self.rounds($0, .bf16) } ?? 0
        floatRounds = vectors.map { Self.rounds($0, .f32) } ?? 0
    }

    func add(to clock: inout ThreadClock) {
        clock.peak.add(kernels, element, rounds: rounds)
        guard let vectors else { return }
        clock.pairs.add(vectors, .bf16, rounds: pairRounds)
        clock.floats.add(vectors, .f32, rounds: floatRounds)
    }

    private static func rounds(_ kernels: Kernels, _ element: ElementType) -> Int {
        let start = MonotonicClock.now
        _ = kernels.peakRate(of: element, rounds: 2000)
        return max(Int(2000 * seconds / max(MonotonicClock.now - start, 1e-9)), 100)
    }
}
