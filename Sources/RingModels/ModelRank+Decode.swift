// One new token at a time: rank 0 runs the layers and asks every rank for its part of the attention.
import RingCore
import RingEngine
import RingKernels

extension ModelRank where Wire: ~Copyable {
    /// Leader only: runs the token `id`, which becomes token number `index` after the prompt, and returns the logits
    /// [vocabulary] that follow it.
    public mutating func decode(_ id: UInt32, index: Int) throws(ModelError) -> [Float] {
        let (token, parts) = (tokenState, parts)
        let position = engine.plan.tokens + index
        let x = token.hidden
        try parts.weights.embed([id], firstPosition: position, into: x)
        for layer in 0..<parts.config.layerCount {
            let block = parts.weights.layers[layer]
            parts.kernels.rmsNorm(x, weight: block[.beforeAttention], epsilon: parts.config.normEpsilon, into: token.normed)
            try linear(block[.query], token.normed, into: token.queries)
            try linear(block[.key], token.normed, into: token.keys)
            try linear(block[.value], token.normed, into: token.values)
            parts.rotate(layer: layer, token.queries, heads: parts.config.headCount, norm: .query, position: position)
            parts.rotate(layer: layer, token.keys, heads: parts.config.keyValueHeadCount, norm: .key, position: position)
            do throws(EngineError) {
                try engine.attendToken(
                    layer: layer, queries: token.queries, keys: token.keys, values: token.values, out: token.attended)
            } catch { throw .engine(error) }
            try feedForward(block, x)
        }
        engine.finishToken()
        return try logits(of: x, position: position)
    }

    private func feedForward(_ block: LayerWeights, _ x: FloatRows) throws(ModelError) {
        let (token, kernels) = (tokenState, parts.kernels)
        try linear(block[.output], token.attended, into: token.projected)
        kernels.add(token.projected, to: x)
        kernels.rmsNorm(x, weight: block[.beforeFeedForward], epsilon: parts.config.normEpsilon, into: token.normed)
        try linear(block[.gate], token.normed, into: token.gate)
        try linear(block[.up], token.normed, into: token.up)
        kernels.siluMultiply(gate: token.gate, up: token.up, into: token.gate)
        try linear(block[.down], token.gate, into: token.projected)
        kernels.add(token.projected, to: x)
    }

    /// Leader only: generates after the prompt until a stop token, `tokensMax` tokens or cancellation; each token goes to `emit`
    /// as it comes. A stop token is emitted and ends the run unless `ignoreStops`.
    public mutating func generate(
        tokensMax: Int, stops: [UInt32], ignoreStops: Bool, sampling: SamplingOptions, answered: Int = 0,
        emit: (Int, UInt32) -> Void
    ) throws(ModelError) -> [UInt32] {
        guard var logits = try lastLogits() else { preconditionFailure("the leader owns the prompt's last token") }
        var sampler = Sampler(sampling)
        sampler.skip(answered)
        var tokens: [UInt32] = []
        while tokens.count < tokensMax {
            let id = sampler.next(logits)
            emit(answered + tokens.count, id)
            tokens.append(id)
            if tokens.count == tokensMax || (!ignoreStops && stops.contains(id)) { break }
            logits = try decode(id, index: tokens.count - 1)
        }
        do throws(EngineError) { try engine.finishDecoding() } catch { throw .engine(error) }
        figures.computeSeconds += engine.decodeSeconds.compute
        figures.exposedSeconds += engine.decodeSeconds.exposed
        return tokens
    }

    /// Every rank but the leader: answers its requests until it is done.
    public mutating func follow() throws(ModelError) {
        do throws(EngineError) { _ = try engine.followDecoding() } catch { throw .engine(error) }
        figures.computeSeconds += engine.decodeSeconds.compute
    }
}
