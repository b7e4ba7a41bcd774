// Expert loads that everybody can make again: counter-based random numbers (SplitMix64's finaliser) by model, distribution, layer and step,
// so that a figure of `ringmaster bench placement` can be compared with another planner's. Docs/PLACEMENT.md has the definition; a test
// holds the checksums of what a second implementation made from it.

import Glibc

/// A model as loads see it: how many layers route to how many experts, and how many of them a token chooses.
public struct LoadModel: Hashable, Sendable {
    /// Its name, which seeds its random numbers.
    public let name: String
    /// Layers with routed experts.
    public let layers: Int
    /// Routed experts of a layer.
    public let experts: Int
    /// Experts that a token chooses.
    public let chosen: Int
    /// The first eight bytes of SHA-256 of the name, little-endian.
    public let nameHash: UInt64

    /// A model by its parts.
    package init(name: String, layers: Int, experts: Int, chosen: Int, nameHash: UInt64) {
        (self.name, self.layers, self.experts, self.chosen, self.nameHash) = (name, layers, experts, chosen, nameHash)
    }

    /// The models that tables compare.
    public static let known = [
        LoadModel(name: "dsv3", layers: 58, experts: 256, chosen: 8, nameHash: 0x6FA9_8C6D_D6B1_55F0),
        LoadModel(name: "kimik2", layers: 60, experts: 384, chosen: 8, nameHash: 0xEEF9_3563_8343_89E4),
        LoadModel(name: "kimik3", layers: 92, experts: 896, chosen: 16, nameHash: 0x9AF2_BEF8_AFD7_1596),
        LoadModel(name: "h25t512", layers: 80, experts: 512, chosen: 8, nameHash: 0x07FB_A443_882A_59AB),
        LoadModel(name: "h25t1024", layers: 80, experts: 1024, chosen: 16, nameHash: 0x0B20_CF91_8B78_1127),
    ]
}

/// How loads are distributed over the experts of a layer.
public enum LoadDistribution: String, Hashable, Sendable, CaseIterable {
    case uniform = "uniform"
    case lognormal05 = "ln0.5"
    case lognormal10 = "ln1.0"
    case zipf10 = "zipf1.0"
    case zipf12 = "zipf1.2"
    case drift = "drift"
}

/// Seeded loads of a model.
public struct SyntheticLoads: Sendable {
    /// The model.
    public let model: LoadModel
    private let base: CountedRandom
    private let seed: UInt64

    /// Tokens by which inclusion probabilities are scaled.
    private static let tokens = 1_048_576.0

    /// Loads of `model` under `seed`.
    public init(_ model: LoadModel, seed: UInt64 = 1) {
        self.model = model
        self.seed = seed
        base = CountedRandom(seed).stream(model.nameHash, 0, 0)
    }

    /// Whole tokens by layer and expert at a step, [layers, experts] in row order.
    public func loads(_ distribution: LoadDistribution, step: Int = 0) -> [Double] {
        var values: [Double] = []
        values.reserveCapacity(model.layers * model.experts)
        for layer in 0..<model.layers {
            for chance in chances(distribution, layer: layer, step: step) { values.append((Self.tokens * chance + 0.5).rounded(.down)) }
        }
        return values
    }

    /// Loads of a batch of `tokens` tokens: each expert's count around its mean by a normal number, independent of the others.
    public func batch(_ distribution: LoadDistribution, step: Int = 0, tokens: Int) -> [Double] {
        var values: [Double] = []
        values.reserveCapacity(model.layers * model.experts)
        for layer in 0..<model.layers {
            let random = CountedRandom(seed).stream(8, UInt64(layer), 0)
            for (expert, chance) in chances(distribution, layer: layer, step: step).enumerated() {
                let mean = Double(tokens) * chance
                values.append(max(0, (mean + (mean * (1 - chance)).squareRoot() * random.normal(expert)).rounded()))
            }
        }
        return values
    }

