// The layer parts of a decoder-only transformer over a slice of tokens: norms, linear layers, rotation, feed-forward. A
// slice is worked by one thread in its own scratch, so activations never take more than a few slices of memory.
import RingFormats
import RingKernels

/// Scratch of one thread for slices of up to `rows` tokens.
struct SliceScratch: Sendable {
    let normed: FloatRows
    let keys: FloatRows
    let values: FloatRows
    let attended: FloatRows
    let projected: FloatRows
    let gate: FloatRows
    let up: FloatRows
    let lse: FloatRows

    init(_ config: ModelConfig, rows: Int) throws(KernelError) {
        let keyValue = config.keyValueHeadCount * config.headDimension
        normed = try .allocate(rows: rows, columns: config.hiddenSize)
        keys = try .allocate(rows: rows, columns: keyValue)
        values = try .allocate(rows: rows, columns: keyValue)
        attended = try .allocate(rows: rows, columns: config.headCount * config.headDimension)
        projected = try .allocate(rows: rows, columns: config.hiddenSize)
        gate = try .allocate(rows: rows, columns: config.intermediateSize)
        up = try .allocate(rows: rows, columns: config.intermediateSize)
        lse = try .allocate(rows: config.headCount, columns: rows)
    }

    /// f32 bytes of one thread's scratch.
    static func byteCount(_ config: ModelConfig, rows: Int) -> Int {
        let attention = config.headCount * config.headDimension + 2 * config.keyValueHeadCount * config.headDimension
        return 4 * rows * (2 * config.hiddenSize + attention + 2 * config.intermediateSize + config.headCount)
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

    /// `out` = `x` through a linear layer, bias included.
    func linear(_ layer: LinearWeight, _ x: FloatRows, into out: FloatRows) throws(KernelError) {
        try kernels.linear(x, weight: layer.weight, bias: layer.bias, into: out)
    }

    /// Queries, keys and values of a slice whose first token stands at `position`, rotated and normed as the family wants.
    func project(layer: Int, hidden x: FloatRows, position: Int, queries: FloatRows, scratch: SliceScratch) throws(KernelError) -> (
        keys: FloatRows, values: FloatRows
    ) {
        let block = weights.layers[layer]
        let rows = 0..<x.rows
        let normed = scratch.normed.rows(rows)
        let (keys, values) = (scratch.keys.rows(rows), scratch.values.rows(rows))
        kernels.rmsNorm(x, weight: block[.beforeAttention], epsilon: config.normEpsilon, into: normed)
        try linear(block[.query], normed, into: queries)
        try linear(block[.key], normed, into: keys)
        try linear(block[.value], normed, into: values)
        rotate(layer: layer, queries, heads: config.headCount, norm: .query, position: position)
        rotate(layer: layer, keys, heads: config.keyValueHeadCount, norm: .key, position: position)
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
        let block = weights.layers[layer]
        let rows = 0..<x.rows
        let (normed, projected) = (scratch.normed.rows(rows), scratch.projected.rows(rows))
        try linear(block[.output], attended, into: projected)
        kernels.add(projected, to: x)
        kernels.rmsNorm(x, weight: block[.beforeFeedForward], epsilon: config.normEpsilon, into: normed)
        let (gate, up) = (scratch.gate.rows(rows), scratch.up.rows(rows))
        try linear(block[.gate], normed, into: gate)
        try linear(block[.up], normed, into: up)
        kernels.siluMultiply(gate: gate, up: up, into: gate)
        try linear(block[.down], gate, into: projected)
        kernels.add(projected, to: x)
    }

    /// Floating-point operations of a block's linear layers for one token.
    var linearFlopsPerTokenAndLayer: Double {
        ModelFamily.Linear.allCases.reduce(0) { sum, linear in
            let shape = ModelFamily.shape(of: linear, in: config)
            return sum + 2 * Double(shape.rows) * Double(shape.columns)
        }
    }
}
