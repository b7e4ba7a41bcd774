// Breaking the ring on purpose. The claim "a dropped, doubled or unweighted shard gives a wrong answer" is only worth
// something if a test can make it happen; nothing outside tests sets a fault.
import RingCore
import RingKernels

/// One deliberate mistake of a rank's prefill attention.
package struct RingFault: Sendable {
    /// What is done wrong with a shard.
    package enum Action: Hashable, Sendable {
        /// The shard is not attended to.
        case drop
        /// The shard is attended to twice.
        case twice
        /// The shard's partial is merged as if every partial weighed the same.
        case unweighted
    }

    /// What is done wrong.
    package var action: Action
    /// The shard it is done to; `nil` means every shard.
    package var kvOwner: Rank?
    /// The layer in which it is done; `nil` means every layer.
    package var layer: Int?

    /// A fault of its parts.
    package init(_ action: Action, kvOwner: Rank? = nil, layer: Int? = nil) {
        self.action = action
        self.kvOwner = kvOwner
        self.layer = layer
    }

    func action(layer: Int, kvOwner: Rank) -> Action? {
        (self.layer ?? layer) == layer && (self.kvOwner ?? kvOwner) == kvOwner ? action : nil
    }
}

extension RingFault.Action {
    /// Does the attention of a tile wrongly.
    func perform(_ attention: TileAttention, into state: AttentionState, kernels: Kernels, scratch: AttentionScratch) {
        switch self {
        case .drop: return
        case .twice:
            attention.perform(into: state, kernels: kernels, scratch: scratch)
            attention.perform(into: state, kernels: kernels, scratch: scratch)
        case .unweighted:
            guard let fresh = try? AttentionState.allocate(rows: state.rows, valueDim: state.accumulator.columns) else {
                preconditionFailure("no memory for a deliberate mistake")
            }
            attention.perform(into: fresh, kernels: kernels, scratch: scratch)
            mergeUnweighted(fresh, into: state)
        }
    }

    /// Every partial gets the same weight: both are normalised, and the sum counts partials instead of exponentials.
    private func mergeUnweighted(_ other: AttentionState, into state: AttentionState) {
        for row in 0..<state.rows where other.rowSum[0, row] > 0 {
            let merged = state.rowMax[0, row] == 0 ? state.rowSum[0, row] : 0
            for column in 0..<state.accumulator.columns {
                let mine = merged > 0 ? state.accumulator[row, column] : 0
                state.accumulator[row, column] = mine + other.accumulator[row, column] / other.rowSum[0, row]
            }
            state.rowMax[0, row] = 0
            state.rowSum[0, row] = merged + 1
        }
    }
}
