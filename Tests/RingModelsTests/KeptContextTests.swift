// A ring that breaks in any message of any layer, and the ring that goes on from what the others kept: the same logits and the same
// tokens as without the break.
import RingCore
import RingFormats
import RingModels
import RingTransport
import Testing

@Suite("Kept context")
struct KeptContextTests {
    /// Goes on with those that are left; rank 0 is who owns the last token. `nil` if nobody has kept anything.
    private static func goOn(
        _ folder: String, _ prompt: [UInt32], _ contexts: [KeptContext?], cut: TransportFault? = nil
    ) throws -> ModelRing.Outcome? {
        guard let shares = Inheritance.shares(tokens: prompt.count, kept: contexts.map { $0?.shares ?? [] }) else { return nil }
        let first = shares.firstIndex { $0.last?.end == prompt.count } ?? 0
        var ring = ModelRing(folder: folder, world: contexts.count, cut: cut)
        (ring.shares, ring.contexts) = (Array(shares[first...] + shares[..<first]), Array(contexts[first...] + contexts[..<first]))
        return try ring.run(prompt, probes: [prompt.count - 1], tokensMax: 4)
    }

    private static func cut(_ message: Int, from source: Int, to destination: Int) -> TransportFault {
        TransportFault(.sever, message: message, from: Rank(source), to: Rank(destination))
    }

    /// Ids that repeat nowhere in step with a shard.
    private static func prompt(_ count: Int) -> [UInt32] { (0..<UInt32(count)).map { ($0 &* $0 &* 7 &+ 3 &* $0) % 200 } }

    @Test(
        "a ring that breaks anywhere is gone on from, with a new rank or without, to the same answer", arguments: ["llama", "qwen3"],
        [2, 3, 4])
    func anywhere(model: String, world: Int) throws {
        let folder = "\(ModelParityTests.fixtures)/\(model)"
        let layers = try ModelConfig(folder: folder).layerCount
        let prompt = Self.prompt(331)
        let last = prompt.count - 1
        let expected = try ModelRing(folder: folder, world: world).run(prompt, probes: [last], tokensMax: 4)
        try #require(expected.errors.isEmpty && expected.tokens.count == 4, "\(expected.errors)")
        let logits = try #require(expected.logits[last])
        let range = (logits.max() ?? 0) - (logits.min() ?? 0)
        // One message a step and layer goes from each rank to the next one.
        for message in 0..<layers * (world - 1) {
            let victim = message % world
            let cut = Self.cut(message, from: (victim + world - 1) % world, to: victim)
            let broken = try ModelRing(folder: folder, world: world, cut: cut).run(prompt, tokensMax: 4)
            #expect(!broken.errors.isEmpty, "message \(message) was not cut")
            // Every second time another rank takes the lost one's place.
            let isReplaced = message % 2 == 1
            let contexts = (0..<world).filter { $0 != victim }.map { broken.kept[$0] } + (isReplaced ? [nil] : [])
            guard let after = try Self.goOn(folder, prompt, contexts) else {
                #expect(message < world - 1, "message \(message): the first layer was done, and nothing was kept")
                continue
            }
            #expect(after.errors.isEmpty, "message \(message): \(after.errors)")
            #expect(after.tokens == expected.tokens, "message \(message), replaced: \(isReplaced)")
            let worst = zip(try #require(after.logits[last]), logits).map { abs($0 - $1) }.max() ?? .infinity
            #expect(worst <= 1e-4 * range, "message \(message), replaced: \(isReplaced): \(worst) of \(range)")
        }
    }

    @Test("a ring that goes on and breaks again is gone on from again")
    func twice() throws {
        let folder = "\(ModelParityTests.fixtures)/llama"
        let prompt = Self.prompt(500)
        let expected = try ModelRing(folder: folder, world: 4).run(prompt, tokensMax: 4)
        let first = try ModelRing(folder: folder, world: 4, cut: Self.cut(4, from: 2, to: 3)).run(prompt, tokensMax: 4)
        // The second break comes in the layers that are done again for the lost tokens, or behind them.
        let second = try #require(try Self.goOn(folder, prompt, (0..<3).map { first.kept[$0] }, cut: Self.cut(2, from: 0, to: 1)))
        #expect(!second.errors.isEmpty)
        let third = try #require(try Self.goOn(folder, prompt, [second.kept[0], second.kept[2]]))
        #expect(third.errors.isEmpty && third.tokens == expected.tokens && expected.tokens.count == 4, "\(third.errors)")
    }

    @Test("what a rank did not keep is not taken up")
    func strangers() throws {
        let folder = "\(ModelParityTests.fixtures)/llama"
        let prompt = Self.prompt(200)
        let broken = try ModelRing(folder: folder, world: 2, cut: Self.cut(1, from: 0, to: 1)).run(prompt, tokensMax: 4)
        let context = try #require(broken.kept[0])
        var ring = ModelRing(folder: folder, world: 1)
        ring.shares = try #require(Inheritance.shares(tokens: prompt.count, kept: [context.shares]))
        ring.contexts = [context]
        let place = try #require(ring.shares[0].firstIndex { $0.layers > 0 })
        ring.shares[0][place].layers += 1
        let refused = try ring.run(prompt, tokensMax: 4).errors[0] ?? ""
        #expect(refused.contains("does not take up"), "\(refused)")
    }
}
