// What a replay of expert loads assumes of the cluster, and when it lets a plan be changed.

import RingPlacement

/// The rules of a replay.
public struct ReplayOptions: Hashable, Sendable {
    /// Seconds that each step of the trace stands for.
    public var stepSeconds = 60.0
    /// Steps after which half of a load's weight in the running mean is gone; 0 looks at the newest step only.
    public var halfLifeSteps = 1.0
    /// Steps between two looks at whether a new plan would pay.
    public var everySteps = 1
    /// Bytes of one expert of one layer.
    public var expertBytes = 0
    /// Bytes a second that moves may take of each host's link, in each direction.
    public var moveBytesPerSecond = 1.25e9 / 4
    /// The part of a step's time that grows with the imbalance of experts: the rest is attention, dense layers and waiting.
    public var expertShare = 0.5
    /// The part of the step's time that is lost while weights move beside it.
    public var moveSlowdown = 0.05
    /// Seconds for which a change must be expected to last: what it wins in them is set against what it costs.
    public var horizonSeconds = 600.0
    /// How many times its cost a change must win. Above 1, so that loads which go to and fro do not move weights to and fro.
    public var hysteresis = 1.5
    /// Experts that a host can hold beside its slots while they arrive. Without any, a slot is emptied before its new expert comes, and a
    /// layer whose only copy that was stands still until it is there.
    public var staging = 1
    /// The planner's options; the size of an expert is taken from above.
    public var planner = PlacementOptions()

    /// The usual rules.
    public init() {}
}

/// What was decided at a step.
public enum ReplayDecision: Hashable, Sendable {
    /// Nothing was looked at: a move is under way, or it is not the time.
    case none
    /// The copies stay; nothing better was found.
    case kept
    /// A better plan was found, and would win too little for what it costs, both in seconds.
    case unpaid(gain: Double, cost: Double)
    /// Weights begin to move: how the plan was made, how many slots change, and what it is expected to win and to cost, in seconds.
    case moved(ReplanChoice.Way, moves: Int, gain: Double, cost: Double)
}

/// One step of a replay.
public struct ReplayStep: Hashable, Sendable {
    /// Seconds from the beginning of the trace to the step's end.
    public let seconds: Double
    /// Balance of the first plan with its first shares, of its copies with tokens split anew at each step, and of the plan that changes.
    public let fixed: Double, resplit: Double, live: Double
    /// The most that copies and hosts allow (lower bound of the greatest load), for the same loads.
    public let bound: Double
    /// What was decided at its end.
    public let decision: ReplayDecision
    /// Bytes that began to move at its end.
    public let bytes: Int
    /// Seconds of it in which weights moved, and in which a layer stood still for them.
    public let movingSeconds: Double, stalledSeconds: Double
}

/// All steps together.
public struct ReplayTotals: Hashable, Sendable {
    /// Steps that were played.
    public internal(set) var steps = 0
    /// Seconds that they stand for.
    public internal(set) var seconds = 0.0
    /// Means of the balances, over steps, the first one left out: for it every plan was made.
    public internal(set) var fixed = 0.0, resplit = 0.0, live = 0.0, bound = 0.0
    /// The worst balance of the plan that changes.
    public internal(set) var liveMin = 1.0
    /// Changes of the plan, and those that were found and would not have paid.
    public internal(set) var changes = 0, unpaid = 0
    /// Slots that changed, of all changes.
    public internal(set) var moves = 0
    /// Slots of the plan in all layers.
    public internal(set) var slots = 0
    /// Bytes that moved.
    public internal(set) var bytes = 0
    /// Seconds in which weights moved, and in which a layer stood still.
    public internal(set) var movingSeconds = 0.0, stalledSeconds = 0.0

    mutating func add(_ step: ReplayStep) {
        steps += 1
        seconds = step.seconds
        movingSeconds += step.movingSeconds
        stalledSeconds += step.stalledSeconds
        bytes += step.bytes
        switch step.decision {
        case .none, .kept: break
        case .unpaid: unpaid += 1
        case .moved(_, let count, _, _):
            changes += 1
            moves += count
        }
        guard steps > 1 else { return }
        let weight = 1 / Double(steps - 1)
        fixed += (step.fixed - fixed) * weight
        resplit += (step.resplit - resplit) * weight
        live += (step.live - live) * weight
        bound += (step.bound - bound) * weight
        liveMin = min(liveMin, step.live)
    }
}
