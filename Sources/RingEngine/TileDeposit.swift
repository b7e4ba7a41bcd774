// The attention of a deterministic job: tile by tile of a fixed grid, each into a fresh state that is then deposited in bins. Which rank,
// thread or step does it, and in which company of rows, leaves no trace in the bits (Docs/MATH.md, "The same bits").
import RingCore
import RingKernels

/// Where tiles are summed up, and the state of one tile for each thread.
struct TileDeposit: Sendable {
    /// Tokens of a tile; every run of keys begins on its grid.
    let grain: Int
    let bins: HeadBins
    /// By thread, a state of as many rows as a task takes.
    let states: [AttentionState]
}

extension StepWork {
    /// Adds to the bins what the rows of `tile` see of one pair's keys.
    func deposit(_ pair: StepPair, _ tile: StepTile, head: Int, thread: Int, into sums: TileDeposit) {
        let bins = sums.bins.slice(head: head, rows: tile.rows)
        let state = sums.states[thread].rows(0..<tile.rows.count)
        precondition(pair.keys.lowerBound % sums.grain == 0, "keys from \(pair.keys.lowerBound) on begin inside a tile of \(sums.grain)")
        for start in stride(from: pair.keys.lowerBound, to: pair.keys.upperBound, by: sums.grain) {
            let keys = start..<min(start + sums.grain, pair.keys.upperBound)
            let first = pair.firstBlock + (keys.lowerBound - pair.keys.lowerBound) / Limits.tileTokens
            guard let attention = attention(keys, at: first, of: tile, head: head) else { continue }
            state.reset()
            perform(attention, into: state, thread: thread)
            kernels.deposit(state, into: bins)
        }
    }
}
