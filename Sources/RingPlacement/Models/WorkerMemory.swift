// What every worker holds, and whether it fits. Tokens are dealt by speed; common weights are on every worker; experts are dealt in slots,
// an even share and a spare one each, cut where memory is short; what memory cannot hold goes to NVMe where there is some.

/// What one worker of a kind holds.
public struct WorkerMemory: Hashable, Sendable {
    /// The machines' name.
    public var name: String
    /// Workers of the kind, on all machines.
    public var count: Int
    /// Bytes that one may fill.
    public var availableBytes: Double
    /// Share of the context's tokens that one owns.
    public var share: Double
    /// Bytes of weights that every worker has.
    public var denseBytes: Double
    /// Bytes of keys, values and states of all sequences.
    public var cacheBytes = 0.0
    /// Bytes of activations, queries, partials and receive buffers of one prefill.
    public var activationBytes = 0.0
    /// Expert slots of each layer.
    public var slots = 0
    /// Slots that it would have if memory were no matter.
    public var slotsWanted = 0
    /// Bytes of the experts in these slots.
    public var expertBytes = 0.0
    /// Share of all expert work.
    public var expertShare = 0.0
    /// Bytes of experts that it reads from its machine's NVMe.
    public var spilledBytes = 0.0

    /// Bytes without experts.
    public var fixedBytes: Double { denseBytes + cacheBytes + activationBytes }
    /// Bytes in all.
    public var bytes: Double { fixedBytes + expertBytes }
    /// Bytes that are missing though it holds no expert at all.
    public var missingBytes: Double { max(0, fixedBytes - availableBytes) }
}

/// Whether a model with its context fits a cluster.
public enum Fit: Hashable, Sendable {
    /// It does, in memory.
    case fits
    /// It does if these bytes of experts lie on NVMe.
    case spills(bytes: Double)
    /// It does not: bytes that are missing in memory, over all workers, and of them bytes of experts that NVMe cannot take either.
    case missing(memoryBytes: Double, expertBytes: Double)

    /// Whether it can run at all.
    public var runs: Bool { if case .missing = self { false } else { true } }
}

/// What the workers of a cluster hold.
public struct MemoryPlan: Hashable, Sendable {
    /// One entry for each kind of machine.
    public private(set) var workers: [WorkerMemory]
    /// Whether it fits.
    public private(set) var fit = Fit.fits

    /// Deals what the question asks for.
    init(_ question: PlanQuestion) {
        let kinds = question.cluster.machines
        let flops = kinds.reduce(0) { $0 + $1.flopsPerSecond * Double($1.count) }
        let assumptions = question.assumptions
        workers = kinds.map { kind in
            let share = kind.flopsPerSecond / Double(kind.workers) / flops
            var worker = WorkerMemory(
                name: kind.name, count: kind.count * kind.workers, availableBytes: kind.workerBytes, share: share,
                denseBytes: question.denseBytes / (assumptions.sharesWeights ? Double(kind.workers) : 1))
            worker.cacheBytes = question.cacheBytes(share: share)
            worker.activationBytes = question.activationBytes(share: share)
            return worker
        }
        dealExperts(question)
        judge(question)
    }

    private mutating func dealExperts(_ question: PlanQuestion) {
        guard let experts = question.model.experts, question.model.sparseLayers > 0 else { return }
        let slotBytes = question.expertBytes * Double(question.model.sparseLayers)
        let room = workers.map { Int(max(0, ($0.availableBytes - $0.fixedBytes) / slotBytes).rounded(.down)) }
        for place in workers.indices {
            let even = Int((Double(experts.count) * workers[place].share).rounded(.up))
            workers[place].slotsWanted = min(experts.count, even + question.assumptions.spare)
            workers[place].slots = min(workers[place].slotsWanted, room[place])
        }
        func dealt() -> Int { workers.reduce(0) { $0 + $1.count * $1.slots } }
        if dealt() < experts.count {
            // Whoever has room takes more than its share before anything goes to NVMe.
            for place in workers.indices { workers[place].slots = min(experts.count, room[place]) }
        }
        spill(experts.count - dealt(), slotBytes, question.cluster.machines)
        shareWork(Double(experts.count))
        for place in workers.indices { workers[place].expertBytes = Double(workers[place].slots) * slotBytes }
    }

