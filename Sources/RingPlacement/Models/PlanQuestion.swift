// What a plan is asked: this model, a context of that length, on this cluster. Also the words in which its answers are given.

/// A question to the planner.
public struct PlanQuestion: Hashable, Sendable {
    /// The model.
    public var model: ModelSpec
    /// Tokens of the context of each sequence.
    public var tokens: Int
    /// Sequences whose next tokens are decoded together; each has a context of its own. They are prefilled one after the other.
    public var sequences: Int
    /// The machines.
    public var cluster: ClusterShape
    /// How all weights but the experts' are kept.
    public var denseType: StoredType
    /// How the experts' weights are kept.
    public var expertType: StoredType
    /// How keys and values are kept and sent.
    public var cacheType: StoredType
    /// What is assumed beside.
    public var assumptions: PlanAssumptions

    /// A question; weights are kept as they are released unless a type is given.
    public init(
        model: ModelSpec, tokens: Int, sequences: Int = 1, cluster: ClusterShape, denseType: StoredType? = nil,
        expertType: StoredType? = nil, cacheType: StoredType = .bf16, assumptions: PlanAssumptions = PlanAssumptions()
    ) {
        (self.model, self.tokens, self.sequences, self.cluster) = (model, tokens, sequences, cluster)
        (self.denseType, self.expertType) = (denseType ?? model.denseType, expertType ?? model.expertType)
        (self.cacheType, self.assumptions) = (cacheType, assumptions)
    }

    /// Most tokens of one sequence: a thousand times what models handle, and far from where arithmetic would be inexact.
    public static let tokensMax = 1 << 30
    /// Most sequences at once.
    public static let sequencesMax = 1 << 20

    /// Refuses a context, a number of sequences or a cluster that mean nothing.
    func check() throws(PlanningError) {
        guard tokens >= 1, tokens <= Self.tokensMax else {
            throw .badValue("a context has 1 to \(Self.tokensMax) tokens, got \(tokens)")
        }
        guard sequences >= 1, sequences <= Self.sequencesMax else {
            throw .badValue("1 to \(Self.sequencesMax) sequences can be planned for, got \(sequences)")
        }
        guard model.layerCount >= 1 else { throw .badValue("the model '\(model.name)' has no layers") }
        try cluster.check()
    }

    /// Bytes of one routed expert.
    public var expertBytes: Double { Double(model.expertParameters) * expertType.bytes }

    /// Bytes of all weights that every worker has.
    public var denseBytes: Double { Double(model.denseParameters) * denseType.bytes }
}

/// What a phase of work waits for.
public enum Resource: String, CaseIterable, Hashable, Sendable {
    case compute = "compute"
    case memory = "memory"
    case link = "link"
    case rackLink = "rack link"
    case nvme = "NVMe"
}

/// A part of the work of a prefill or of one step of decoding.
public struct PhaseTime: Hashable, Sendable {
    /// What is done.
    public enum Work: String, Hashable, Sendable {
        case attention = "attention"
        case common = "common layers"
        case experts = "experts"
    }

    /// What is done.
    public var work: Work
    /// FLOP of the worker that takes longest.
    public var flops = 0.0
    /// Bytes that it reads from memory.
    public var memoryBytes = 0.0
    /// Bytes through one direction of its machine's link.
    public var linkBytes = 0.0
    /// Seconds that each resource would need alone, in the order of `Resource.allCases`.
    public var alone = [Double](repeating: 0, count: Resource.allCases.count)
    /// Seconds of the phase: by the rules of overlap, no less than any of `alone` and no more than their sum.
    public var seconds = 0.0

    init(_ work: Work) { self.work = work }

    /// Seconds that one resource would need alone.
    public subscript(resource: Resource) -> Double {
        get { alone[Self.place(resource)] }
        set { alone[Self.place(resource)] = newValue }
    }

    /// The resource that needs longest.
    public var bound: Resource { Resource.allCases.max { self[$0] < self[$1] } ?? .compute }

    private static func place(_ resource: Resource) -> Int {
        switch resource {
        case .compute: 0
        case .memory: 1
        case .link: 2
        case .rackLink: 3
        case .nvme: 4
        }
    }
}

/// Phases one after the other.
public struct StepTime: Hashable, Sendable {
    /// The phases that there are.
    public var phases: [PhaseTime]
    /// Seconds of all of them.
    public var seconds: Double { phases.reduce(0) { $0 + $1.seconds } }
    /// The phase that takes longest.
    public var longest: PhaseTime? { phases.max { $0.seconds < $1.seconds } }
}
