// Which trouble comes when, drawn from the seed before the simulation starts.

/// One thing that goes wrong.
enum Fault: Sendable {
    /// Nothing passes from one to the other, and back unless it is one-way.
    case partition(Int, Int, isOneWay: Bool, seconds: Double)
    /// Nothing passes to or from one.
    case isolation(Int, seconds: Double)
    /// A process stands still.
    case pause(Int, seconds: Double)
    /// A process dies; with its machine, nobody hears of it.
    case crash(Int, withMachine: Bool, seconds: Double)
    /// The coordinator dies at its next write: before it, after writing but before syncing, after syncing but before answering.
    case crashAtWrite(stage: Int, seconds: Double)
    /// A worker dies when it next has something to report.
    case crashAtReport(Int, seconds: Double)
    /// A worker is told to leave, and comes back.
    case drain(Int)
    /// The coordinator is told to leave when nothing runs, and comes back.
    case drainCoordinator
    case diskFull(seconds: Double)
    case diskSlow(seconds: Double)
    /// Everything takes longer by up to this many seconds.
    case slowLinks(delay: Double, seconds: Double)
    /// This part of all packets is lost on the first try.
    case lossyLinks(part: Double, seconds: Double)
    /// Every stream that one reads or writes breaks.
    case breakStreams(Int)
    /// A connection of the data plane breaks.
    case breakData(Int, Int)
    /// What a worker computes takes so many times as long.
    case slowWorker(Int, factor: Double, seconds: Double)
}

struct FaultPlan: Sendable {
    /// In order of time, in seconds.
    private(set) var faults: [(at: Double, fault: Fault)] = []
    /// Whether nothing comes that may cost a worker or a run: pauses stay below what must not be taken for a death, and slow
    /// workers are only slow.
    let isHarmless: Bool
    /// Whether clocks differ.
    let hasSkew: Bool
    private let workers: Int
    private let clients: Int

    init(_ options: SimulationOptions, workers: Int, clients: Int, seconds: Double, random: inout SplitMix64) {
        let kinds = options.faults
        self.workers = workers
        self.clients = clients
        isHarmless =
            kinds.allSatisfy { $0 == .stragglers } || kinds == [.pauses] && options.pauseSeconds <= SimulationOptions.shortPauseSeconds
        hasSkew = kinds.contains(.delays)
        // Steady trouble is not planned: Simulation+Steady.swift.
        if options.hours != nil { return }
        // A seed takes a part of what may happen, so that rare combinations are not drowned by frequent ones.
        let taken = kinds.count < 2 ? kinds : kinds.filter { _ in random.chance(0.5) }
        guard !taken.isEmpty else { return }
        let count = 1 + random.below(Int(4 * seconds) + 1)
        for _ in 0..<count {
            let at = random.between(0.2, seconds)
            let kind = taken[random.below(taken.count)]
            faults.append((at, draw(kind, left: seconds - at, &random)))
        }
        faults.sort { $0.at < $1.at }
    }

    /// Mostly the cluster itself.
    private func anyone(_ random: inout SplitMix64) -> Int {
        random.chance(0.85) ? random.below(1 + workers) : 1 + workers + random.below(clients)
    }
    private func worker(_ random: inout SplitMix64) -> Int { 1 + random.below(workers) }

    private func draw(_ kind: FaultKind, left: Double, _ random: inout SplitMix64) -> Fault {
        // Mostly short, sometimes longer than every deadline.
        let seconds = min(left, random.chance(0.6) ? random.between(0.05, 1.2) : random.between(1, 8))
        let down = min(left, random.between(0.02, 2.5))
        switch kind {
        case .delays: return .slowLinks(delay: random.between(0.01, 0.4), seconds: seconds)
        case .loss:
            switch random.below(4) {
            case 0: return .breakStreams(random.below(1 + workers))
            case 1: return .breakData(worker(&random), worker(&random))
            default: return .lossyLinks(part: random.between(0.02, 0.4), seconds: seconds)
            }
        case .partitions:
            if random.chance(0.4) { return .isolation(anyone(&random), seconds: seconds) }
            return .partition(anyone(&random), anyone(&random), isOneWay: random.chance(0.5), seconds: seconds)
        case .pauses:
            let isShort = isHarmless || random.chance(0.7)
            return .pause(random.below(1 + workers), seconds: isShort ? random.between(0.01, SimulationOptions.shortPauseSeconds) : seconds)
        case .crashes:
            switch random.below(8) {
            case 0: return .crash(0, withMachine: random.chance(0.3), seconds: down)
            case 1, 2: return .crashAtWrite(stage: random.below(3), seconds: down)
            case 3: return .crashAtReport(worker(&random), seconds: down)
            case 4: return .drain(worker(&random))
            case 5: return .drainCoordinator
            default: return .crash(worker(&random), withMachine: random.chance(0.3), seconds: down)
            }
        case .stragglers: return .slowWorker(worker(&random), factor: random.between(2, 6), seconds: seconds)
        case .disk: return random.chance(0.6) ? .diskFull(seconds: seconds) : .diskSlow(seconds: seconds)
        }
    }
}
