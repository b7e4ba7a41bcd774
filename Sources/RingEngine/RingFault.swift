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

    static func perform(
        _ action: Action, _ call: AttentionCall, into state: AttentionStateSlice, kernels: Kernels, scratch: AttentionScratch
    ) {
        switch action {
        case .drop: return
        case .twice:
            kernels.attend(call, into: state, scratch: scratch)
            kernels.attend(call, into: state, scratch: scratch)
        case .unweighted:
            let shape = (rows: call.queries.rows, valueDim: call.blocks.layout.valueDim)
            let partial = AttentionState(tokens: shape.rows, heads: 1, valueDim: shape.valueDim)
            partial.reset()
            let slice = partial.slice(head: 0, rows: 0..<shape.rows)
            kernels.attend(call, into: slice, scratch: scratch)
            state.mergeUnweighted(slice)
        }
    }
}
