// Which schedule is soonest, and why: for each one the bytes, operations and seconds that a ring would need, worked out from who sees
// what and from a few measured figures of the machine. It computes nothing, moves nothing and reads no clock; Docs/MATH.md has the model.

/// What is to be computed, as far as its cost goes.
public struct ScheduleProblem: Sendable {
    /// Who owns which tokens.
    public var plan: ShardPlan
    /// Which keys a query sees.
    public var mask: Mask
    /// Positions of the only queries, ascending; `nil` is all.
    public var positions: [Int]?
    /// Query heads, elements of a query and of a value.
    public var heads: Int, headDim: Int, valueDim: Int
    /// Bytes of one block of keys and values, of `Limits.tileTokens` tokens.
    public var blockBytes: Int

    /// A problem of its parts.
    public init(plan: ShardPlan, mask: Mask, positions: [Int]?, heads: Int, headDim: Int, valueDim: Int, blockBytes: Int) {
        self.plan = plan
        self.mask = mask
        self.positions = positions
        self.heads = heads
        self.headDim = headDim
        self.valueDim = valueDim
        self.blockBytes = blockBytes
    }

    /// Operations of one visible query and key in all heads.
    var flopsPerPair: Double { 2 * Double(heads * (headDim + valueDim)) }
    /// Bytes of one query, and of its partial.
    var queryBytes: Int { 4 * heads * headDim }
    var partialBytes: Int { 4 * heads * (valueDim + 1) }
}

/// What a rank and its links can do.
public struct ScheduleFigures: Hashable, Sendable {
    /// Operations per second of one rank with all its threads, for this shape.
    public var flopsPerSecond: Double
    /// Bytes per second of one direction of a link.
    public var bytesPerSecond: Double
    /// Seconds from the post of a small message to the news that it has come.
    public var latencySeconds: Double
    /// Bytes of partials per second that one rank normalises or merges.
    public var mergeBytesPerSecond: Double
    /// Compute threads of a rank.
    public var threads: Int
    /// Seconds of a core that moving one byte takes, both ends together.
    public var moveSecondsPerByte: Double
    /// Cores that all ranks share, if they are on one machine: what moves bytes there computes nothing. `nil` where each has cores to spare.
    public var sharedCores: Double?

    /// Figures of their parts.
    public init(
        flopsPerSecond: Double, bytesPerSecond: Double, latencySeconds: Double, mergeBytesPerSecond: Double, threads: Int,
        moveSecondsPerByte: Double = 0, sharedCores: Double? = nil
    ) {
        self.flopsPerSecond = flopsPerSecond
        self.bytesPerSecond = bytesPerSecond
        self.latencySeconds = latencySeconds
        self.mergeBytesPerSecond = mergeBytesPerSecond
        self.threads = threads
        self.moveSecondsPerByte = moveSecondsPerByte
        self.sharedCores = sharedCores
    }

    /// Payload of a link of so many Gbit/s, in bytes per second: of each 1,538 bytes of Ethernet with an MTU of 1,500, headers of TCP, IP and
    /// frames and the pause between them are 90.
    public static func payload(gigabits: Double) -> Double { gigabits * 1e9 / 8 * 1448 / 1538 }
}

/// What one schedule would need.
public struct ScheduleEstimate: Hashable, Sendable {
    /// Which.
    public let schedule: Schedule
    /// Bytes that all ranks send.
    public internal(set) var bytes = 0
    /// Bytes that come to the rank to which most come.
    public internal(set) var bytesMax = 0
    /// Operations of all ranks, and of the rank that has most.
    public internal(set) var flops = 0.0, flopsMax = 0.0
    /// Seconds until the last rank is done.
    public internal(set) var seconds = 0.0
    /// Those of them in which that rank does not compute.
    public internal(set) var exposedSeconds = 0.0
    /// Bytes that the rank which needs most holds beside its own keys, values, queries and results.
    public internal(set) var memoryBytes = 0
    /// Why it is chosen, or why not.
    public internal(set) var reason = ""
    var flopsByRank: [Double] = []

    init(_ schedule: Schedule) { self.schedule = schedule }

    /// The most operations of a rank over the mean: 1 is perfect balance.
    public func imbalance(world: WorldSize) -> Double { flops > 0 ? flopsMax * Double(world.count) / flops : 1 }
}

/// Every schedule with what it would need, and the one that is soonest.
public struct ScheduleChoice: Hashable, Sendable {
    /// In the order of `Schedule.allCases`.
    public let candidates: [ScheduleEstimate]
    /// The soonest, or the first of those that are as good as that.
    public let chosen: Schedule

    /// What the chosen one would need.
    public var best: ScheduleEstimate { candidates.first { $0.schedule == chosen } ?? candidates[0] }

    /// Weighs all schedules for `problem` on ranks of these `figures`. A deterministic problem leaves no choice.
    public init(for problem: ScheduleProblem, on figures: ScheduleFigures) {
        var candidates = [Self.passKV(problem, figures), Self.passQ(problem, figures)]
        let soonest = candidates.map(\.seconds).min() ?? 0
        // A difference below what the model can tell does not speak against the simpler one.
        let isBound = problem.plan.grain != nil
        let place = isBound ? 0 : candidates.firstIndex { $0.seconds <= soonest * (1 + Self.tieMargin) } ?? 0
        for index in candidates.indices {
            let other = index == place ? candidates.indices.first { $0 != place } ?? place : place
            candidates[index].reason =
                isBound
                ? Self.boundReason(isChosen: index == place)
                : Self.reason(candidates[index], against: candidates[other], isChosen: index == place, problem)
        }
        self.candidates = candidates
        chosen = candidates[place].schedule
    }

    /// Estimates that differ by less than this are alike.
    static let tieMargin = 0.01
}
