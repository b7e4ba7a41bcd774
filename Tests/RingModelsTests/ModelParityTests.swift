// Logits and greedy tokens of tiny random checkpoints against those that transformers computed in float32.
import RingFormats
import RingKernels
import Testing

@Suite("Parity with transformers")
struct ModelParityTests {
    static let models = ["llama", "qwen2", "qwen3"]

    static var fixtures: String {
        let parts = #filePath.split(separator: "/").dropLast(2)
        return "/" + parts.joined(separator: "/") + "/Fixtures/models"
    }

    @Test("logits at every probe and the same greedy tokens", arguments: models, [1, 2, 3, 5])
    func parity(model: String, world: Int) throws {
        try compare(model, world, .f32) { name, greedy, range, worst, tokens in
            #expect(worst <= min(1e-3 * range, 5e-4), "\(model) \(name), \(world) ranks: \(worst) of a range of \(range)")
            #expect(tokens == greedy, "\(model) \(name), \(world) ranks")
        }
    }

    @Test("int8 keys and values move logits by some percent of their range at most", arguments: models, [1, 3])
    func int8(model: String, world: Int) throws {
        try compare(model, world, .int8) { name, greedy, range, worst, tokens in
            #expect(worst > 1e-5 * range && worst <= 0.03 * range, "\(model) \(name), \(world) ranks: \(worst) of a range of \(range)")
            #expect(tokens.count == greedy.count, "\(model) \(name), \(world) ranks")
        }
    }

    /// Hands `body` the name of each prompt, its greedy tokens, the range of its logits, the largest difference from them, and the answer.
    private func compare(
        _ model: String, _ world: Int, _ element: ElementType, _ body: (String, [UInt32], Double, Double, [UInt32]) -> Void
    ) throws {
        let folder = "\(Self.fixtures)/\(model)"
        let reference = try JSONValue(path: "\(folder)/reference.json")
        let stored = try SafetensorsFile(path: "\(folder)/reference.safetensors")
        for prompt in try #require(reference["prompts"]?.arrayValue) {
            let name = try #require(prompt["name"]?.stringValue)
            let ids = try #require(prompt["ids"]?.arrayValue).compactMap(\.intValue).map(UInt32.init)
            let probes = try #require(prompt["probes"]?.arrayValue).compactMap(\.intValue)
            let greedy = try #require(prompt["greedy"]?.arrayValue).compactMap(\.intValue).map(UInt32.init)
            let range = try #require(prompt["logit_range"]?.doubleValue)
            let expected = try stored.floats(of: stored.require("\(name).logits"))
            let outcome = try ModelRing(folder: folder, world: world, element: element, threads: world % 2 + 1).run(
                ids, probes: probes, tokensMax: greedy.count)
            #expect(outcome.errors.isEmpty, "\(outcome.errors)")
            var worst: Float = 0
            for (place, position) in probes.enumerated() {
                let logits = try #require(outcome.logits[position])
                for index in logits.indices {
                    let error = abs(logits[index] - expected[place * logits.count + index])
                    if !(error <= worst) { worst = error.isNaN ? .infinity : error }
                }
            }
            body(name, greedy, range, Double(worst), outcome.tokens)
        }
    }
}
