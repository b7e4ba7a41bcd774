// The ring passes of a run: the real schedule, the real buffers' order, the real visibility of chunks.

import RingControl
import RingCore

extension SimulatedEngine {
    mutating func beginLayer(_ random: inout SplitMix64, _ effects: inout [Effect]) {
        pass = RingPass(along: RingRoute(for: Rank(rank), under: plan, mask, active: plan.active(inLayer: layer)))
        partials = Array(repeating: Partial(), count: history.count)
        posted = []
        onwardLeft = Array(repeating: 0, count: world)
        turn(.begin, &random, &effects)
    }

    /// What this rank attends to at a step of the present layer.
    private func held(step: Int) -> Block? {
        if step == 0 { return ownBlock }
        guard let buffer = pass.buffer(ofStep: step) else { return nil }
        return buffers[mutation == .wrongBuffer ? 0 : buffer]
    }

    private var ownBlock: Block {
        var (parts, place): ([Block.Part], Int) = ([], 0)
        for chunk in own {
            parts.append(Block.Part(positions: chunk.range, rows: history[place..<place + chunk.length].map { $0[layer] }))
            place += chunk.length
        }
        return Block(owner: rank, parts: parts)
    }

    /// What this rank sends for step `step` of `receiver` in the present layer.
    func block(step: Int, layer: Int, for receiver: Int) -> Block? {
        guard phase == .ring, layer == self.layer else { return nil }
        if let origin = onward(step, to: receiver) {
            let there = held(step: origin)
            let runs = pass.route.steps[origin].onward.first { $0.transfer.peer.index == receiver }?.transfer.runs
            // A real engine that looks into the wrong buffer sends what lies there.
            return there?.cut(to: runs ?? []) ?? (mutation == .wrongBuffer ? there : nil)
        }
        return pass.route.steps[step].serve.flatMap { ownBlock.cut(to: $0.runs) }
    }

    /// The own step at which was attended to what goes on to a peer's step; nil where it is the rank's own.
    func onward(_ step: Int, to peer: Int) -> Int? {
        let (tour, own) = (pass.route.tour, Rank(rank))
        let owner = tour.kvOwner(for: Rank(peer), atStep: step)
        return owner == own ? nil : tour.step(of: own, attendingTo: owner)
    }

    mutating func turn(_ event: RingPass.Event, _ random: inout SplitMix64, _ effects: inout [Effect]) {
        var directives: [RingPass.Directive] = []
        pass.handle(event, into: &directives)
        for directive in directives {
            switch directive {
            case .receive(let step, let buffer):
                // Nothing of what lay there is left to be taken for what comes.
                if mutation != .wrongBuffer { buffers[buffer] = nil }
                for transfer in pass.route.steps[step].receives { posted.append((step, transfer.peer.index, buffer)) }
            case .serve(let step):
                guard let peer = pass.route.steps[step].serve?.peer.index else { preconditionFailure("nobody is served at step \(step)") }
                effects.append(.send(.offer(layer: layer, step: step), to: peer))
            case .forward(let step):
                for onward in pass.route.steps[step].onward {
                    onwardLeft[step] += 1
                    effects.append(.send(.offer(layer: layer, step: onward.step), to: onward.transfer.peer.index))
                }
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

    /// Takes what is offered and wanted.
    mutating func pull(_ effects: inout [Effect]) {
        guard phase == .ring else { return }
        while let place = offers.firstIndex(where: { offer in
            offer.layer == layer && posted.contains { $0.step == offer.step && $0.sender == offer.sender }
        }) {
            let offer = offers.remove(at: place)
            effects.append(.pull(layer: offer.layer, step: offer.step, from: offer.sender))
        }
    }

    mutating func take(
        _ block: Block, layer: Int, step: Int, from sender: Int, _ random: inout SplitMix64, _ effects: inout [Effect]
    ) {
        guard phase == .ring, layer == self.layer, let place = posted.firstIndex(where: { $0.step == step && $0.sender == sender }) else {
            return
        }
        let buffer = mutation == .wrongBuffer ? 0 : posted[place].buffer
        posted.remove(at: place)
        if let there = buffers[buffer], there.owner == block.owner {
            buffers[buffer]?.add(block)
        } else {
            buffers[buffer] = block
        }
        effects.append(.send(.taken(layer: layer, step: step), to: sender))
        if !posted.contains(where: { $0.step == step }) { turn(.received(step: step), &random, &effects) }
    }

    mutating func noteAttended(_ random: inout SplitMix64, _ effects: inout [Effect]) {
        guard phase == .ring else { return }
        let block = held(step: attending) ?? Block(owner: rank, parts: [])
        let isSkipped = mutation == .skipBlock && attending == world - 1 && rank == 0
        if !isSkipped { attend(to: block) }
        if mutation == .mergeTwice, attending == 0, rank == world - 1 { attend(to: block) }
        idleSince = clock
        turn(.attended(step: attending), &random, &effects)
    }

    /// Adds the block's part to every own row.
    private mutating func attend(to block: Block) {
        var queryBase = 0
        for queries in own {
            for part in block.parts where mask.visibility(of: part.positions, to: queries.range) != .none {
                for query in 0..<queries.length where level(queryBase + query) <= layer {
                    let (row, seen) = (history[queryBase + query][layer], mask.runs(of: queries.start + query))
                    var (pairs, sum): (Int, UInt64) = (0, 0)
                    for key in [seen.sinks, seen.main].flatMap({ $0.clamped(to: part.positions) }) {
                        sum &+= IntegerModel.weight(row, part.rows[key - part.positions.lowerBound], layer: layer)
                        pairs += 1
                    }
                    partials[queryBase + query] += Partial(pairs: pairs, sum: sum)
                }
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
