// Replays of expert loads: what they decide, when what they decide takes effect, and that they never look ahead.

import RingPlacement
import RingSimulator
import Testing

@Suite("Replays of expert loads")
struct PlacementReplayTests {
    private static let (layers, experts) = (4, 24)
    private let hosts = (0..<6).map { HostShape(slots: 6, node: $0 / 2) }

    /// Loads of a seed: most experts get little, a few much.
    private func loads(_ seed: UInt64) throws -> ExpertLoads {
        // SplitMix64: Steele, Lea, Flood 2014.
        var state = seed &* 0x9E37_79B9_7F4A_7C15
        let values = (0..<Self.layers * Self.experts).map { _ -> Double in
            state &+= 0x9E37_79B9_7F4A_7C15
            var bits = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
            let draw = Double((bits ^ (bits >> 31)) >> 11) / Double(1 << 53)
            return (1 + 99 * draw * draw * draw * draw).rounded()
        }
        return try ExpertLoads(layers: Self.layers, experts: Self.experts, values: values)
    }

    private func options(bytes: Int = 1 << 20, rate: Double = 1e9) -> ReplayOptions {
        var options = ReplayOptions()
        (options.expertBytes, options.moveBytesPerSecond, options.halfLifeSteps) = (bytes, rate, 0)
        return options
    }

    private func play(_ trace: [ExpertLoads], _ options: ReplayOptions) throws -> (steps: [ReplayStep], totals: ReplayTotals) {
        var replay = try PlacementReplay(trace[0], on: hosts, options: options)
        var steps: [ReplayStep] = []
        for loads in trace { steps.append(try replay.step(loads)) }
        return (steps, replay.totals)
    }

    private func moves(_ step: ReplayStep) -> Int {
        if case .moved(_, let moves, _, _) = step.decision { return moves }
        return 0
    }

    @Test("loads that stay move nothing, and every plan keeps its balance")
    func steady() throws {
        let (steps, totals) = try play(Array(repeating: try loads(1), count: 8), options())
        #expect(totals.moves == 0 && totals.bytes == 0 && totals.changes == 0 && totals.movingSeconds == 0)
        for step in steps {
            #expect(abs(step.live - step.fixed) < 1e-9 && step.resplit >= step.fixed - 1e-9 && step.bound >= step.live - 1e-9)
        }
    }

    @Test(
        "loads that change once are followed at once, by the bytes of the slots that changed, and the balance is better for it",
        arguments: 1...8)
    func shift(seed: UInt64) throws {
        let (old, new) = (try loads(seed), try loads(seed + 100))
        let (steps, totals) = try play([old, old, new, new, new, new], options())
        // The second change, if there is one, sees what the first has left.
        #expect((1...2).contains(totals.changes) && moves(steps[2]) > 0, "seed \(seed): \(steps.map(\.decision))")
        #expect(totals.bytes == totals.moves << 20 && steps[2].bytes == moves(steps[2]) << 20 && moves(steps[4]) == 0)
        // The plan was made for the loads before: at the step of the change nobody can know.
        #expect(abs(steps[2].live - steps[2].resplit) < 1e-9)
        #expect(steps[3].live > steps[2].live && steps[4].live > steps[4].fixed && steps[4].live <= steps[4].bound + 1e-9, "seed \(seed)")
        #expect(totals.steps == 6 && totals.seconds == 360)
    }

    @Test("a change that costs more than it wins is told and not made")
    func unpaid() throws {
        let trace = [try loads(1), try loads(101), try loads(101), try loads(101)]
        let (steps, totals) = try play(trace, options(bytes: 1 << 40))
        #expect(totals.moves == 0 && totals.unpaid > 0 && totals.changes == 0)
        for step in steps {
            if case .unpaid(let gain, let cost) = step.decision { #expect(gain > 0 && gain <= 1.5 * cost) }
            #expect(abs(step.live - step.resplit) < 1e-9)
        }
        // The same loads with weights that are light.
        #expect(try play(trace, options()).totals.moves > 0)
    }

    @Test("weights take their time: a layer is better when all of its copies are there, the others earlier or later")
    func duration() throws {
        let (old, new) = (try loads(3), try loads(103))
        let trace = [old] + Array(repeating: new, count: 12)
        var slow = options(bytes: 1 << 20, rate: 20_000)
        slow.horizonSeconds = 1e6
        let (steps, totals) = try play(trace, slow)
        let fast = try play(trace, options())
        #expect(totals.changes >= 1 && totals.movingSeconds > 60 && fast.totals.movingSeconds < 1, "\(totals)")
        // The change comes at step 1 and is answered at its end. The fast one is as good as done in the next step; the slow one gets
        // there, and never falls behind on the way.
        #expect(abs(fast.steps[2].live - fast.steps[12].live) < 0.01 && steps[1].live == fast.steps[1].live)
        #expect(steps[2].live < fast.steps[2].live - 0.01)
        #expect(zip(steps.dropFirst(1), steps.dropFirst(2)).allSatisfy { $1.live >= $0.live - 1e-9 })
        #expect(abs(steps[12].live - fast.steps[12].live) < 0.01)
    }

    @Test("nothing is known before it happens: traces that are alike up to a step are told alike up to there", arguments: 1...6)
    func causal(seed: UInt64) throws {
        let common = try (0..<4).map { try loads(seed * 10 + UInt64($0)) }
        var rules = options()
        rules.halfLifeSteps = 2
        let one = try play(common + [try loads(501), try loads(502)], rules)
        let other = try play(common + [try loads(601), try loads(602)], rules)
        #expect(one.steps[..<4] == other.steps[..<4] && one.steps[4] != other.steps[4])
    }

    @Test("with room beside the slots no layer stands still; without, those do whose experts nobody keeps")
    func stalls() throws {
        let trace = [try loads(1)] + (0..<6).map { try! loads(UInt64($0) + 201) }
        var tight = options(bytes: 1 << 24, rate: 1e8)
        tight.staging = 0
        tight.planner.moveBudget = 1
        let (roomy, narrow) = (try play(trace, options(bytes: 1 << 24, rate: 1e8)), try play(trace, tight))
        #expect(roomy.totals.stalledSeconds == 0 && roomy.totals.moves > 0)
        #expect(narrow.totals.stalledSeconds > 0 && narrow.totals.stalledSeconds < narrow.totals.seconds, "\(narrow.totals)")
    }

    @Test("a look every third step decides at no other")
    func every() throws {
        var rules = options()
        rules.everySteps = 3
        let (steps, _) = try play(try (0..<9).map { try loads(UInt64($0)) }, rules)
        for (number, step) in steps.enumerated() where (number + 1) % 3 != 0 { #expect(step.decision == .none) }
        #expect(steps.contains { $0.decision != .none })
    }

    @Test("steps of another shape and rules that contradict themselves are refused with a sentence")
    func refused() throws {
        var replay = try PlacementReplay(try loads(1), on: hosts, options: options())
        let other = try ExpertLoads(layers: 1, experts: 3, values: [1, 2, 3])
        #expect(throws: PlacementError.loads("a step has 1 layers of 3 experts, the first had 4 of 24")) { try replay.step(other) }
        for change in [
            { $0.stepSeconds = 0 }, { $0.halfLifeSteps = -1 }, { $0.moveBytesPerSecond = .nan }, { $0.everySteps = 0 },
            { $0.expertShare = 1.5 },
        ] as [(inout ReplayOptions) -> Void] {
            var rules = options()
            change(&rules)
            #expect(throws: PlacementError.self) { try PlacementReplay(try loads(1), on: hosts, options: rules) }
        }
    }
}
