// The layer parts of a decoder-only transformer over a slice of tokens: norms, linear layers, rotation, feed-forward. A
// slice is worked by one thread in its own scratch, so activations never take more than a few slices of memory.
import RingFormats
import RingKernels

/// Scratch of one thread for slices of up to `rows` tokens.
struct SliceScratch: Sendable {
    /// Columns of the feed-forward that are worked on together: two f32 slices of them stay in L2.
    static let feedForwardColumns = 1024

    let normed: FloatRows
    let keys: FloatRows
    let values: FloatRows
    let attended: FloatRows
    let gate: FloatRows
    let up: FloatRows
    let lse: FloatRows
    /// Inputs of linear layers, and the feed-forward's inner ones, which are there at the same time; `nil` where kernels pack none.
    let packed: PackedRows?, packedInner: PackedRows?
    let clock = LinearClock()

    init(_ config: ModelConfig, rows: Int, kernels: Kernels) throws(KernelError) {
        let attention = config.headCount * config.headDimension
        let keyValue = config.keyValueHeadCount * config.headDimension
        let inner = min(config.intermediateSize, Self.feedForwardColumns)
        normed = try .allocate(rows: rows, columns: config.hiddenSize)
        keys = try .allocate(rows: rows, columns: keyValue)
        values = try .allocate(rows: rows, columns: keyValue)
        attended = try .allocate(rows: rows, columns: attention)
        gate = try .allocate(rows: rows, columns: inner)
        up = try .allocate(rows: rows, columns: inner)
        lse = try .allocate(rows: config.headCount, columns: rows)
        let packs = kernels.packsWeights
        packed = packs ? try .allocate(rows: rows, columns: max(config.hiddenSize, attention), for: kernels) : nil
        packedInner = packs ? try .allocate(rows: rows, columns: inner, for: kernels) : nil
    }

    /// Bytes of one thread's scratch.
    static func byteCount(_ config: ModelConfig, rows: Int) -> Int {
        let attention = config.headCount * config.headDimension
        let inner = min(config.intermediateSize, feedForwardColumns)
        let columns = config.hiddenSize + attention + 2 * config.keyValueHeadCount * config.headDimension + 2 * inner + config.headCount
        return 4 * rows * columns + PackedRows.byteCount(rows: rows, columns: max(config.hiddenSize, attention))
            + PackedRows.byteCount(rows: rows, columns: inner)
    }
}

/// The parts of a block, as plain functions of rows. All views have as many rows as there are tokens in the slice.
struct TransformerParts: Sendable {
    let weights: ModelWeights
    let kernels: Kernels
    let rope: RopeFrequencies

    init(_ weights: ModelWeights, kernels: Kernels) {
        self.weights = weights
        self.kernels = kernels
        rope = RopeFrequencies(weights.config)
    }

    var config: ModelConfig { weights.config }

    /// `out` = `x` through a linear layer, bias included; added to `out` if `adding`.
    private func linear(_ layer: LinearWeight, _ x: LinearInput, adding: Bool = false, into out: FloatRows) throws(KernelError) {
        try kernels.linear(x, weight: layer.weight, bias: layer.bias, adding: adding, into: out)
    }

    /// Queries, keys and values of a slice whose first token stands at `position`, rotated and normed as the family wants.
    func project(layer: Int, hidden x: FloatRows, position: Int, queries: FloatRows, scratch: SliceScratch) throws(KernelError) -> (
        keys: FloatRows, values: FloatRows
    ) {
        let (block, clock) = (weights.layers[layer], scratch.clock)
        let rows = 0..<x.rows
        let normed = scratch.normed.rows(rows)
        let (keys, values) = (scratch.keys.rows(rows), scratch.values.rows(rows))
        kernels.rmsNorm(x, weight: block[.beforeAttention], epsilon: config.normEpsilon, into: normed)
        clock.lap(.elementwise)
        let input = kernels.input(normed, packedIn: scratch.packed)
        clock.lap(.packing)
        try linear(block[.query], input, into: queries)
        try linear(block[.key], input, into: keys)
        try linear(block[.value], input, into: values)
        clock.lap(.queryKeyValue)
        rotate(layer: layer, queries, heads: config.headCount, norm: .query, position: position)
        rotate(layer: layer, keys, heads: config.keyValueHeadCount, norm: .key, position: position)
        clock.lap(.elementwise)
        return (keys, values)
    }

    func rotate(layer: Int, _ x: FloatRows, heads: Int, norm: ModelFamily.Norm, position: Int) {
        if config.hasQueryKeyNorm {
            kernels.rmsNorm(x, weight: weights.layers[layer][norm], epsilon: config.normEpsilon, groups: heads, into: x)
        }
        kernels.rope(
            x, heads: heads, firstPosition: position, frequencies: rope.inverseFrequencies, attentionFactor: rope.attentionFactor)
    }

    /// Adds attention's output projection and the feed-forward to `x` in place; `attended` is [rows, heads * headDim].
    func finish(layer: Int, hidden x: FloatRows, attended: FloatRows, scratch: SliceScratch) throws(KernelError) {
        let (block, clock) = (weights.layers[layer], scratch.clock)
        let found = kernels.input(attended, packedIn: scratch.packed)
        clock.lap(.packing)
        try linear(block[.output], found, adding: true, into: x)
        clock.lap(.output)
        let normed = scratch.normed.rows(0..<x.rows)
        kernels.rmsNorm(x, weight: block[.beforeFeedForward], epsilon: config.normEpsilon, into: normed)
        clock.lap(.elementwise)
        let input = kernels.input(normed, packedIn: scratch.packed)
        clock.lap(.packing)
        // A run of inner columns goes through all three layers before the next: what is between them never leaves the cache.
        for first in stride(from: 0, to: config.intermediateSize, by: SliceScratch.feedForwardColumns) {
            let columns = first..<min(first + SliceScratch.feedForwardColumns, config.intermediateSize)
            try feedForward(block, columns, input, scratch: scratch, into: x)
        }
    }

    private func feedForward(
        _ block: LayerWeights, _ columns: Range<Int>, _ input: LinearInput, scratch: SliceScratch, into x: FloatRows
    ) throws(KernelError) {
        let clock = scratch.clock
        let gate = scratch.gate.rows(0..<x.rows).columns(0..<columns.count)
        let up = scratch.up.rows(0..<x.rows).columns(0..<columns.count)
        try linear(block[.gate].outputs(columns), input, into: gate)
        try linear(block[.up].outputs(columns), input, into: up)
        clock.lap(.gateUp)
        kernels.siluMultiply(gate: gate, up: up, into: gate)
        clock.lap(.elementwise)
        let inner = kernels.input(gate, packedIn: scratch.packedInner)
        clock.lap(.packing)
        try linear(block[.down].inputs(columns), inner, adding: true, into: x)
        clock.lap(.down)
    }

    /// Floating-point operations of a block's linear layers for one token.
    var linearFlopsPerTokenAndLayer: Double {
        ModelFamily.Linear.allCases.reduce(0) { sum, linear in
            let shape = ModelFamily.shape(of: linear, in: config)
            return sum + 2 * Double(shape.rows) * Double(shape.columns)
        }
    }
}
