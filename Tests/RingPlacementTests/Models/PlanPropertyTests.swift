// What must hold of every plan: more is never worse, nothing is lost, the same question gives the same answer.

import RingPlacement
import Testing

@Suite("Plans in general")
struct PlanPropertyTests {
    private static let names = [
        "llama-3-70b", "qwen3-235b", "deepseek-v3", "deepseek-v3.2", "kimi-k3", "deepseek-v4-pro", "gpt-oss-120b", "glm-5",
    ]

    @Test("a faster link, faster memory, faster cores, fewer bits and fewer tokens are never slower", arguments: names)
    func monotone(name: String) throws {
        for count in [2, 3, 8, 16, 31, 100] {
            for sequences in [1, 64] {
                var question = try PlanCases.question(name, tokens: 200_000, cluster: PlanCases.servers(count))
                question.sequences = sequences
                let plan = try ClusterPlan(question)
                guard plan.memory.fit.runs else { continue }
                var faster = question
                faster.cluster.machines[0].flopsPerSecond *= 1.5
                var shorter = question
                shorter.tokens = 150_000
                let others = [
                    question.changed(.linkTwice), question.changed(.memoryTwice), question.changed(.cache(.fp8)),
                    question.changed(.experts(.mxfp4)), faster, shorter,
                ]
                for other in others {
                    let changed = try ClusterPlan(other)
                    #expect(try #require(changed.prefillSeconds) <= #require(plan.prefillSeconds) * (1 + 1e-12))
                    #expect(try #require(changed.tokensPerSecond) >= #require(plan.tokensPerSecond) * (1 - 1e-12))
                }
            }
        }
    }

