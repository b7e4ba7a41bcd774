// One rank's share of a model run: its tokens' hidden states go through the layers slice by slice, and attention goes
// round the ring. The same type leads decoding on rank 0 and follows it on the others.
import RingCore
import RingEngine
import RingFormats
import RingKernels

/// What a model run counts on one rank.
public struct ModelRunFigures: Hashable, Sendable {
    /// Seconds of linear layers and attention.
    public var computeSeconds = 0.0
    /// Seconds of waiting for the wire.
    public var exposedSeconds = 0.0
    /// Floating-point operations done.
    public var flops = 0.0
    /// Ring steps attended to.
    public var steps = 0
}

/// Where a prefill stands on one rank.
public struct PrefillProgress: Hashable, Sendable {
    /// Layer under way, counted from zero, and how many there are.
    public let layer: Int, layers: Int
    /// Ring step under way in this layer, counted from zero, and how many there are.
    public let step: Int, steps: Int
    /// Share of the rank's work that is done, 0 ... 1, by visible pairs.
    public let fraction: Double
    /// Seconds of linear layers and attention so far. The linear layers of the layer under way are counted as its attention goes
    /// on, so that this fits `fraction` also where they take longer.
    public let computeSeconds: Double
    /// Seconds of waiting for the wire so far.
    public let exposedSeconds: Double
}

/// A model on one rank of a ring.
public struct ModelRank<Wire: RingWire & ~Copyable>: ~Copyable {
    /// The attention engine, with this rank's KV.
    public var engine: RingEngine<Wire>
    /// What the run has cost so far.
    public internal(set) var figures = ModelRunFigures()
    /// What its ring steps have cost so far, over all layers.
    public internal(set) var ringSteps = StepTotals()
    /// Floating-point operations of a query and a key that it sees.
    public var flopsPerPair: Double { 4 * Double(parts.config.headDimension) }
    /// Seconds of the prefill's parts beside attention, over the rank's threads.
    public var partSeconds: LayerPartSeconds { scratch.reduce(into: LayerPartSeconds()) { $0.add($1.clock.seconds) } }
    /// Floating-point operations of the linear layers of all blocks for one token.
    public var linearFlopsPerToken: Double { Double(parts.config.layerCount) * parts.linearFlopsPerTokenAndLayer }

    let parts: TransformerParts
    let scratch: [SliceScratch]
    /// Hidden states of the rank's own tokens, [tokens, hidden].
    let hidden: FloatRows
    let queries: FloatRows
    let state: HeadStates
    let tokenState: TokenBuffers
    /// For each of the rank's chunks, the layers it has been through; `nil` while a layer changes hidden states.
    var layersDone: [Int]?
    /// Seconds of linear layers: before the attention of the layer under way, and after that of the layer before it.
    var linearSeconds = (before: 0.0, after: 0.0)

    /// Shape of the engine that a model needs.
    public static func shape(_ config: ModelConfig, plan: ShardPlan, element: ElementType, decodeTokensMax: Int) throws(KernelError)
        -> EngineShape
    {
        let layout = try KVLayout(
            kvHeads: config.keyValueHeadCount, headDim: config.headDimension, valueDim: config.headDimension, element: element)
        return EngineShape(
            plan: plan, layout: layout, heads: config.headCount, layers: config.layerCount, decodeTokensMax: decodeTokensMax)
    }

    /// Bytes that `rank` needs for activations, KV and buffers, without weights.
    public static func byteCount(_ config: ModelConfig, shape: EngineShape, rank: Rank, threads: Int) -> Int {
        shape.byteCount(of: rank) + ModelBuffers.byteCount(config, tokens: shape.plan.tokens(of: rank), threads: threads)
    }

    /// A rank that runs `weights` on `engine`, which was made with `shape(...)`, in `buffers` made for it.
    public init(_ weights: ModelWeights, engine: consuming RingEngine<Wire>, buffers: ModelBuffers, kernels: Kernels) {
        parts = TransformerParts(weights, kernels: kernels)
        scratch = buffers.scratch
        hidden = buffers.hidden
        queries = buffers.queries
        state = buffers.state
        tokenState = buffers.token
        layersDone = Array(repeating: 0, count: engine.shard.runs.count)
        self.engine = engine
    }

