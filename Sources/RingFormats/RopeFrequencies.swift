// The rotation speed of each pair of dimensions, computed step by step in float32 as transformers does
// (modeling_rope_utils.py, `_compute_*_parameters`), because published logits depend on the rounding of these few numbers. They are
// then widened: angles of positions in the millions must be formed in double precision.

import Glibc

/// Rotation speeds in radians per position, and the factor on cos and sin.
public struct RopeFrequencies: Hashable, Sendable {
    /// One per pair; pair j is the dimensions (j, j + headDimension / 2). Values are those of float32 arithmetic.
    public let inverseFrequencies: [Double]
    /// Multiplies cos and sin, for queries and for keys (so scores carry its square).
    public let attentionFactor: Double

    /// The frequencies of a model.
    public init(_ config: ModelConfig) { self.init(config.rope, headDimension: config.headDimension) }

    /// The frequencies for heads of an even dimension.
    public init(_ rope: RopeParameters, headDimension: Int) {
        precondition(headDimension > 0 && headDimension % 2 == 0, "rotary embedding needs an even head dimension")
        let dimension = Float(headDimension)
        let powers = (0..<headDimension / 2).map { powf(Float(rope.theta), Float(2 * $0) / dimension) }
        let plain = powers.map { 1 / $0 }
        var factor = 1.0
        let result: [Float]
        switch rope.kind {
        case .standard: result = plain
        case .linear(let scale): result = plain.map { $0 / Float(scale) }
        case .llama3(let scale, let low, let high, let original):
            result = plain.map { Self.llama3($0, scale, low, high, Double(original)) }
        case .yarn(let yarn):
            result = Self.yarn(powers, plain, yarn, rope.theta, headDimension)
            factor = Self.attentionFactor(yarn)
        }
        inverseFrequencies = result.map(Double.init)
        attentionFactor = factor
    }

    /// Wavelengths beyond `original / low` are stretched, those below `original / high` kept, a linear ramp between.
    /// A scalar divided by a tensor is a reciprocal and a multiplication there, hence here.
    private static func llama3(_ frequency: Float, _ scale: Double, _ low: Double, _ high: Double, _ original: Double) -> Float {
        let wavelength = (1 / frequency) * Float(2 * Double.pi)
        let stretched = frequency / Float(scale)
        let isLong = wavelength > Float(original / low)
        let isShort = wavelength < Float(original / high)
        if isLong { return stretched }
        if isShort { return frequency }
        let smooth = ((1 / wavelength) * Float(original) - Float(low)) / Float(high - low)
        return (1 - smooth) * frequency / Float(scale) + smooth * frequency
    }

    private static func yarn(
        _ powers: [Float], _ plain: [Float], _ yarn: RopeParameters.Yarn, _ theta: Double, _ headDimension: Int
    ) -> [Float] {
        /// The dimension that turns `rotations` times over the original context.
        func dimension(_ rotations: Double) -> Double {
            Double(headDimension) * log(Double(yarn.originalPositions) / (rotations * 2 * Double.pi)) / (2 * log(theta))
        }
        var low = dimension(yarn.betaFast)
        var high = dimension(yarn.betaSlow)
        if yarn.truncate {
            low.round(.down)
            high.round(.up)
        }
        low = max(low, 0)
        high = min(high, Double(headDimension - 1))
        if low == high { high += 0.001 }
        return powers.indices.map { index in
            let ramp = min(max((Float(index) - Float(low)) / Float(high - low), 0), 1)
            let kept = 1 - ramp
            let interpolated = 1 / (Float(yarn.factor) * powers[index])
            return interpolated * (1 - kept) + plain[index] * kept
        }
    }

    private static func attentionFactor(_ yarn: RopeParameters.Yarn) -> Double {
        func scale(_ mscale: Double) -> Double { yarn.factor <= 1 ? 1 : 0.1 * mscale * log(yarn.factor) + 1 }
        if let given = yarn.attentionFactor { return given }
        if let upper = yarn.mscale, let lower = yarn.mscaleAllDimensions, upper != 0, lower != 0 { return scale(upper) / scale(lower) }
        return scale(1)
    }
}
