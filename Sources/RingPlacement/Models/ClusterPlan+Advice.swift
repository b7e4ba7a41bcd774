// What would do where a model does not fit, the smallest cluster on which it does, and what one change at a time would give. All of it is
// the same plan, asked again: nothing here knows a formula.

/// What a cluster must give.
public struct PlanTarget: Hashable, Sendable {
    /// A prefill takes no longer than this.
    public var prefillSeconds: Double?
    /// All sequences together decode at least so many tokens a second.
    public var tokensPerSecond: Double?
    /// Experts may lie on NVMe.
    public var allowsNVMe = false

    /// It fits in memory, no more.
    public init() {}

    /// Whether a plan gives it.
    public func isMet(by plan: ClusterPlan) -> Bool {
        switch plan.memory.fit {
        case .missing: return false
        case .spills: if !allowsNVMe { return false }
        case .fits: break
        }
        if let prefillSeconds, plan.prefillSeconds ?? .infinity > prefillSeconds { return false }
        if let tokensPerSecond, plan.tokensPerSecond ?? 0 < tokensPerSecond { return false }
        return true
    }
}

/// One change and the plan that it gives.
public struct PlanChange: Hashable, Sendable {
    /// What is changed.
    public enum What: Hashable, Sendable {
        /// One more machine, of the last kind.
        case oneMachineMore
        /// Every link, and every rack's uplink, twice as fast.
        case linkTwice
        /// Every memory twice as fast.
        case memoryTwice
        /// Experts kept in this type.
        case experts(StoredType)
        /// Keys and values kept in this type.
        case cache(StoredType)
        /// All other weights kept in this type.
        case dense(StoredType)
        /// New tokens' common layers computed by all workers instead of the leader.
        case spreadDecode
    }

    /// What is changed.
    public let what: What
    /// The plan with the change.
    public let plan: ClusterPlan
}

/// What would make room.
public enum Remedy: Hashable, Sendable {
    /// So many machines, the further ones of the last kind.
    case machines(Int)
    /// So many bytes of memory in every machine.
    case memory(bytes: Double)
    /// So many bytes of NVMe over all machines.
    case nvme(bytes: Double)
    /// Experts in this type.
    case experts(StoredType)
    /// All other weights in this type.
    case dense(StoredType)
    /// Keys and values in this type.
    case cache(StoredType)
    /// A context of at most so many tokens.
    case tokens(Int)
    /// One copy of the common weights for all workers of a machine.
    case sharedWeights
}

extension ClusterPlan {
    /// Machines of the smallest cluster of the same kinds that gives `target`, from one up; nil if none of at most `most` does.
    public func smallest(_ target: PlanTarget = PlanTarget(), most: Int = 4096) -> ClusterPlan? {
        for count in 1...max(1, min(most, ClusterShape.machinesMax)) {
            var question = self.question
            question.cluster = question.cluster.resized(to: count)
            // Memory is judged first: most counts that will not do fail there, and it is the cheap half of a plan.
            guard MemoryPlan(question).fit.runs else { continue }
            let plan = ClusterPlan(checked: question)
            if target.isMet(by: plan) { return plan }
        }
        return nil
    }

    /// The plan after each change that would be one.
    public func changes() -> [PlanChange] {
        var kinds: [PlanChange.What] = [.oneMachineMore, .linkTwice, .memoryTwice]
        if question.model.sparseLayers > 0 {
            if question.expertType.bits > StoredType.fp8.bits { kinds.append(.experts(.fp8)) }
            if question.expertType.bits > StoredType.int4.bits { kinds.append(.experts(.int4)) }
        }
        if question.denseType.bits > StoredType.fp8.bits { kinds.append(.dense(.fp8)) }
        if question.cacheType.bits > StoredType.fp8.bits { kinds.append(.cache(.fp8)) }
        if question.assumptions.denseDecode == .leader, question.cluster.workerCount > 1 { kinds.append(.spreadDecode) }
        if question.cluster.machineCount == ClusterShape.machinesMax { kinds.removeFirst() }
        return kinds.map { PlanChange(what: $0, plan: ClusterPlan(checked: question.changed($0))) }
    }

