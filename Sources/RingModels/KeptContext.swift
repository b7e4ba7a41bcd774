// What a rank still holds when its ring breaks, and how another ring takes it up: keys, values and hidden states of its own tokens
// stay good, whoever else is gone.
import RingCore
import RingEngine
import RingKernels

/// The context of a rank whose ring is gone.
public struct KeptContext: Sendable {
    /// The rank's tokens, and how many layers they have been through.
    public let shares: [Share]
    let store: KVStore
    /// [tokens, hidden].
    let hidden: FloatRows
}

extension ModelRank where Wire: ~Copyable {
    /// What can be gone on from; `nil` if no layer is done, or one broke off in the middle. Close the engine first.
    public func keep() -> KeptContext? {
        guard let layersDone else { return nil }
        let shares = zip(engine.shard.runs, layersDone).map { run, layers in
            Share(start: run.chunk.start, length: run.chunk.length, layers: layers)
        }
        let held = shares.filter { $0.layers > 0 && $0.length > 0 }
        return held.isEmpty ? nil : KeptContext(shares: held, store: engine.store, hidden: hidden)
    }

    /// Takes up what was kept of the rank's chunks, which are `shares`, in their order. Gives the memory of `kept` back to the
    /// system as it goes, so that the two are never there twice. False if `kept` does not hold what the shares say.
    public mutating func adopt(_ kept: KeptContext, shares: [Share]) -> Bool {
        guard shares.map(\.start) == engine.shard.runs.map(\.chunk.start), shares.map(\.length) == engine.shard.runs.map(\.chunk.length),
            kept.store.layers == engine.store.layers, kept.store.layout == engine.layout
        else { return false }
        var moves: [(from: ShardBlocks.Run, to: ShardBlocks.Run)] = []
        for (share, run) in zip(shares, engine.shard.runs) where share.layers > 0 {
            guard kept.shares.contains(share), let old = kept.store.shard.runs.first(where: { $0.chunk == run.chunk }) else { return false }
            moves.append((old, run))
        }
        for (old, new) in moves {
            hidden.rows(new.firstRow..<new.firstRow + new.chunk.length).copy(
                from: kept.hidden.rows(old.firstRow..<old.firstRow + old.chunk.length))
        }
        for layer in 0..<kept.store.layers {
            for (old, new) in moves { engine.store.copy(layer: layer, from: kept.store, old, to: new) }
            kept.store.discard(layer: layer)
        }
        layersDone = shares.map(\.layers)
        return true
    }
}
