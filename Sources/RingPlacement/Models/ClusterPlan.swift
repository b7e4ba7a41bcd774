// The answer: what every worker holds, whether it fits, how long a prefill and a step of decoding take, what waits for what, what it
// costs. The same question gives the same answer, to the bit. What else would change it is in ClusterPlan+Advice.swift.

/// A plan for one model, context and cluster.
public struct ClusterPlan: Hashable, Sendable {
    /// What was asked.
    public let question: PlanQuestion
    /// What every worker holds, and whether it fits.
    public let memory: MemoryPlan
    /// The prefill of one sequence; nil where it does not fit.
    public let prefill: PrefillPlan?
    /// One step of decoding after a full context; nil where it does not fit.
    public let decode: DecodePlan?

    /// Answers a question.
    public init(_ question: PlanQuestion) throws(PlanningError) {
        try question.check()
        self.init(checked: question)
    }

    /// The same for a question whose values are known to be sound.
    init(checked question: PlanQuestion) {
        self.question = question
        memory = MemoryPlan(question)
        prefill = memory.fit.runs ? PrefillPlan(question, memory) : nil
        decode = memory.fit.runs ? DecodePlan(question, memory) : nil
    }

    /// Seconds of a prefill; nil where it does not fit.
    public var prefillSeconds: Double? { prefill?.time.seconds }
    /// Tokens a second of all sequences together; nil where it does not fit.
    public var tokensPerSecond: Double? { decode?.tokensPerSecond }

    /// What a million tokens of prefill cost; nil without a price.
    public var prefillCost: Double? {
        guard let prefill, let price = question.cluster.pricePerHour else { return nil }
        return prefill.time.seconds / Double(question.tokens) * 1e6 / 3600 * price
    }

    /// What a million decoded tokens cost; nil without a price.
    public var decodeCost: Double? {
        guard let decode, let price = question.cluster.pricePerHour else { return nil }
        return 1e6 / decode.tokensPerSecond / 3600 * price
    }

    /// Share of the peak of all machines that the prefill reaches.
    public var utilisation: Double? {
        guard let prefill, prefill.time.seconds > 0 else { return nil }
        let peak = question.cluster.machines.reduce(0) { $0 + $1.flopsPerSecond * Double($1.count) }
        return prefill.flops / prefill.time.seconds / peak
    }
}
