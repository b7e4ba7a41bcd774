// How long one step of decoding takes: the next token of every sequence. Nothing overlaps here: a token's way through a layer is
// sequential, and each exchange is waited for. Within a phase arithmetic goes on while memory is read.

/// One step of decoding.
public struct DecodePlan: Hashable, Sendable {
    /// Its phases.
    public private(set) var time: StepTime
    /// Bytes that all workers read from memory.
    public private(set) var memoryBytes: Double
    /// Experts of one layer that the busiest worker reads, on average.
    public private(set) var busiestExperts: Double
    /// Sequences whose tokens the step gives.
    public private(set) var sequences: Int

    /// Tokens a second over all sequences.
    public var tokensPerSecond: Double { Double(sequences) / time.seconds }

    /// The step after a context of the asked length.
    init(_ question: PlanQuestion, _ memory: MemoryPlan) {
        let phases = DecodePhases(question, memory)
        sequences = question.sequences
        let attention = phases.attention()
        let common = phases.common()
        var all = [attention.phase, common]
        memoryBytes = attention.memoryBytes + phases.commonBytes
        busiestExperts = 0
        if question.model.experts != nil, question.model.sparseLayers > 0 {
            let experts = phases.experts()
            all.append(experts.phase)
            busiestExperts = experts.busiest
            memoryBytes += phases.activeExperts * question.expertBytes * Double(question.model.sparseLayers)
        }
        time = StepTime(phases: all)
    }
}

/// The phases of a step of decoding.
private struct DecodePhases {
    let question: PlanQuestion
    let memory: MemoryPlan
    private var model: ModelSpec { question.model }
    private var assumptions: PlanAssumptions { question.assumptions }
    private var batch: Double { Double(question.sequences) }

    init(_ question: PlanQuestion, _ memory: MemoryPlan) { (self.question, self.memory) = (question, memory) }

    private func speed(_ kind: Int) -> Double {
        question.cluster.machines[kind].flopsPerSecond / Double(question.cluster.machines[kind].workers)
    }

    private func bandwidth(_ kind: Int) -> Double {
        let shape = question.cluster.machines[kind]
        return shape.memoryBytesPerSecond / Double(shape.workers) * assumptions.memory
    }

    /// The first machine has the leader; others talk to it over its link.
    private var leader: MachineShape { question.cluster.machines[0] }
    private var leaderLink: Double { leader.linkBytesPerSecond * assumptions.link }
    private var others: Double { Double(question.cluster.workerCount - leader.workers) }
    private var isAlone: Bool { question.cluster.workerCount == 1 }
    private var latency: Double { question.cluster.machines.map(\.latencySeconds).max() ?? 0 }

    /// Attention over the cache where it lies: queries go to every rank, partials come back, in each layer that reaches the whole context.
    func attention() -> (phase: PhaseTime, memoryBytes: Double) {
        var slowest = PhaseTime(.attention)
        var exchange = PhaseTime(.attention)
        for group in model.layers where group.attention.reachesWholeContext && !isAlone {
            let heads = Double(group.attention.heads)
            let query = heads * Double(group.attention.queryDim) * assumptions.activationBytes
            let partial = heads * Double(group.attention.outputDim + 1) * assumptions.activationBytes
            let bytes = others * batch * max(query, partial)
            exchange.linkBytes += Double(group.count) * bytes
            exchange[.link] += Double(group.count) * (others * batch * (query + partial) / leaderLink + 2 * latency)
        }
        for kind in memory.workers.indices {
            var phase = PhaseTime(.attention)
            for group in model.layers {
                // Windows and states are with the leader, which is of the first kind.
                let share = group.attention.reachesWholeContext ? memory.workers[kind].share : kind == 0 ? 1 : 0
                let read = bytes(group.attention) * share * batch
                let flops = group.attention.decodeFlops(tokens: question.tokens) * share * batch
                let count = Double(group.count)
                phase.flops += count * flops
                phase.memoryBytes += count * read
                phase[.compute] += count * flops / (speed(kind) * assumptions.attention)
                phase[.memory] += count * read / bandwidth(kind)
                phase.seconds += count * max(flops / (speed(kind) * assumptions.attention), read / bandwidth(kind))
            }
            if phase.seconds >= slowest.seconds { slowest = phase }
        }
        slowest.linkBytes = exchange.linkBytes
        slowest[.link] = exchange[.link]
        slowest.seconds += exchange[.link]
        let all = model.layers.reduce(0) { $0 + Double($1.count) * bytes($1.attention) * batch }
        return (slowest, all)
    }

    /// Bytes that one token reads of one layer's cache, or reads and writes of its state.
    private func bytes(_ attention: AttentionSpec) -> Double {
        attention.decodeElements(tokens: question.tokens) * question.cacheType.bytes + 2 * attention.stateBytes
    }

    /// Parameters that every token meets, the output matrix among them.
    private var commonParameters: Double {
        Double(model.attentionParameters + model.commonParameters + model.vocabulary * model.hidden)
    }

    /// Bytes of these.
    var commonBytes: Double { commonParameters * question.denseType.bytes }