    @Test("a phase takes no less than each of its resources alone and no more than all of them together", arguments: names)
    func phases(name: String) throws {
        for count in [1, 4, 37] {
            var question = try PlanCases.question(name, tokens: 100_000, cluster: PlanCases.servers(count))
            question.cluster.racks = RackShape(machines: 8, uplinkBytesPerSecond: 50e9)
            question.cluster.machines[0].memoryBytes = 4e12
            let plan = try ClusterPlan(question)
            for phase in try #require(plan.prefill).time.phases + #require(plan.decode).time.phases {
                let (most, sum) = (phase.alone.max() ?? 0, phase.alone.reduce(0, +))
                #expect(phase.seconds >= most * (1 - 1e-12) && phase.seconds <= sum * (1 + 1e-12), "\(name), \(count): \(phase)")
            }
        }
    }

    /// SplitMix64, seed 11.
    @Test("shares of tokens and of experts add up to one on mixed machines, and nobody holds more than it has room for")
    func shares() throws {
        var state: UInt64 = 11
        func draw(_ range: ClosedRange<Double>) -> Double {
            state &+= 0x9E37_79B9_7F4A_7C15
            var word = state
            word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
            word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
            word ^= word >> 31
            return range.lowerBound + (range.upperBound - range.lowerBound) * Double(word >> 11) * 0x1p-53
        }
        var fitting = 0
        for _ in 0..<300 {
            let kinds = (0..<Int(draw(1...3.99))).map { kind in
                MachineShape(
                    name: "\(kind)", count: Int(draw(1...9)), memoryBytes: draw(60e9...900e9), workers: Int(draw(1...2.99)),
                    flopsPerSecond: draw(1e12...20e12), memoryBytesPerSecond: draw(50e9...600e9), linkBytesPerSecond: draw(1e9...50e9),
                    nvmeBytes: draw(0...1) < 0.3 ? 1e12 : 0, nvmeBytesPerSecond: 5e9)
            }
            let plan = try ClusterPlan(try PlanCases.question("deepseek-v3", tokens: 500_000, cluster: ClusterShape(machines: kinds)))
            let workers = plan.memory.workers
            #expect(abs(workers.reduce(0) { $0 + $1.share * Double($1.count) } - 1) < 1e-9)
            guard plan.memory.fit.runs else { continue }
            fitting += 1
            #expect(abs(workers.reduce(0) { $0 + $1.expertShare * Double($1.count) } - 1) < 1e-9)
            #expect(workers.allSatisfy { $0.bytes <= $0.availableBytes + 1 })
            let held = workers.reduce(0.0) { $0 + Double($1.count * $1.slots) }
            if case .spills(let bytes) = plan.memory.fit {
                let spilled = workers.reduce(0) { $0 + $1.spilledBytes * Double($1.count) }
                #expect(abs(spilled - bytes) < 1e-3 * bytes && held < 256)
                #expect(workers.contains { $0.spilledBytes > 0 })
            } else {
                #expect(held >= 256 && workers.allSatisfy { $0.expertShare <= Double($0.slots) / 256 + 1e-12 })
            }
        }
        #expect(fitting > 100 && fitting < 300)
    }

    @Test("the same question gives the same answer")
    func same() throws {
        let question = try PlanCases.question("kimi-k3")
        #expect(try ClusterPlan(question) == ClusterPlan(question))
    }

    @Test(
        "the smallest cluster fits, one machine less does not, and a target makes it larger",
        arguments: ["deepseek-v3", "kimi-k3", "glm-5"])
    func smallest(name: String) throws {
        let plan = try ClusterPlan(try PlanCases.question(name))
        let found = try #require(plan.smallest())
        let count = found.question.cluster.machineCount
        #expect(found.memory.fit == .fits && count > 1)
        #expect(try !ClusterPlan(try PlanCases.question(name, cluster: PlanCases.servers(count - 1))).memory.fit.runs)
        var target = PlanTarget()
        target.prefillSeconds = try #require(found.prefillSeconds) / 4
        let larger = try #require(plan.smallest(target))
        #expect(larger.question.cluster.machineCount > 3 * count && larger.prefillSeconds ?? .infinity <= target.prefillSeconds ?? 0)
        target.prefillSeconds = 1e-9
        #expect(plan.smallest(target, most: 100) == nil)
    }

    @Test("every remedy that is named makes it fit")
    func remedies() throws {
        let question = try PlanCases.question("kimi-k2", cluster: PlanCases.servers(1))
        let plan = try ClusterPlan(question)
        #expect(!plan.memory.fit.runs && plan.prefill == nil && plan.tokensPerSecond == nil && plan.prefillCost == nil)
        let remedies = plan.remedies()
        #expect(remedies.count >= 3)
        for remedy in remedies {
            var other = question
            switch remedy {
            case .machines(let count): other.cluster = other.cluster.resized(to: count)
            case .memory(let bytes): other.cluster.machines[0].memoryBytes = bytes
            case .nvme(let bytes): (other.cluster.machines[0].nvmeBytes, other.cluster.machines[0].nvmeBytesPerSecond) = (bytes, 1e9)
            case .experts(let type): other.expertType = type
            case .dense(let type): other.denseType = type
            case .cache(let type): other.cacheType = type
            case .tokens(let tokens): other.tokens = tokens
            case .sharedWeights: other.assumptions.sharesWeights = true
            }
            #expect(try ClusterPlan(other).memory.fit.runs, "\(remedy)")
        }
        #expect(try ClusterPlan(try PlanCases.question("kimi-k2")).remedies().isEmpty)
    }

    @Test("what means nothing is refused with what to do")
    func refused() throws {
        func sentence(_ change: (inout PlanQuestion) -> Void) throws -> String {
            var question = try PlanCases.question("llama-3-8b")
            change(&question)
            do {
                _ = try ClusterPlan(question)
                return "accepted"
            } catch { return "\(error)" }
        }
        #expect(try sentence { $0.tokens = 0 }.contains("1 to 1073741824 tokens"))
        #expect(try sentence { $0.sequences = 0 }.contains("sequences"))
        #expect(try sentence { $0.cluster.machines = [] }.contains("no machines"))
        #expect(try sentence { $0.cluster.machines[0].count = 0 }.contains("no machines"))
        #expect(try sentence { $0.cluster.machines[0].memoryBytes = 0 }.contains("'server' have no memory"))
        #expect(try sentence { $0.cluster.machines[0].linkBytesPerSecond = .nan }.contains("no link speed"))
        #expect(try sentence { $0.cluster.machines[0].reservedBytes = 1e15 }.contains("reserve less"))
        #expect(try sentence { $0.cluster.machines[0].nvmeBytes = 1 }.contains("without a speed"))
        #expect(try sentence { $0.cluster.machines[0].count = 20_000 }.contains("at most 16384"))
        #expect(try sentence { $0.cluster.racks = RackShape(machines: 0, uplinkBytesPerSecond: 1) }.contains("racks need"))
    }

    @Test("assumptions are set by their names, each within its range")
    func assumptions() throws {
        var assumptions = PlanAssumptions()
        for entry in assumptions.entries { try assumptions.set(entry.name, to: entry.value) }
        #expect(assumptions == PlanAssumptions())
        try assumptions.set("link", to: "0.5")
        try assumptions.set("dense-decode", to: "spread")
        try assumptions.set("shared-weights", to: "yes")
        try assumptions.set("slice", to: "256")
        #expect(assumptions.link == 0.5 && assumptions.denseDecode == .spread && assumptions.sharesWeights && assumptions.slice == 256)
        for (name, value, complaint) in [
            ("link", "0", "more than 0"), ("link", "1.01", "at most 1"), ("link", "nan", "share"), ("linc", "1", "did you mean 'link'"),
            ("slice", "0.5", "whole number"), ("dispatch-bytes", "9", "from 0.5 to 8"), ("shared-weights", "1", "yes or no"),
            ("dense-decode", "all", "leader or spread"),
        ] {
            do {
                try assumptions.set(name, to: value)
                Issue.record("\(name)=\(value) was accepted")
            } catch {
                #expect("\(error)".contains(complaint), "\(error)")
            }
        }
    }
}
