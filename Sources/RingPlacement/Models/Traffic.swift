// What goes over a machine's link and a rack's uplink: blocks round the ring, tokens to experts and back, or experts to tokens.
// Workers of one machine share its link; what stays inside a machine is not counted.

/// Bytes in the busier direction of a link, and of the uplink of the rack that it stands in.
struct LinkBytes {
    /// Through one machine's link.
    var machine = 0.0
    /// Through its rack's uplink; 0 without racks.
    var rack = 0.0
}

/// A machine among all others, as its traffic sees it.
struct MachineTraffic {
    private let question: PlanQuestion
    private let kind: MachineShape
    /// Share of the tokens that its workers own.
    let tokenShare: Double
    /// Share of all expert work of its workers.
    let expertShare: Double
    /// The same of every machine, with how many there are of it.
    private let others: [(count: Double, expertShare: Double)]
    private let machines: Double

    /// A machine of the kind at `place`.
    init(_ question: PlanQuestion, _ memory: MemoryPlan, kind place: Int) {
        self.question = question
        kind = question.cluster.machines[place]
        tokenShare = memory.workers[place].share * Double(kind.workers)
        expertShare = memory.workers[place].expertShare * Double(kind.workers)
        machines = Double(question.cluster.machineCount)
        others = question.cluster.machines.indices.map { other in
            let shape = question.cluster.machines[other]
            let share = memory.workers[other].expertShare * Double(shape.workers)
            return (Double(shape.count) - (other == place ? 1 : 0), share)
        }
    }

    /// Machines of its rack over all machines; 1 where there are no racks.
    private var rackShare: Double {
        guard let racks = question.cluster.racks else { return 1 }
        return min(1, Double(racks.machines) / machines)
    }

    /// One layer's trip of keys and values round the ring: each block enters a machine once, and a rack once. Where only a window is in
    /// sight, and where states are passed on, a fixed number of bytes comes from the neighbours of the two chunks of each rank.
    func ring(_ attention: AttentionSpec) -> LinkBytes {
        guard machines > 1 else { return LinkBytes() }
        let sent = question.assumptions.ring * Double(question.tokens) * attention.cacheElements * question.cacheType.bytes
        let edge = 2 * (attention.windowElements * question.cacheType.bytes + attention.stateBytes)
        return LinkBytes(
            machine: sent * (1 - tokenShare) + edge, rack: rackShare < 1 ? sent * (1 - max(rackShare, tokenShare)) + edge : 0)
    }

    /// Other machines that one token is sent to, on average: 1 - (1 - x)^k of a machine that does the share x of all expert work.
    func remoteMachines(chosen: Int) -> Double {
        others.reduce(0) { $0 + $1.count * Self.reached($1.expertShare, chosen) }
    }

    private static func reached(_ share: Double, _ chosen: Int) -> Double { 1 - power(max(0, 1 - share), chosen) }

    /// One layer's dispatch and combine of `tokens` tokens of the whole cluster: once to each machine that has an expert of the token,
    /// one partial sum back.
    func dispatch(tokens: Double, experts: ExpertsSpec, hidden: Int) -> LinkBytes {
        guard machines > 1 else { return LinkBytes() }
        let width = Double(experts.latent ?? hidden)
        let (out, back) = (width * question.assumptions.dispatchBytes, width * question.assumptions.combineBytes)
        let leaving = tokens * tokenShare * remoteMachines(chosen: experts.chosen)
        let coming = tokens * (1 - tokenShare) * Self.reached(expertShare, experts.chosen)
        let bytes = max(leaving * out + coming * back, coming * out + leaving * back)
        // Of the other machines, these stand in other racks.
        let outside = max(0, machines - rackShare * machines) / (machines - 1)
        return LinkBytes(machine: bytes, rack: rackShare < 1 ? bytes * rackShare * machines * outside : 0)
    }

    /// One layer's experts carried to all machines instead: each enters a machine once, and a rack once.
    func rotation(experts: ExpertsSpec) -> LinkBytes {
        guard machines > 1 else { return LinkBytes() }
        let all = Double(experts.count) * question.expertBytes
        return LinkBytes(machine: all * (1 - expertShare), rack: rackShare < 1 ? all * (1 - rackShare) : 0)
    }

    /// Seconds that these bytes take on the machine's link.
    func linkSeconds(_ bytes: Double) -> Double { bytes / (kind.linkBytesPerSecond * question.assumptions.link) }

    /// Seconds that these bytes take on the rack's uplink.
    func rackSeconds(_ bytes: Double) -> Double {
        guard let racks = question.cluster.racks else { return 0 }
        return bytes / (racks.uplinkBytesPerSecond * question.assumptions.link)
    }
}

/// `base` to a whole power, at least 0.
func power(_ base: Double, _ exponent: Int) -> Double {
    var (result, square, left) = (1.0, base, exponent)
    while left > 0 {
        if left & 1 == 1 { result *= square }
        square *= square
        left >>= 1
    }
    return result
}