    /// The probability that a token chooses each expert: in proportion to weights, but never above 1, and adding up to `chosen`.
    private func chances(_ distribution: LoadDistribution, layer: Int, step: Int) -> [Double] {
        let weights = weights(distribution, UInt64(layer), step)
        let sorted = weights.sorted(by: >)
        var rest = sorted.reduce(0, +)
        var scale = 0.0
        for (capped, weight) in sorted.enumerated() {
            scale = Double(model.chosen - capped) / rest
            if scale * weight <= 1 { break }
            rest -= weight
        }
        return weights.map { min(1, scale * $0) }
    }

    private func weights(_ distribution: LoadDistribution, _ layer: UInt64, _ step: Int) -> [Double] {
        let count = model.experts
        switch distribution {
        case .uniform:
            let random = base.stream(1, layer, UInt64(step))
            return (0..<count).map { max(0.05, 1 + 0.1 * random.normal($0)) }
        case .lognormal05, .lognormal10:
            let random = base.stream(2, layer, UInt64(step))
            let width = distribution == .lognormal05 ? 0.5 : 1.0
            return (0..<count).map { exp(width * random.normal($0)) }
        case .zipf10, .zipf12:
            let random = base.stream(3, layer, UInt64(step))
            let draws = (0..<count).map { random.uniform($0) }
            var weights = [Double](repeating: 0, count: count)
            for (rank, expert) in (0..<count).sorted(by: { draws[$0] < draws[$1] }).enumerated() {
                weights[expert] = pow(Double(rank + 1), distribution == .zipf10 ? -1 : -1.2)
            }
            return weights
        case .drift: return drifting(layer, step)
        }
    }

    /// Six domains of text, each with experts of its own liking, whose mixture walks from step to step.
    private func drifting(_ layer: UInt64, _ step: Int) -> [Double] {
        var walk = [Double](repeating: 0, count: 6)
        for turn in 0...step {
            let random = base.stream(5, UInt64(turn), 0)
            for domain in 0..<6 { walk[domain] = 0.9 * walk[domain] + 0.6 * random.normal(domain) }
        }
        let powers = walk.map { exp(2 * $0) }
        let total = powers.reduce(0, +)
        let own = base.stream(4, layer, 0)
        let liking = (0..<6).map { base.stream(6, layer, UInt64($0)) }
        let noise = base.stream(7, layer, UInt64(step + 1))
        return (0..<model.experts).map { expert in
            var sum = 0.0
            for domain in 0..<6 { sum += powers[domain] / total * exp(0.9 * liking[domain].normal(expert)) }
            return exp(0.6 * own.normal(expert)) * sum * exp(0.05 * noise.normal(expert))
        }
    }
}

/// Random numbers by counter: any of a stream's numbers without those before it.
struct CountedRandom: Sendable {
    private let key: UInt64

    init(_ key: UInt64) { self.key = key }

    /// A stream of its own for three names.
    func stream(_ first: UInt64, _ second: UInt64, _ third: UInt64) -> CountedRandom {
        var key = Self.mix(self.key ^ first &* 0xD1B5_4A32_D192_ED03)
        key = Self.mix(key ^ second &* 0x8CB9_2BA7_2F3D_8DD7)
        return CountedRandom(Self.mix(key ^ third &* 0xABC9_8388_FB8F_AC03))
    }

    /// Number `index`, 0 ..< 1.
    func uniform(_ index: Int) -> Double {
        Double(Self.mix(key &+ UInt64(index + 1) &* 0x9E37_79B9_7F4A_7C15) >> 11) * 0x1p-53
    }

    /// Number `index` of a standard normal distribution (Box and Muller 1958).
    func normal(_ index: Int) -> Double {
        (-2 * log(1 - uniform(2 * index))).squareRoot() * cos(2 * Double.pi * uniform(2 * index + 1))
    }

    private static func mix(_ value: UInt64) -> UInt64 {
        var z = value
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