    /// The common layers of the new tokens, by the leader or by all.
    func common() -> PhaseTime {
        var phase = PhaseTime(.common)
        let flops = 2 * batch * commonParameters
        switch assumptions.denseDecode {
        case .leader:
            (phase.flops, phase.memoryBytes) = (flops, commonBytes)
            phase[.compute] = flops / (speed(0) * assumptions.linear)
            phase[.memory] = commonBytes / bandwidth(0)
        case .spread:
            let workers = memory.workers.indices.map { ($0, Double(memory.workers[$0].count)) }
            let speeds = workers.reduce(0) { $0 + speed($1.0) * $1.1 }
            let bandwidths = workers.reduce(0) { $0 + bandwidth($1.0) * $1.1 }
            (phase.flops, phase.memoryBytes) = (flops * speed(0) / speeds, commonBytes * bandwidth(0) / bandwidths)
            phase[.compute] = flops / (speeds * assumptions.linear)
            phase[.memory] = commonBytes / bandwidths
            if !isAlone {
                // Shares of a vector are put together twice a layer: scattered and summed, then gathered; each passes a link twice.
                let bytes = question.cluster.machineCount > 1 ? 2 * batch * Double(model.hidden) * assumptions.activationBytes : 0
                let sums = Double(2 * model.layerCount)
                phase.linkBytes = sums * bytes
                phase[.link] = sums * (bytes / leaderLink + 2 * latency)
            }
        }
        phase.seconds = max(phase[.compute], phase[.memory]) + phase[.link]
        return phase
    }

    /// Experts of one layer that some token of the step goes to: all choices are taken as independent and alike.
    var activeExperts: Double {
        guard let experts = model.experts else { return 0 }
        let missed = power(1 - Double(experts.chosen) / Double(experts.count), question.sequences)
        return Double(experts.count) * (1 - missed)
    }

    /// Routed experts: each worker reads those of its own that are asked for, and the step waits for the busiest.
    func experts() -> (phase: PhaseTime, busiest: Double) {
        guard let experts = model.experts else { return (PhaseTime(.experts), 0) }
        let layers = Double(model.sparseLayers)
        let picks = max(1, Int(activeExperts.rounded()))
        var (slowest, busiest) = (PhaseTime(.experts), 0.0)
        for kind in memory.workers.indices {
            let worker = memory.workers[kind]
            let read = expectedBusiest(picks: picks, share: worker.expertShare, workers: worker.count)
            var phase = PhaseTime(.experts)
            phase.memoryBytes = read * question.expertBytes * layers
            let tokensEach = batch * Double(experts.chosen) / activeExperts
            phase.flops = 2 * read * tokensEach * Double(model.expertParameters) * layers
            phase[.compute] = phase.flops / (speed(kind) * assumptions.experts)
            phase[.memory] = phase.memoryBytes / bandwidth(kind)
            phase[.nvme] = nvmeSeconds(kind)
            phase.seconds = max(phase[.compute], phase[.memory], phase[.nvme])
            if phase.seconds >= slowest.seconds { (slowest, busiest) = (phase, read) }
        }
        if !isAlone {
            let machines = MachineTraffic(question, memory, kind: 0).remoteMachines(chosen: experts.chosen)
            let width = Double(experts.latent ?? model.hidden)
            let (out, back) = (assumptions.dispatchBytes * width, assumptions.combineBytes * width)
            slowest.linkBytes = layers * batch * machines * max(out, back)
            slowest[.link] = layers * (batch * machines * (out + back) / leaderLink + 2 * latency)
            slowest.seconds += slowest[.link]
        }
        return (slowest, busiest)
    }

    /// Seconds for experts that lie on NVMe: their share of what is asked for, and a whole expert where any is.
    private func nvmeSeconds(_ kind: Int) -> Double {
        let worker = memory.workers[kind]
        guard worker.spilledBytes > 0, let experts = model.experts else { return 0 }
        let shape = question.cluster.machines[kind]
        let all = Double(experts.count * model.sparseLayers) * question.expertBytes
        let asked = activeExperts * worker.spilledBytes * Double(shape.workers) / all
        let everywhere = asked * Double(shape.count)
        let reads = max(asked, min(1, everywhere))
        return Double(model.sparseLayers) * reads * question.expertBytes / (shape.nvmeBytesPerSecond * assumptions.nvme)
    }
}

/// The expected greatest of `workers` counts when `picks` things fall on workers, each with the chance `share` for one of them.
///
/// Counts are taken as independent binomials: E[max] is the sum over m >= 0 of 1 - P(count <= m)^workers, within some 2% of the multinomial's
/// from two things on. Beyond a share of a half, where
/// one worker has most of everything, and for counts so large that chances vanish in a double, the mean is returned.
func expectedBusiest(picks: Int, share: Double, workers: Int) -> Double {
    guard picks > 0, share > 0, workers > 0 else { return 0 }
    var chance = power(1 - min(1, share), picks)  // that exactly m fall on a worker, from m = 0 on
    guard share <= 0.5, chance > 0 else { return min(1, share) * Double(picks) }
    let sharesAll = share * Double(workers) > 0.999
    var (below, sum) = (0.0, 0.0)
    for count in 0..<picks {
        below = min(1, below + chance)
        // Where these workers get everything, somebody has a mean share at least.
        let more = sharesAll && count * workers < picks ? 1 : 1 - power(below, workers)
        sum += more
        if more < 1e-12 { break }
        chance *= Double(picks - count) / Double(count + 1) * share / (1 - share)
    }
    return sum
}
