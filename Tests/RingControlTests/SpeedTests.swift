// Shards as wide as their workers are fast, as far as memory goes; and that no speed that a worker makes up does harm.

import RingControl
import RingCore
import Testing

@Suite("Speeds")
struct SpeedTests {
    /// Tokens that each of these workers gets of an attention job.
    private func dealt(
        _ speeds: [Double?], tokens: Int = 1 << 16, cpus: [Int]? = nil, memory: [Int]? = nil, causal: Bool = true
    ) throws -> [Int] {
        var play = Play()
        for (place, speed) in speeds.enumerated() {
            play.join(
                "w\(place)", machine: "m\(place)", cpus: cpus?[place] ?? 4, speed: speed, memoryBytes: memory?[place] ?? 1 << 34)
        }
        guard case .attend(var spec) = attendSpec(tokens: tokens) else { return [] }
        spec.causal = causal
        play.submit(.attend(spec), workers: speeds.count)
        var parts: [Assignment] = []
        for case .send(.prepare(let part), _) in play.directives { parts.append(part) }
        let plans = try parts.map { try $0.plan() }
        #expect(parts.count == speeds.count && Set(plans).count == 1, "every rank is told the same")
        return plans[0].world.ranks.map { plans[0].tokens(of: $0) }
    }

    @Test("widths go by speed and threads", arguments: [true, false])
    func widths(causal: Bool) throws {
        for (speeds, cpus, shares) in [
            ([4, 2, 1], [4, 4, 4], [4, 2, 1]), ([1, 1], [8, 2], [4, 1]), ([10, nil, 30], [1, 1, 1], [1, 2, 3]),
        ] as [([Double?], [Int], [Double])] {
            let tokens = try dealt(speeds, cpus: cpus, causal: causal)
            for (place, share) in shares.enumerated() {
                #expect(abs(Double(tokens[place]) - 65536 * share / shares.reduce(0, +)) <= 128, "\(tokens)")
            }
        }
    }

    @Test("workers that are nearly alike, or that were not measured, share evenly")
    func alike() throws {
        for speeds in [[nil, nil, nil], [10, 9.5, 9], [7, nil, 7]] as [[Double?]] {
            let tokens = try dealt(speeds)
            #expect(try #require(tokens.max()) - #require(tokens.min()) <= 2 * Limits.tileTokens, "\(tokens)")
        }
    }

    @Test("a speed that is made up starves nobody, and none at all is no speed", arguments: [Double.infinity, .nan, 1e300, -5, 0])
    func madeUp(speed: Double) throws {
        let tokens = try dealt([speed, 1, 1])
        #expect(tokens.reduce(0, +) == 65536 && tokens.allSatisfy { $0 >= 65536 / 80 }, "\(tokens)")
    }

    @Test("memory bounds the width of a shard, and what is left goes to the others by speed")
    func memory() throws {
        // A token of this job: three times 2 heads of keys and values, 128 f32 each, and 4 heads of 192 f32 of queries and output. 70% of the
        // memory is taken.
        let token = 3 * 2 * 128 * 4 + 4 * 192 * 4
        let tokens = try dealt([8, 1, 1], tokens: 12_800, memory: [4480 * token * 10 / 7, 1 << 34, 1 << 34])
        #expect(abs(tokens[0] - 4480) <= 128 && abs(tokens[1] - tokens[2]) <= 128, "\(tokens)")
        let none = try dealt([8, 1, 1], tokens: 12_800, memory: [1, 1, 1])
        #expect(none.reduce(0, +) == 12_800, "what fits nowhere is dealt by speed, and refused where it is loaded")
    }

    @Test("a run corrects what workers said of themselves, but not what their operators told")
    func learning() throws {
        for told in [false, true] {
            var play = Play()
            for name in ["a", "b"] { play.join(name, machine: name, speed: 10, speedIsTold: told ? true : nil) }
            func tokens(of play: Play) throws -> [Int] {
                var parts: [Assignment] = []
                for case .send(.prepare(let part), _) in play.directives { parts.append(part) }
                let plan = try #require(parts.first).plan()
                return plan.world.ranks.map { plan.tokens(of: $0) }
            }
            for number in 1...3 {
                play.submit(attendSpec(tokens: 65536), workers: 2)
                let dealt = try tokens(of: play)
                let run = Run(JobNumber(UInt64(number)), Epoch(UInt64(number)))
                for name in ["a", "b"] { play.report(name, .ready(run)) }
                for (rank, name) in ["a", "b"].enumerated() {
                    var summary = WorkerSummary(rank: rank)
                    // b is three times as fast, whatever both said.
                    summary.flops = Double(dealt[rank]) * 1e9
                    summary.computeSeconds = Double(dealt[rank]) / (rank == 0 ? 1000 : 3000)
                    play.report(name, .finished(run, summary))
                }
                if number == 1 || told { #expect(dealt == [32768, 32768], "\(dealt)") }
                if number == 3, !told { #expect(abs(dealt[0] - 16384) < 1200, "\(dealt)") }
            }
        }
    }

    @Test("a run too short to say anything, and figures that are made up, teach nothing")
    func notLearnt() throws {
        for (flops, seconds) in [(1e12, 0.5), (0, 10), (.infinity, 10), (1e12, .infinity), (.nan, 10), (1e300, 1)] as [(Double, Double)] {
            var play = Play()
            for name in ["a", "b"] { play.join(name, machine: name, speed: 10) }
            play.submit(attendSpec(tokens: 65536), workers: 2)
            let run = Run(JobNumber(1), Epoch(1))
            for name in ["a", "b"] { play.report(name, .ready(run)) }
            for (rank, name) in ["a", "b"].enumerated() {
                var summary = WorkerSummary(rank: rank)
                (summary.flops, summary.computeSeconds) = rank == 0 ? (1e13, 10) : (flops, seconds)
                play.report(name, .finished(run, summary))
            }
            play.submit(attendSpec(tokens: 65536), workers: 2)
            var parts: [Assignment] = []
            for case .send(.prepare(let part), _) in play.directives { parts.append(part) }
            let plan = try #require(parts.first).plan()
            #expect(plan.tokens(of: Rank(0)) >= 65536 / 80 && plan.tokens(of: Rank(1)) >= 65536 / 80, "\(flops) in \(seconds)")
        }
    }

    @Test("bounds hold exactly, and speeds decide below them")
    func bounded() throws {
        #expect(ShardPlan.bounded([3, 1], tokens: 400, atMost: [1000, 1000]) == [300, 100])
        #expect(ShardPlan.bounded([3, 1], tokens: 400, atMost: [200, 1000]) == [200, 200])
        #expect(ShardPlan.bounded([6, 2, 1], tokens: 900, atMost: [300, 1000, 1000]) == [300, 400, 200])
        #expect(ShardPlan.bounded([1, 1], tokens: 400, atMost: [100, 200]) == nil)
        #expect(ShardPlan.bounded([1, 1], tokens: 300, atMost: [100, 200]) == [100, 200])
    }
}
