// How long the prefill of one context takes, phase by phase. In each layer the exchange round the ring goes on while attention is
// computed, and dispatch while experts are, so a phase takes as long as its slowest resource; phases follow one another. Every worker
// waits for the slowest, so a phase has the seconds of the kind of machine that needs longest.

/// How tokens and experts come together in a prefill.
public enum ExpertMovement: String, Hashable, Sendable {
    /// Nothing moves: one machine, or no experts.
    case none = "none"
    /// Tokens go to their experts, and sums come back.
    case tokens = "tokens"
    /// Experts go round all machines, layer by layer.
    case experts = "experts"
}

/// The prefill of one sequence.
public struct PrefillPlan: Hashable, Sendable {
    /// Its phases.
    public private(set) var time: StepTime
    /// How latent attention meets its keys.
    public private(set) var form: LatentForm
    /// How tokens and experts come together.
    public private(set) var movement: ExpertMovement
    /// FLOP over all workers.
    public private(set) var flops: Double
    /// Bytes of one hop of the ring in the layer that keeps the most: one rank's block.
    public private(set) var hopBytes: Double
    /// Bytes into the busiest machine for the ring, in the whole prefill.
    public private(set) var ringBytes: Double
    /// Bytes through the busiest machine's link, in its busier direction, if tokens go to experts; nil without experts.
    public private(set) var dispatchBytes: Double?
    /// The same if experts go round instead.
    public private(set) var rotationBytes: Double?

    /// The prefill that takes least time.
    init(_ question: PlanQuestion, _ memory: MemoryPlan) {
        let phases = PrefillPhases(question, memory)
        let forms = [LatentForm.expanded, .absorbed].map { ($0, phases.attention($0)) }
        let attention = forms[1].1.seconds < forms[0].1.seconds ? forms[1] : forms[0]
        form = attention.0
        var all = [attention.1, phases.common()]
        movement = .none
        if question.model.experts != nil, question.model.sparseLayers > 0 {
            let tokens = phases.experts(.tokens)
            let rotation = phases.experts(.experts)
            let several = question.cluster.machineCount > 1
            movement = several ? (rotation.seconds < tokens.seconds ? .experts : .tokens) : .none
            all.append(movement == .experts ? rotation : tokens)
            (dispatchBytes, rotationBytes) = (tokens.linkBytes, rotation.linkBytes)
        }
        time = StepTime(phases: all)
        flops = phases.flops(form)
        hopBytes =
            Double(question.tokens) * (memory.workers.map(\.share).max() ?? 0) * question.model.widestCacheElements
            * question.cacheType.bytes
        ringBytes = attention.1.linkBytes
    }
}

/// The phases of a prefill, each for the kind of machine that needs longest.
private struct PrefillPhases {
    let question: PlanQuestion
    let memory: MemoryPlan
    let traffic: [MachineTraffic]
    private var model: ModelSpec { question.model }
    private var assumptions: PlanAssumptions { question.assumptions }

    init(_ question: PlanQuestion, _ memory: MemoryPlan) {
        (self.question, self.memory) = (question, memory)
        traffic = memory.workers.indices.map { MachineTraffic(question, memory, kind: $0) }
    }

    private func slowest(_ phase: (Int) -> PhaseTime) -> PhaseTime {
        memory.workers.indices.map(phase).max { $0.seconds < $1.seconds } ?? PhaseTime(.common)
    }

    /// FLOP/s of a worker of a kind at its peak.
    private func speed(_ kind: Int) -> Double {
        question.cluster.machines[kind].flopsPerSecond / Double(question.cluster.machines[kind].workers)
    }

    /// Bytes/s that a worker of a kind reads.
    private func bandwidth(_ kind: Int) -> Double {
        let shape = question.cluster.machines[kind]
        return shape.memoryBytesPerSecond / Double(shape.workers) * assumptions.memory
    }

    /// Times that a worker of a kind goes through a layer's weights.
    private func passes(_ kind: Int) -> Double {
        (Double(question.tokens) * memory.workers[kind].share / Double(assumptions.slice)).rounded(.up)
    }

