// A ring that breaks in any message of any layer, and the ring that goes on from what the others kept: the same logits and the same
// tokens as without the break.
import RingCore
import RingEngine
import RingFormats
import RingKernels
import RingModels
import RingTransport
import Testing

@Suite("Kept context")
struct KeptContextTests {
    /// A ring of real ranks whose prefill may break, on what each brings.
    private struct Ring {
        let folder: String
        let prompt: [UInt32]

        struct Outcome: Sendable {
            var kept: [Int: KeptContext] = [:]
            var logits: [Float] = []
            var tokens: [UInt32] = []
            var errors: [Int: String] = [:]
        }

        func run(_ shares: [[Share]], _ contexts: [KeptContext?], cut: TransportFault?) throws -> Outcome {
            let outcome = Box(Outcome())
            let plan = try ShardPlan(shares: shares, tokens: prompt.count)
            let (folder, prompt, kernels) = (folder, prompt, try Kernels.fromEnvironment())
            try InProcessRanks.run(plan.world, faults: cut.map { [$0] } ?? []) { rank, wire in
                do {
                    var wire = wire
                    let weights = try ModelWeights(folder: folder, withHead: true)
                    let shape = try ModelRank<InProcessRanks.Wire>.shape(weights.config, plan: plan, element: .f32, decodeTokensMax: 4)
                    let memory = try EngineMemory(shape, for: &wire, threads: 1)
                    let pool = try ComputePool.make(threads: 1)
                    defer { pool.shutdown() }
                    let engine = RingEngine(memory, wire: wire, pool: pool, kernels: kernels)
                    let buffers = try ModelBuffers(weights.config, tokens: plan.tokens(of: rank), threads: 1)
                    var model = ModelRank(weights, engine: engine, buffers: buffers, kernels: kernels)
                    if let context = contexts[rank.index], !model.adopt(context, shares: shares[rank.index]) {
                        throw PlanError.shares("rank \(rank.index) does not take up what it kept")
                    }
                    let first = shares.flatMap { $0 }.map(\.layers).min() ?? 0
                    do {
                        try model.prefill(plan.chunks(of: rank).map { prompt[$0.range] }, firstLayer: first)
                        if rank.index == 0 {
                            let logits = try model.lastLogits() ?? []
                            outcome.update { $0.logits = logits }
                            let tokens = try model.generate(tokensMax: 4, stops: [], ignoreStops: true, sampling: SamplingOptions()) {
                                _, _ in
                            }
                            outcome.update { $0.tokens = tokens }
                        } else {
                            try model.follow()
                        }
                        try model.engine.barrier()
                        model.engine.close()
                    } catch {
                        model.engine.close()
                        let left = model.keep()
                        outcome.update { $0.kept[rank.index] = left }
                        throw error
                    }
                } catch {
                    outcome.update { $0.errors[rank.index] = "\(error)" }
                }
            }
            return outcome.value
        }

        /// Goes on with those that are left, and rank 0 is who owns the last token.
        func goOn(_ contexts: [KeptContext?], cut: TransportFault? = nil) throws -> Outcome? {
            guard let shares = Inheritance.shares(tokens: prompt.count, kept: contexts.map { $0?.shares ?? [] }) else { return nil }
            let first = shares.firstIndex { $0.last?.end == prompt.count } ?? 0
            return try run(Array(shares[first...] + shares[..<first]), Array(contexts[first...] + contexts[..<first]), cut: cut)
        }
    }

    /// Ids that repeat nowhere in step with a shard.
    private static func prompt(_ count: Int) -> [UInt32] { (0..<UInt32(count)).map { ($0 &* $0 &* 7 &+ 3 &* $0) % 200 } }

    private static func nothing(_ world: Int) -> [KeptContext?] { [KeptContext?](repeating: nil, count: world) }

    private static func whole(_ tokens: Int, _ world: Int) throws -> [[Share]] {
        let plan = try ShardPlan(.zigzag, tokens: tokens, over: WorldSize(world))
        return plan.world.ranks.map { plan.chunks(of: $0).map { Share(start: $0.start, length: $0.length, layers: 0) } }
    }