    /// Runs the prompt. `prompt` holds the ids of each of the rank's chunks, in order. `firstLayer` is the first that any rank's
    /// tokens have yet to go through: where a broken run is gone on from, all ranks must say the same.
    public mutating func prefill(
        _ prompt: [ArraySlice<UInt32>], firstLayer: Int = 0, progress: (PrefillProgress) -> Void = { _ in }
    ) throws(ModelError) {
        for (place, (run, ids)) in zip(engine.shard.runs, prompt).enumerated() where layersDone?[place] == 0 {
            precondition(ids.count == run.chunk.length, "chunk \(run.chunk) needs \(run.chunk.length) ids, got \(ids.count)")
            let rows = run.firstRow..<run.firstRow + run.chunk.length
            try parts.weights.embed(ids, firstPosition: run.chunk.start, into: hidden.rows(rows))
        }
        for layer in firstLayer..<max(parts.config.layerCount, firstLayer) {
            guard let done = layersDone else { preconditionFailure("a rank whose layer broke off runs no further one") }
            let active = done.map { $0 <= layer }
            precondition(
                active == engine.plan.active(inLayer: layer)?[engine.rank.index] ?? done.map { _ in true },
                "layers \(done) of this rank's chunks in layer \(layer) are not what the plan tells the others")
            let slices = self.slices(active)
            linearSeconds.before = try timed(layer: layer) { (rank) throws(ModelError) in try rank.projectSlices(slices, layer: layer) }
            try attend(layer: layer, firstLayer: firstLayer, progress: progress)
            linearSeconds.after = try timed(layer: layer) { (rank) throws(ModelError) in
                rank.layersDone = nil
                try rank.finishSlices(slices, layer: layer)
                rank.layersDone = zip(done, active).map { $1 ? layer + 1 : $0 }
            }
        }
    }

    /// Logits [1, vocabulary] after own token `row` (index among the rank's own tokens).
    public func logits(row: Int) throws(ModelError) -> [Float] {
        try logits(of: hidden.rows(row..<row + 1), position: position(ofRow: row))
    }

    /// Logits after the last token of the prompt; only on the rank that owns it, `nil` elsewhere.
    public func lastLogits() throws(ModelError) -> [Float]? {
        guard let last = engine.shard.runs.last, last.chunk.end == engine.plan.tokens else { return nil }
        return try logits(row: last.firstRow + last.chunk.length - 1)
    }

    func logits(of x: FloatRows, position: Int) throws(ModelError) -> [Float] {
        guard let head = parts.weights.head else { preconditionFailure("this rank loaded no output projection") }
        let config = parts.config
        let normed = tokenState.normed
        parts.kernels.rmsNorm(x, weight: parts.weights.finalNorm, epsilon: config.normEpsilon, into: normed)
        let out = tokenState.logits
        try linear(LinearWeight(weight: head, bias: nil), normed, into: out)
        if out.firstNonFiniteRow != nil { throw .nonFiniteLogits(position: position) }
        return out.array(ofRow: 0)
    }

    /// A linear layer of one token, its outputs spread over the pool.
    func linear(_ layer: LinearWeight, _ x: FloatRows, into out: FloatRows) throws(ModelError) {
        let (kernels, outputs, failure) = (parts.kernels, layer.weight.outputs, FirstError())
        let panel = PackedWeight.panelOutputs
        let share = max(outputs / (4 * engine.pool.threads) / panel, 2) * panel
        engine.pool.forEach((outputs + share - 1) / share) { task, _ in
            let some = task * share..<min((task + 1) * share, outputs)
            let piece = layer.outputs(some)
            do throws(KernelError) {
                try kernels.linear(kernels.input(x, packedIn: nil), weight: piece.weight, bias: piece.bias, into: out.columns(some))
            } catch { failure.note(task, .kernel(error)) }
        }
        if let error = failure.first { throw error }
    }

    func position(ofRow row: Int) -> Int {
        for run in engine.shard.runs where row >= run.firstRow && row < run.firstRow + run.chunk.length {
            return run.chunk.start + row - run.firstRow
        }
        preconditionFailure("row \(row) is not this rank's")
    }
}

/// A run of own tokens that one task works on; never crosses a chunk or shares a KV block with another slice.
struct TokenSlice: Hashable, Sendable {
    /// Long enough for the linear layers to run at speed, a multiple of a KV block.
    static let tokensMax = 256

    let rows: Range<Int>
    let position: Int
    /// Where the slice's first token goes, in tokens from the start of the shard's blocks.
    let blockToken: Int
}