    /// Attention of all layers, with the ring under it. A rank expands the latents of others that it gets, and its own among its
    /// projections.
    func attention(_ form: LatentForm) -> PhaseTime {
        slowest { kind in
            var phase = PhaseTime(.attention)
            let worker = memory.workers[kind]
            let shape = question.cluster.machines[kind]
            for group in model.layers {
                let count = Double(group.count)
                var flops = group.attention.prefillFlops(tokens: question.tokens, form: form) * worker.share
                if form == .expanded {
                    flops += group.attention.expansionFlops * Double(question.tokens) * assumptions.ring * (1 - worker.share)
                }
                let bytes = traffic[kind].ring(group.attention)
                let hops = group.attention.reachesWholeContext ? Double(question.cluster.workerCount - 1) : 0
                let compute = flops / (speed(kind) * assumptions.attention)
                let link = traffic[kind].linkSeconds(bytes.machine) + hops * shape.latencySeconds
                let rack = traffic[kind].rackSeconds(bytes.rack)
                phase.flops += count * flops
                phase.linkBytes += count * bytes.machine
                phase[.compute] += count * compute
                phase[.link] += count * link
                phase[.rackLink] += count * rack
                phase.seconds += count * max(compute, link, rack)
            }
            return phase
        }
    }

    /// Projections, dense feed-forward parts, shared experts, routers; the output matrix meets one token.
    func common() -> PhaseTime {
        slowest { kind in
            var phase = PhaseTime(.common)
            let owned = Double(question.tokens) * memory.workers[kind].share
            let parameters = Double(model.attentionParameters + model.commonParameters)
            phase.flops = 2 * owned * parameters
            phase.memoryBytes = passes(kind) * parameters * question.denseType.bytes
            phase[.compute] = phase.flops / (speed(kind) * assumptions.linear)
            phase[.memory] = phase.memoryBytes / bandwidth(kind)
            phase.seconds = max(phase[.compute], phase[.memory])
            return phase
        }
    }

    /// Routed experts of all layers, with what moves under them.
    func experts(_ movement: ExpertMovement) -> PhaseTime {
        guard let experts = model.experts else { return PhaseTime(.experts) }
        let layers = Double(model.sparseLayers)
        let flops = 2 * Double(question.tokens) * Double(experts.chosen) * Double(model.expertParameters) * layers
        return slowest { kind in
            var phase = PhaseTime(.experts)
            let worker = memory.workers[kind]
            let shape = question.cluster.machines[kind]
            let bytes: LinkBytes
            if movement == .experts {
                bytes = traffic[kind].rotation(experts: experts)
                phase.flops = flops * worker.share
                phase.memoryBytes = Double(experts.count) * question.expertBytes * layers
            } else {
                bytes = traffic[kind].dispatch(tokens: Double(question.tokens), experts: experts, hidden: model.hidden)
                phase.flops = flops * worker.expertShare / (question.cluster.workerCount > 1 ? assumptions.balance : 1)
                phase.memoryBytes = passes(kind) * worker.expertBytes
            }
            phase.linkBytes = bytes.machine * layers
            phase[.compute] = phase.flops / (speed(kind) * assumptions.experts)
            phase[.memory] = phase.memoryBytes / bandwidth(kind)
            phase[.link] = traffic[kind].linkSeconds(phase.linkBytes)
            phase[.rackLink] = traffic[kind].rackSeconds(bytes.rack * layers)
            if worker.spilledBytes > 0 {
                let read = worker.spilledBytes * Double(shape.workers) * (movement == .experts ? 1 : passes(kind))
                phase[.nvme] = read / (shape.nvmeBytesPerSecond * assumptions.nvme)
            }
            phase.seconds = phase.alone.max() ?? 0
            return phase
        }
    }

    /// FLOP of the whole prefill over all workers, what several ranks do over again among them.
    func flops(_ form: LatentForm) -> Double {
        let tokens = Double(question.tokens)
        let linear = 2 * tokens * Double(model.attentionParameters + model.commonParameters)
        let experts = 2 * tokens * Double((model.experts?.chosen ?? 0) * model.sparseLayers) * Double(model.expertParameters)
        let again = form == .expanded ? assumptions.ring * Double(question.cluster.workerCount - 1) * tokens : 0
        return model.layers.reduce(linear + experts) { sum, group in
            let attention = group.attention
            let scores = attention.prefillFlops(tokens: question.tokens, form: form)
            return sum + Double(group.count) * (scores + again * attention.expansionFlops)
        }
    }
}
