// The ring passes of a run: the real schedule, the real buffers' order, the real visibility of chunks.

import RingControl
import RingCore

extension SimulatedEngine {
    mutating func beginLayer(_ random: inout SplitMix64, _ effects: inout [Effect]) {
        pass = RingPass(along: RingSchedule(for: Rank(rank), in: WorldSize(world)))
        partials = Array(repeating: Partial(), count: history.count)
        posted = []
        turn(.begin, &random, &effects)
    }

    /// The block that this rank sends, or attends to, at a step of the present layer.
    func block(step: Int, layer: Int) -> Block? {
        guard phase == .ring, layer == self.layer else { return nil }
        if step == 0 { return Block(owner: rank, chunks: own, rows: history.map { $0[layer] }) }
        return buffers[mutation == .wrongBuffer ? 0 : RingPass.buffer(ofStep: step)]
    }

    mutating func turn(_ event: RingPass.Event, _ random: inout SplitMix64, _ effects: inout [Effect]) {
        var directives: [RingPass.Directive] = []
        pass.handle(event, into: &directives)
        for directive in directives {
            switch directive {
            case .receive(let step, _, let buffer): posted.append((step, buffer))
            case .send(let step, let next):
                effects.append(.send(.offer(layer: layer, step: step), to: next.index))
            case .attend(let step, _):
                attending = step
                begin(&random, &effects)
            case .finish: finishLayer(&random, &effects)
            case .abort: break
            }
        }
        pull(&effects)
    }

    /// Computes for a while; what else the processor is at meanwhile takes time too, and is not computing.
    private mutating func begin(_ random: inout SplitMix64, _ effects: inout [Effect]) {
        if let idleSince { exposedSeconds += clock - idleSince }
        idleSince = nil
        let seconds = Self.stepSeconds * random.between(0.9, 1.1) * slowness
        computeSeconds += mutation == .doubledSeconds && rank == 0 ? 2 * seconds : seconds
        effects.append(.after(seconds + random.between(0, 0.05), .attended))
    }

    /// Takes what is offered and wanted. The previous rank's step s is this rank's step s + 1.
    mutating func pull(_ effects: inout [Effect]) {
        guard phase == .ring else { return }
        while let place = offers.firstIndex(where: { offer in
            offer.layer == layer && posted.contains { $0.step == offer.step + 1 }
        }) {
            let offer = offers.remove(at: place)
            effects.append(.pull(layer: offer.layer, step: offer.step, from: (rank + world - 1) % world))
        }
    }

    mutating func take(_ block: Block, layer: Int, step: Int, _ random: inout SplitMix64, _ effects: inout [Effect]) {
        guard phase == .ring, layer == self.layer, let place = posted.firstIndex(where: { $0.step == step + 1 }) else { return }
        let buffer = mutation == .wrongBuffer ? 0 : posted[place].buffer
        posted.remove(at: place)
        buffers[buffer] = block
        effects.append(.send(.taken(layer: layer, step: step), to: (rank + world - 1) % world))
        turn(.received(step: step + 1), &random, &effects)
    }

    mutating func noteAttended(_ random: inout SplitMix64, _ effects: inout [Effect]) {
        guard phase == .ring, let block = block(step: attending, layer: layer) else { return }
        let isSkipped = mutation == .skipBlock && attending == world - 1 && rank == 0
        if !isSkipped { attend(to: block) }
        if mutation == .mergeTwice, attending == 0, rank == world - 1 { attend(to: block) }
        idleSince = clock
        turn(.attended(step: attending), &random, &effects)
    }

    /// Adds the block's part to every own row.
    private mutating func attend(to block: Block) {
        let isCausal: Bool
        switch assignment.spec {
        case .generate: isCausal = true
        case .attend(let spec): isCausal = spec.causal
        }
        var queryBase = 0
        for queries in own {
            var keyBase = 0
            for keys in block.chunks {
                let visibility = isCausal ? Visibility(of: keys.range, to: queries.range) : .all
                if visibility != .none {
                    for query in 0..<queries.length where level(queryBase + query) <= layer {
                        let seen = visibility == .all ? keys.length : min(max(queries.start + query + 1 - keys.start, 0), keys.length)
                        let row = history[queryBase + query][layer]
                        var sum: UInt64 = 0
                        for key in 0..<seen { sum &+= IntegerModel.weight(row, block.rows[keyBase + key], layer: layer) }
                        partials[queryBase + query] += Partial(pairs: seen, sum: sum)
                    }
                }
                keyBase += keys.length
            }
            queryBase += queries.length
        }
    }

    private mutating func finishLayer(_ random: inout SplitMix64, _ effects: inout [Effect]) {
        let active = history.indices.filter { level($0) <= layer }
        for place in active { history[place].append(IntegerModel.next(history[place][layer], partials[place])) }
        layer += 1
        effects.append(.check(layer: layer, places: active, rows: active.map { history[$0][layer] }, partials: active.map { partials[$0] }))
        let progress = WorkerProgress(
            phase: assignment.spec.kind == "attend" ? .attend : .prefill, layer: layer - 1, layers: layers, step: world - 1, steps: world,
            tokensDone: history.count * layer / layers, tokensTotal: history.count, computeSeconds: computeSeconds,
            exposedSeconds: exposedSeconds)
        effects.append(.report(.progress(run, progress)))
        if layer < layers {
            beginLayer(&random, &effects)
        } else if case .generate = assignment.spec {
            beginDecode(&random, &effects)
        } else {
            finish(&effects)
        }
    }
}