    @Test("a ring that breaks anywhere is gone on from, to the same answer", arguments: ["llama", "qwen3"], [2, 3, 4])
    func anywhere(model: String, world: Int) throws {
        let folder = "\(ModelParityTests.fixtures)/\(model)"
        let layers = try ModelConfig(folder: folder).layerCount
        let prompt = Self.prompt(331)
        let ring = Ring(folder: folder, prompt: prompt)
        let shares = try Self.whole(prompt.count, world)
        let expected = try ring.run(shares, Self.nothing(world), cut: nil)
        try #require(expected.errors.isEmpty && expected.tokens.count == 4, "\(expected.errors)")
        let range = (expected.logits.max() ?? 0) - (expected.logits.min() ?? 0)
        var resumed = 0
        // One message a step and layer goes from each rank to the next one.
        for message in 0..<layers * (world - 1) {
            let victim = message % world
            let cut = TransportFault(.sever, message: message, from: Rank((victim + world - 1) % world), to: Rank(victim))
            let broken = try ring.run(shares, Self.nothing(world), cut: cut)
            #expect(!broken.errors.isEmpty, "message \(message) was not cut")
            let contexts = (0..<world).filter { $0 != victim }.map { broken.kept[$0] }
            for spare in [false, true] {
                guard let after = try ring.goOn(contexts + (spare ? [nil] : [])) else {
                    #expect(message < world - 1 || contexts.allSatisfy { $0 == nil }, "message \(message): nothing was kept")
                    continue
                }
                resumed += 1
                #expect(after.errors.isEmpty, "message \(message): \(after.errors)")
                #expect(after.tokens == expected.tokens, "message \(message), spare \(spare)")
                let worst = zip(after.logits, expected.logits).map { abs($0 - $1) }.max() ?? .infinity
                #expect(worst <= 1e-4 * range, "message \(message), spare \(spare): \(worst) of \(range)")
                // Kept contexts are taken up once: their pages are given back on the way.
                break
            }
        }
        #expect(resumed > 0, "no break was gone on from")
    }

    @Test("a ring that goes on and breaks again is gone on from again")
    func twice() throws {
        let folder = "\(ModelParityTests.fixtures)/llama"
        let prompt = Self.prompt(500)
        let ring = Ring(folder: folder, prompt: prompt)
        let shares = try Self.whole(prompt.count, 4)
        let expected = try ring.run(shares, Self.nothing(4), cut: nil)
        let first = try ring.run(
            shares, Self.nothing(4), cut: TransportFault(.sever, message: 4, from: Rank(2), to: Rank(3)))
        let contexts = (0..<3).map { first.kept[$0] }
        try #require(contexts.contains { $0 != nil })
        // The second break comes in the layers that are done again for the lost tokens, or behind them.
        let second = try #require(try ring.goOn(contexts, cut: TransportFault(.sever, message: 2, from: Rank(0), to: Rank(1))))
        #expect(!second.errors.isEmpty)
        let third = try #require(try ring.goOn([second.kept[0], second.kept[2]]))
        #expect(third.errors.isEmpty && third.tokens == expected.tokens, "\(third.errors)")
    }

    @Test("what a rank did not keep is not taken up")
    func strangers() throws {
        let folder = "\(ModelParityTests.fixtures)/llama"
        let prompt = Self.prompt(200)
        let ring = Ring(folder: folder, prompt: prompt)
        let broken = try ring.run(
            try Self.whole(prompt.count, 2), [nil, nil], cut: TransportFault(.sever, message: 1, from: Rank(0), to: Rank(1)))
        let context = try #require(broken.kept[0])
        var table = try #require(Inheritance.shares(tokens: prompt.count, kept: [context.shares]))
        let place = try #require(table[0].firstIndex { $0.layers > 0 })
        table[0][place].layers += 1
        let refused = try ring.run(table, [context], cut: nil).errors[0] ?? ""
        #expect(refused.contains("does not take up"), "\(refused)")
    }
}
