// Activations of one rank: hidden states, queries and attention state of its own tokens, a slice's scratch for each thread,
// and the one token that is decoded.
import RingEngine
import RingFormats
import RingKernels

/// Memory that a model run needs on one rank, beside weights and KV.
public struct ModelBuffers: Sendable {
    /// Hidden states of the rank's own tokens, [tokens, hidden].
    let hidden: FloatRows
    /// [tokens, heads * headDim].
    let queries: FloatRows
    let state: HeadStates
    let scratch: [SliceScratch]
    let token: TokenBuffers

    /// Buffers for `tokens` own tokens on `threads` threads of `kernels`.
    public init(_ config: ModelConfig, tokens: Int, threads: Int, kernels: Kernels) throws(KernelError) {
        // A rank without tokens keeps one row, so that every path is the same.
        let rows = max(tokens, 1)
        hidden = try .allocate(rows: rows, columns: config.hiddenSize)
        queries = try .allocate(rows: rows, columns: config.headCount * config.headDimension)
        state = try HeadStates(tokens: rows, heads: config.headCount, valueDim: config.headDimension)
        var scratch: [SliceScratch] = []
        for _ in 0..<threads { scratch.append(try SliceScratch(config, rows: TokenSlice.tokensMax, kernels: kernels)) }
        self.scratch = scratch
        token = try TokenBuffers(config)
    }

    /// Bytes of such buffers.
    public static func byteCount(_ config: ModelConfig, tokens: Int, threads: Int) -> Int {
        4 * (config.hiddenSize + config.headCount * config.headDimension) * tokens
            + HeadStates.byteCount(tokens: tokens, heads: config.headCount, valueDim: config.headDimension)
            + threads * SliceScratch.byteCount(config, rows: TokenSlice.tokensMax)
    }
}

/// Activations of the one token that is decoded.
struct TokenBuffers: Sendable {
    let hidden: FloatRows
    let normed: FloatRows
    let queries: FloatRows
    let keys: FloatRows
    let values: FloatRows
    let attended: FloatRows
    let projected: FloatRows
    let gate: FloatRows
    let up: FloatRows
    let logits: FloatRows

    init(_ config: ModelConfig) throws(KernelError) {
        let keyValue = config.keyValueHeadCount * config.headDimension
        hidden = try .allocate(rows: 1, columns: config.hiddenSize)
        normed = try .allocate(rows: 1, columns: config.hiddenSize)
        queries = try .allocate(rows: 1, columns: config.headCount * config.headDimension)
        keys = try .allocate(rows: 1, columns: keyValue)
        values = try .allocate(rows: 1, columns: keyValue)
        attended = try .allocate(rows: 1, columns: config.headCount * config.headDimension)
        projected = try .allocate(rows: 1, columns: config.hiddenSize)
        gate = try .allocate(rows: 1, columns: config.intermediateSize)
        up = try .allocate(rows: 1, columns: config.intermediateSize)
        logits = try .allocate(rows: 1, columns: config.vocabularySize)
    }
}
