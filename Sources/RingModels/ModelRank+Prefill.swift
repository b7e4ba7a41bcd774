// The prompt's way through a layer on one rank: project in slices, attend round the ring, finish in slices.
import RingCore
import RingEngine
import RingKernels
import Synchronization

extension ModelRank where Wire: ~Copyable {
    /// The tokens of the rank's active chunks.
    func slices(_ active: [Bool]) -> [TokenSlice] {
        zip(engine.shard.runs, active).filter(\.1).map(\.0).flatMap { run in
            stride(from: 0, to: run.chunk.length, by: TokenSlice.tokensMax).map { start in
                let count = min(TokenSlice.tokensMax, run.chunk.length - start)
                return TokenSlice(
                    rows: run.firstRow + start..<run.firstRow + start + count, position: run.chunk.start + start,
                    blockToken: run.firstBlock * KVLayout.blockTokens + start)
            }
        }
    }

    /// Counts the seconds of `body`, linear layers of `layer`, as computing and returns them.
    mutating func timed(layer: Int, _ body: (inout Self) throws(ModelError) -> Void) throws(ModelError) -> Double {
        if engine.isCancelled() { throw .engine(.cancelled) }
        let start = EngineClock.now()
        try body(&self)
        let end = EngineClock.now()
        let seconds = end.seconds(since: start)
        engine.trace?.note(TraceEvent(.linear, from: start, to: end, layer: layer, step: 0, peer: engine.rank))
        figures.computeSeconds += seconds
        return seconds
    }

    /// Norm, queries, keys, values, rotation; keys and values are packed into the layer's blocks.
    mutating func projectSlices(_ slices: [TokenSlice], layer: Int) throws(ModelError) {
        let (parts, scratch, blocks) = (parts, scratch, engine.store.prompt(layer: layer))
        let (x, queries) = (hidden, queries)
        let failure = FirstError()
        let rank = engine.rank
        engine.pool.forEach(slices.count) { task, thread in
            let slice = slices[task]
            let clock = scratch[thread].clock
            clock.begin()
            do throws(KernelError) {
                let (keys, values) = try parts.project(
                    layer: layer, hidden: x.rows(slice.rows), position: slice.position, queries: queries.rows(slice.rows),
                    scratch: scratch[thread])
                if let row = blocks.pack(keys: keys, values: values, at: slice.blockToken) {
                    let position = slice.position + row
                    failure.note(position, .engine(.nonFinite(layer: layer, rank: rank, step: 0, position: position, head: 0)))
                }
                clock.lap(.elementwise)
            } catch { failure.note(slice.position, .kernel(error)) }
        }
        figures.flops += Double(slices.reduce(0) { $0 + $1.rows.count }) * parts.linearFlopsPerTokenAndLayer
        if let error = failure.first { throw error }
    }

    /// Progress counts from `firstLayer`.
    mutating func attend(
        layer: Int, firstLayer: Int, progress: (PrefillProgress) -> Void
    ) throws(ModelError) {
        let layers = parts.config.layerCount
        let report: PassReport
        let (begun, linear) = (figures, linearSeconds)
        do throws(EngineError) {
            let input = AttentionInput(queries: queries, state: state, mask: .causal, active: engine.plan.active(inLayer: layer))
            report = try engine.attend(layer: layer, input) { pass in
                let fraction = (Double(layer - firstLayer) + pass.fraction) / Double(layers - firstLayer)
                let seconds = begun.computeSeconds - (1 - pass.fraction) * linear.before + pass.fraction * linear.after
                progress(
                    PrefillProgress(
                        layer: layer, layers: layers, step: pass.step, steps: pass.steps, fraction: fraction,
                        computeSeconds: seconds + pass.computeSeconds, exposedSeconds: begun.exposedSeconds + pass.exposedSeconds))
            }
        } catch { throw .engine(error) }
        figures.computeSeconds += report.computeSeconds
        figures.exposedSeconds += report.exposedSeconds
        figures.steps += report.steps.count
        figures.flops += Double(report.pairs) * flopsPerPair
        ringSteps.add(report)
    }

    /// Normalises attention, then output projection and feed-forward, added to the hidden states in place.
    mutating func finishSlices(_ slices: [TokenSlice], layer: Int) throws(ModelError) {
        let (parts, scratch, state, x, lastStep) = (parts, scratch, state, hidden, engine.plan.world.count - 1)
        let failure = FirstError()
        let rank = engine.rank
        engine.pool.forEach(slices.count) { task, thread in
            let slice = slices[task]
            let mine = scratch[thread]
            mine.clock.begin()
            let attended = mine.attended.rows(0..<slice.rows.count)
            if let bad = state.finish(rows: slice.rows, out: attended, lse: mine.lse) {
                let position = slice.position + bad.row
                let error = EngineError.nonFinite(layer: layer, rank: rank, step: lastStep, position: position, head: bad.head)
                failure.note(position, .engine(error))
            }
            mine.clock.lap(.elementwise)
            do throws(KernelError) {
                try parts.finish(layer: layer, hidden: x.rows(slice.rows), attended: attended, scratch: mine)
            } catch { failure.note(slice.position, .kernel(error)) }
        }
        if let error = failure.first { throw error }
    }
}

/// The error of the lowest position among those that tasks of a loop meet.
final class FirstError: Sendable {
    private let found = Mutex<(position: Int, error: ModelError)?>(nil)

    func note(_ position: Int, _ error: ModelError) {
        found.withLock { if position < $0?.position ?? Int.max { $0 = (position, error) } }
    }

    var first: ModelError? { found.withLock { $0?.error } }
}