    /// What would make it fit, each thing alone; nothing where it does.
    public func remedies() -> [Remedy] {
        guard case .missing(_, let expertBytes) = memory.fit else { return [] }
        var found: [Remedy] = []
        if let plan = smallest() { found.append(.machines(plan.question.cluster.machineCount)) }
        if let bytes = memoryNeeded() { found.append(.memory(bytes: bytes)) }
        if expertBytes > 0, memory.workers.allSatisfy({ $0.missingBytes == 0 }) { found.append(.nvme(bytes: expertBytes + nvmeBytes)) }
        for type in [StoredType.fp8, .int4] where question.model.sparseLayers > 0 && type.bits < question.expertType.bits {
            if fits(question.changed(.experts(type))) {
                found.append(.experts(type))
                break
            }
        }
        if question.denseType.bits > StoredType.fp8.bits, fits(question.changed(.dense(.fp8))) { found.append(.dense(.fp8)) }
        if question.cacheType.bits > StoredType.fp8.bits, fits(question.changed(.cache(.fp8))) { found.append(.cache(.fp8)) }
        var shared = question
        shared.assumptions.sharesWeights = true
        if !question.assumptions.sharesWeights, fits(shared) { found.append(.sharedWeights) }
        if let tokens = tokensMax() { found.append(.tokens(tokens)) }
        return found
    }

    /// The longest context, in tokens, that fits; nil if not even one token does.
    public func tokensMax() -> Int? {
        var shorter = question
        func fits(_ tokens: Int) -> Bool {
            shorter.tokens = tokens
            return self.fits(shorter)
        }
        guard fits(1) else { return nil }
        var (good, bad) = (1, PlanQuestion.tokensMax + 1)
        while bad - good > 1 {
            let middle = good + (bad - good) / 2
            if fits(middle) { good = middle } else { bad = middle }
        }
        return good
    }

    private func fits(_ question: PlanQuestion) -> Bool { MemoryPlan(question).fit.runs }

    private var nvmeBytes: Double { question.cluster.machines.reduce(0) { $0 + $1.nvmeBytes * Double($1.count) } }

    /// Bytes of memory with which machines of one kind would do, to a thousandth; nil where there are several kinds.
    private func memoryNeeded() -> Double? {
        guard question.cluster.machines.count == 1 else { return nil }
        var larger = question
        func fits(_ bytes: Double) -> Bool {
            larger.cluster.machines[0].memoryBytes = bytes
            return self.fits(larger)
        }
        var (bad, good) = (question.cluster.machines[0].memoryBytes, question.cluster.machines[0].memoryBytes * 2)
        while !fits(good) { (bad, good) = (good, good * 2) }
        while good - bad > good / 1000 {
            let middle = (good + bad) / 2
            if fits(middle) { good = middle } else { bad = middle }
        }
        return good
    }
}

extension PlanQuestion {
    /// The same question with one thing changed.
    public func changed(_ what: PlanChange.What) -> PlanQuestion {
        var other = self
        switch what {
        case .oneMachineMore: other.cluster = cluster.resized(to: cluster.machineCount + 1)
        case .linkTwice:
            for place in other.cluster.machines.indices { other.cluster.machines[place].linkBytesPerSecond *= 2 }
            other.cluster.racks?.uplinkBytesPerSecond *= 2
        case .memoryTwice:
            for place in other.cluster.machines.indices { other.cluster.machines[place].memoryBytesPerSecond *= 2 }
        case .experts(let type): other.expertType = type
        case .cache(let type): other.cacheType = type
        case .dense(let type): other.denseType = type
        case .spreadDecode: other.assumptions.denseDecode = .spread
        }
        return other
    }
}