    /// Puts `count` experts of each layer on NVMe, by its size.
    private mutating func spill(_ count: Int, _ slotBytes: Double, _ kinds: [MachineShape]) {
        guard count > 0 else { return }
        let bytes = Double(count) * slotBytes
        let room = kinds.reduce(0) { $0 + $1.nvmeBytes * Double($1.count) }
        guard room >= bytes else {
            fit = .missing(memoryBytes: bytes, expertBytes: bytes - room)
            return
        }
        fit = .spills(bytes: bytes)
        for place in workers.indices { workers[place].spilledBytes = bytes * kinds[place].nvmeBytes / room / Double(kinds[place].workers) }
    }

    /// Work goes by speed, but nobody has more of it than its slots hold of the experts; what that leaves goes to the others.
    private mutating func shareWork(_ experts: Double) {
        guard case .fits = fit else {
            for place in workers.indices { workers[place].expertShare = workers[place].share }
            return
        }
        // Kinds in the order in which their slots are full when all work grows evenly.
        let order = workers.indices.sorted { left, right in
            let (one, other) = (workers[left], workers[right])
            return Double(one.slots) / one.share < Double(other.slots) / other.share
        }
        var (work, speed) = (1.0, workers.reduce(0) { $0 + $1.share * Double($1.count) })
        for place in order {
            let worker = workers[place]
            let count = Double(worker.count)
            let share = min(work * worker.share / speed, Double(worker.slots) / experts)
            workers[place].expertShare = share
            work -= share * count
            speed -= worker.share * count
        }
    }

    private mutating func judge(_ question: PlanQuestion) {
        let fixed = workers.reduce(0) { $0 + $1.missingBytes * Double($1.count) }
        guard fixed > 0 else { return }
        switch fit {
        case .fits: fit = .missing(memoryBytes: fixed, expertBytes: 0)
        case .spills(let bytes): fit = .missing(memoryBytes: fixed + bytes, expertBytes: 0)
        case .missing(let memory, let experts): fit = .missing(memoryBytes: fixed + memory, expertBytes: experts)
        }
    }
}

extension PlanQuestion {
    /// Bytes of keys, values and states of a worker with `share` of the tokens. Windows and states are with every worker: any may lead.
    func cacheBytes(share: Double) -> Double {
        let one = model.layers.reduce(0) { sum, group in
            let attention = group.attention
            let kept = Double(tokens) * share * attention.cacheElements + attention.windowElements
            return sum + Double(group.count) * (kept * cacheType.bytes + attention.stateBytes)
        }
        return one * Double(sequences)
    }

    /// Bytes beside: the residual streams of its tokens, one layer's queries and partial outputs of them all, two receive buffers of a
    /// shard's keys and values, and the widest part of a feed-forward layer for one slice.
    func activationBytes(share: Double) -> Double {
        let owned = Double(tokens) * share
        let heads = model.layers.reduce(0) { max($0, $1.attention.heads * ($1.attention.queryDim + $1.attention.outputDim)) }
        let kept = owned * (Double(model.streams * model.hidden) + Double(heads)) * assumptions.activationBytes
        let buffers = 2 * owned * model.widestCacheElements * cacheType.bytes
        var widest = 2 * (model.denseLayers > 0 ? model.denseWidth : 0)
        if let experts = model.experts { widest = max(widest, experts.chosen * (experts.latent ?? model.hidden) + 2 * experts.sharedWidth) }
        let slice = min(owned, Double(assumptions.slice)) * Double(widest) * assumptions.activationBytes
        return kept + buffers + slice
    }
}
