// Plans against figures worked out by hand.

import RingPlacement
import Testing

@Suite("Plans by hand")
struct PlanTests {
    /// Attention 32 x (2 x 32 + 2 x 16) = 3,072 a layer; dense 3 x 32 x 64 = 6,144; norms 5 x 32 = 160; router 32 x 8 + 8 = 264; shared
    /// 3 x 32 x 16 = 1,536; embeddings 6,400; an expert 1,536.
    @Test("parameters of the small model")
    func parameters() {
        let model = PlanCases.small
        #expect(model.attentionParameters == 6144 && model.commonParameters == 6144 + 160 + 264 + 1536)
        #expect(model.expertParameters == 1536 && model.routedParameters == 8 * 1536)
        #expect(model.totalParameters == 6144 + 8104 + 6400 + 12_288)
        #expect(model.activeParameters == 6144 + 8104 + 3200 + 2 * 1536)
    }

    @Test("one worker holds everything: weights, 128 bytes of keys and values a token, all experts")
    func alone() throws {
        let question = PlanQuestion(
            model: PlanCases.small, tokens: 1000, cluster: ClusterShape(machines: [PlanCases.machines(1)]), assumptions: PlanCases.exact)
        let plan = try ClusterPlan(question)
        let worker = plan.memory.workers[0]
        #expect(worker.denseBytes == Double(6144 + 8104 + 6400) * 2 && worker.share == 1)
        #expect(worker.cacheBytes == 128_000)
        #expect(worker.slots == 8 && worker.expertBytes == 8 * 1536 && plan.memory.fit == .fits)
        // Streams and queries and outputs in f32, two buffers of a shard's keys and values, one slice through the dense layer.
        #expect(worker.activationBytes == 384_000 + 128_000 + 512_000)
        let prefill = try #require(plan.prefill)
        let scores: Double = 500_500 * 128 * 2
        let common: Double = 2000 * 14_248
        let experts: Double = 2000 * 2 * 1536
        #expect(prefill.flops == scores + common + experts)
        #expect(abs(prefill.time.seconds - prefill.flops / 1e9) < 1e-12 && prefill.movement == .none && prefill.ringBytes == 0)
        let decode = try #require(plan.decode)
        // 64,000 elements of the cache, 17,448 common parameters and two experts of one byte each.
        #expect(decode.memoryBytes == 165_968)
        // Each phase has as many FLOP as bytes, or more: 2 x 1000 x 128, 2 x 17,448 and 4 x 1,536.
        #expect(abs(decode.time.seconds - 297_040e-9) < 1e-12)
    }

    @Test("four machines: a quarter of the arithmetic, three quarters of three quarters of the ring, and a spare slot")
    func four() throws {
        let question = PlanQuestion(
            model: PlanCases.small, tokens: 1000, cluster: ClusterShape(machines: [PlanCases.machines(4)]), assumptions: PlanCases.exact)
        let plan = try ClusterPlan(question)
        let worker = plan.memory.workers[0]
        #expect(worker.share == 0.25 && worker.slots == 3 && worker.expertShare == 0.25)
        let prefill = try #require(plan.prefill)
        // 64 bytes a token and layer; 3/4 is needed of what the other three have; two layers.
        #expect(abs(prefill.ringBytes - 72_000) < 1e-6)
        #expect(prefill.hopBytes == 250 * 64)
        let attention = prefill.time.phases[0]
        #expect(abs(attention[.compute] - 32.032e-3) < 1e-12)
        // 36,000 bytes a layer at 100 MB/s, and three hops of a millisecond: hidden under 16 ms of arithmetic.
        #expect(abs(attention[.link] - 6.72e-3) < 1e-12)
        #expect(attention.seconds == max(attention[.compute], attention[.link]))
        // Each machine is reached by 1 - (3/4)^2 = 7/16 of the others' 750 tokens, and as many of its own leave.
        let visits: Double = 750 * 7 / 16
        let dispatch = try #require(prefill.dispatchBytes)
        #expect(abs(dispatch - visits * 96) < 1e-6)
        #expect(prefill.rotationBytes == 9216)
        // Either way is hidden under arithmetic, so that tokens move, as they do where nothing speaks for experts.
        #expect(prefill.movement == .tokens)
    }

