// What these tests share: a seeded generator, loads of every kind that has broken a planner, and oracles by brute force.

import RingPlacement
import Testing

/// SplitMix64: the same seed gives the same numbers everywhere.
struct Draws: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
    mutating func unit() -> Double { Double(next() >> 11) * 0x1p-53 }

    private mutating func load(of kind: Int, among count: Int) -> Double {
        switch kind % 8 {
        case 0: return Double(below(10))
        case 1: return 1 + unit()
        case 2: return 1 / (0.001 + unit() * unit())
        case 3: return 1 / (1 + unit() * Double(count))
        case 4: return 1
        case 5: return below(2) == 0 ? 1 : 10
        case 6: return 80 + 20 * unit()
        default: return 7
        }
    }

    /// Loads of one of eight kinds: small whole numbers with zeros, uniform, heavy-tailed, ranks, one hot expert, two levels, nearly equal
    /// with one hot, all equal.
    mutating func loads(_ count: Int, kind: Int) -> [Double] {
        var values: [Double] = []
        for _ in 0..<count { values.append(load(of: kind, among: count)) }
        if kind % 8 == 4 || kind % 8 == 6 { values[below(count)] = 100 * Double(1 + below(20)) }
        if values.allSatisfy({ $0 == 0 }) { values[below(count)] = 1 }
        return values
    }
}

/// Loads of one layer.
func oneLayer(_ values: [Double]) throws -> ExpertLoads { try ExpertLoads(layers: 1, experts: values.count, values: values) }

/// Hosts of equal shape, `perNode` a node.
func alike(_ count: Int, slots: Int, perNode: Int = 1) -> [HostShape] { (0..<count).map { HostShape(slots: slots, node: $0 / perNode) } }

/// The least greatest load of `demand` over given copies, by the theorem of max-flow and min-cut: the greatest, over all sets of experts,
/// of the set's load over the speed of the hosts that hold any of it. `holders` has a bit for each host.
func leastLevel(_ demand: [Double], holders: [Int], speeds: [Double]) -> Double {
    var worst = 0.0
    for set in 1..<(1 << demand.count) {
        var (load, hosts) = (0.0, 0)
        for expert in demand.indices where set & (1 << expert) != 0 {
            load += demand[expert]
            hosts |= holders[expert]
        }
        guard load > 0 else { continue }
        let speed = speeds.indices.reduce(0) { hosts & (1 << $1) != 0 ? $0 + speeds[$1] : $0 }
        worst = max(worst, speed > 0 ? load / speed : .infinity)
    }
    return worst
}

/// The least greatest load over all plans, by trying every set of hosts for every expert.
func leastLevelOfAnyPlan(_ demand: [Double], slots: [Int], speeds: [Double]) -> Double {
    var best = Double.infinity
    var holders = [Int](repeating: 0, count: demand.count)
    func choose(_ expert: Int, _ free: [Int]) {
        if expert == demand.count {
            best = min(best, leastLevel(demand, holders: holders, speeds: speeds))
            return
        }
        for set in 1..<(1 << slots.count) {
            var left = free
            for host in slots.indices where set & (1 << host) != 0 { left[host] -= 1 }
            // Every further expert needs a slot.
            guard left.allSatisfy({ $0 >= 0 }), left.reduce(0, +) >= demand.count - expert - 1 else { continue }
            holders[expert] = set
            choose(expert + 1, left)
        }
    }
    choose(0, slots)
    return best
}

/// Checks a placement with the independent checker.
func confirm(_ placement: Placement, _ loads: ExpertLoads, twoDomains: Bool = false, _ comment: @autoclosure () -> Comment = "") {
    let wrong = faults(of: placement.plan, for: loads, certificates: placement.certificates, twoDomains: twoDomains)
    #expect(wrong.isEmpty, "\(comment()): \(wrong.first ?? "")")
}

/// The sentence with which `body` is refused.
func refusal(_ body: () throws -> Void) -> String {
    do {
        try body()
    } catch let error as PlacementError {
        return error.description
    } catch {}
    Issue.record("nothing was refused")
    return ""
}
