// One token at a time: the leader asks every rank for its part of the attention over the keys that it keeps.

import RingControl
import RingCore

extension SimulatedEngine {
    mutating func beginDecode(_ random: inout SplitMix64, _ effects: inout [Effect]) {
        phase = .decode
        if rank > 0 {
            let early = waiting
            waiting = []
            for event in early { if case .frame(let frame, let sender) = event { answer(frame, to: sender, &effects) } }
            return
        }
        guard case .generate(let spec) = assignment.spec, spec.maxTokens > 0, let last = history.last?[layers] else {
            finishDecode(&effects)
            return
        }
        tell(IntegerModel.token(last), &random, &effects)
    }

    /// Reports a token and goes on with it, or ends.
    private mutating func tell(_ id: UInt32, _ random: inout SplitMix64, _ effects: inout [Effect]) {
        guard case .generate(let spec) = assignment.spec else { return }
        effects.append(.report(.token(run, index: spec.answered + answer.count, id: id)))
        answer.append(id)
        guard answer.count < spec.maxTokens else {
            finishDecode(&effects)
            return
        }
        let position = assignment.tokens + answer.count - 1
        ask(layer: 0, position: position, row: IntegerModel.embed(id, at: position), &random, &effects)
    }

    /// The rank that keeps the key of the token at `position`.
    private func keeper(of position: Int) -> Int { position % world }

    private mutating func ask(layer: Int, position: Int, row: UInt64, _ random: inout SplitMix64, _ effects: inout [Effect]) {
        let keeper = keeper(of: position)
        token = (position, row, layer, 0, Partial())
        for peer in peers { effects.append(.send(.query(layer: layer, position: position, row: row, keeper: keeper), to: peer)) }
        token.partial += part(layer: layer, position: position, row: row, keeper: keeper)
        effects.append(.after(random.between(0.002, 0.04), .answered))
    }

    /// The leader's own part is done; then it is as if one more rank had answered.
    mutating func noteAnswered(_ random: inout SplitMix64, _ effects: inout [Effect]) {
        guard phase == .decode, rank == 0 else { return }
        note(Partial(), &random, &effects)
    }

    mutating func merge(
        _ partial: Partial, _ layer: Int, _ position: Int, _ random: inout SplitMix64, _ effects: inout [Effect]
    ) {
        guard phase == .decode, rank == 0, token.layer == layer, token.position == position else { return }
        note(partial, &random, &effects)
    }

    private mutating func note(_ partial: Partial, _ random: inout SplitMix64, _ effects: inout [Effect]) {
        token.partial += partial
        token.heard += 1
        guard token.heard == world else { return }
        let row = IntegerModel.next(token.row, token.partial)
        if token.layer + 1 < layers {
            ask(layer: token.layer + 1, position: token.position, row: row, &random, &effects)
        } else {
            tell(IntegerModel.token(row), &random, &effects)
        }
    }

    mutating func answer(_ frame: Frame, to sender: Int, _ effects: inout [Effect]) {
        guard case .query(let layer, let position, let row, let keeper) = frame else { return }
        let partial = part(layer: layer, position: position, row: row, keeper: keeper)
        effects.append(.send(.partial(layer: layer, position: position, partial), to: sender))
    }

    /// Attention of one row over the keys that this rank keeps; a keeper keeps the row's own key first.
    private mutating func part(layer: Int, position: Int, row: UInt64, keeper: Int) -> Partial {
        if keeper == rank { growth[layer].append((position, row)) }
        var partial = Partial()
        for key in history.map({ $0[layer] }) + growth[layer].map(\.row) {
            partial += Partial(pairs: 1, sum: IntegerModel.weight(row, key, layer: layer))
        }
        return partial
    }

    private mutating func finishDecode(_ effects: inout [Effect]) {
        for peer in peers { effects.append(.send(.done, to: peer)) }
        finish(&effects)
    }
}