    @Test("a step of decoding waits for two exchanges of attention a layer, and two of experts")
    func exchanges() throws {
        let question = PlanQuestion(
            model: PlanCases.small, tokens: 1000, cluster: ClusterShape(machines: [PlanCases.machines(4)]), assumptions: PlanCases.exact)
        let decode = try #require(try ClusterPlan(question).decode)
        let attention = decode.time.phases[0]
        // Three others get 32 queries' elements and send 32 + 4 back, 4 bytes each.
        #expect(abs(attention[.link] - 2 * (816 / 1e8 + 2e-3)) < 1e-12)
        #expect(abs(attention[.memory] - 32e-6) < 1e-15)
        #expect(abs(attention.seconds - (attention[.link] + max(attention[.compute], attention[.memory]))) < 1e-15)
        // One token's two experts fall on four workers alike: both on one in 1 of 4 cases.
        #expect(abs(decode.busiestExperts - 1.22) < 0.05)
        let experts = decode.time.phases[2]
        // 21/16 machines, 96 bytes there and back.
        #expect(abs(experts[.link] - (126 / 1e8 + 2e-3)) < 1e-12)
    }

    @Test("racks: what enters one goes over its uplink")
    func racks() throws {
        var question = PlanQuestion(
            model: PlanCases.small, tokens: 1000, cluster: ClusterShape(machines: [PlanCases.machines(4)]), assumptions: PlanCases.exact)
        question.cluster.racks = RackShape(machines: 2, uplinkBytesPerSecond: 1e6)
        let attention = try #require(try ClusterPlan(question).prefill).time.phases[0]
        // Half of the tokens are in the other rack.
        #expect(abs(attention[.rackLink] - 0.048) < 1e-12 && attention.bound == .rackLink)
        question.cluster.racks = RackShape(machines: 4, uplinkBytesPerSecond: 1)
        #expect(try #require(try ClusterPlan(question).prefill).time.phases[0][.rackLink] == 0)
    }

    @Test("costs are the price of all machines for as long as a million tokens take")
    func costs() throws {
        let plan = try ClusterPlan(try PlanCases.question("deepseek-v3"))
        let (seconds, rate) = (try #require(plan.prefillSeconds), try #require(plan.tokensPerSecond))
        let (prefill, decode) = (seconds / 1.048576 / 3600 * 64, 1e6 / rate / 3600 * 64)
        let (prefillCost, decodeCost) = (try #require(plan.prefillCost), try #require(plan.decodeCost))
        #expect(abs(prefillCost - prefill) < 1e-9 * prefill && abs(decodeCost - decode) < 1e-9 * decode)
    }

    /// Placement's reference table: up to how many machines experts are the cheaper thing to move, for 2^20 tokens with fp8 out, bf16 back
    /// and fp4 weights (4 bits without scales there, 4.25 here: fewer machines by up to a fifteenth).
    @Test(
        "few machines move experts, many move tokens",
        arguments: [("deepseek-v3", 26), ("glm-5", 26), ("kimi-k2", 16), ("deepseek-v4-pro", 7), ("deepseek-v4-flash", 20), ("kimi-k3", 0)])
    func movement(name: String, machines: Int) throws {
        func rotationIsLess(_ count: Int) throws -> Bool {
            var question = try PlanCases.question(name, cluster: PlanCases.servers(count))
            question.expertType = .mxfp4
            question.cluster.machines[0].memoryBytes = 1e13
            let prefill = try #require(try ClusterPlan(question).prefill)
            return try #require(prefill.rotationBytes) < #require(prefill.dispatchBytes)
        }
        let last = try (2...64).last { try rotationIsLess($0) } ?? 0
        #expect(abs(last - machines) <= max(2, machines / 10), "\(name): up to \(last) machines")
    }
}
