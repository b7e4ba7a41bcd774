// How a model turns positions into rotations, as config.json writes it: `rope_theta` and `rope_scaling` in the old style,
// `rope_parameters` in the new one.

/// Rotary position embedding of a model.
public struct RopeParameters: Hashable, Sendable {
    /// How frequencies are stretched beyond the trained length.
    public enum Kind: Hashable, Sendable {
        /// Not at all (`default`).
        case standard
        /// All frequencies divided by `factor`.
        case linear(factor: Double)
        /// Llama 3.1: low frequencies divided, high ones kept, a ramp between.
        case llama3(factor: Double, lowFrequencyFactor: Double, highFrequencyFactor: Double, originalPositions: Int)
        /// YaRN, https://arxiv.org/abs/2309.00071.
        case yarn(Yarn)
    }

    /// The parameters of YaRN under the names of the paper.
    public struct Yarn: Hashable, Sendable {
        /// How much longer the context becomes.
        public var factor: Double
        /// Rotations over the original context above which a dimension is kept; 32 in the paper.
        public var betaFast: Double
        /// Rotations below which a dimension is fully interpolated; 1 in the paper.
        public var betaSlow: Double
        /// Multiplies cos and sin; computed from `factor` if absent.
        public var attentionFactor: Double?
        /// Numerator of DeepSeek's way to compute the attention factor.
        public var mscale: Double?
        /// Denominator of DeepSeek's way to compute the attention factor.
        public var mscaleAllDimensions: Double?
        /// Positions the model was trained with before the stretch.
        public var originalPositions: Int
        /// Whether the ends of the ramp are rounded outwards to whole dimensions.
        public var truncate: Bool

        /// YaRN with the paper's constants.
        public init(factor: Double, originalPositions: Int) {
            self.factor = factor
            self.originalPositions = originalPositions
            betaFast = 32
            betaSlow = 1
            truncate = true
        }
    }

    /// The base of the frequencies.
    public var theta: Double
    /// The stretch.
    public var kind: Kind

    /// Rotary embedding with base `theta`.
    public init(theta: Double, kind: Kind = .standard) {
        self.theta = theta
        self.kind = kind
    }

    /// Bounds of every base and factor: wide enough for anything sensible, narrow enough that float32 neither overflows nor vanishes.
    private static let positive = 1e-6...1e38

    /// Reads both styles. `rope_scaling` wins over `rope_parameters` if both are there, as it does in transformers.
    init(_ config: ConfigFields, maximumPositions: Int) throws(FormatError) {
        let key = config.contains("rope_scaling") ? "rope_scaling" : "rope_parameters"
        var block = try ConfigFields(config[key] ?? .object([:]), file: config.file, prefix: key + ".")
        if let full = block["full_attention"] {
            block = try ConfigFields(full, file: config.file, prefix: key + ".full_attention.")
        }
        let outer = try config.number("rope_theta", in: Self.positive, default: 10000)
        theta = try block.number("rope_theta", in: Self.positive, default: outer)
        for fields in [config, block] where try fields.number("partial_rotary_factor", in: 0...1, default: 1) != 1 {
            throw .unsupported(
                "\(config.file) rotates only a part of each head (partial_rotary_factor), which is not supported yet: use another model")
        }
        let original = try config.integer("original_max_position_embeddings", in: 1...Limits.modelDimension, default: 0)
        func originalPositions() throws(FormatError) -> Int {
            if original > 0 { return original }
            return try block.integer("original_max_position_embeddings", in: 1...Limits.modelDimension, default: maximumPositions)
        }
        let newName = try block.string("rope_type")
        let oldName = try block.string("type")
        let type = newName ?? oldName ?? "default"
        switch type {
        case "default": kind = .standard
        case "linear": kind = .linear(factor: try block.number("factor", in: Self.positive))
        case "llama3":
            let low = try block.number("low_freq_factor", in: Self.positive)
            let high = try block.number("high_freq_factor", in: Self.positive)
            guard low < high else { throw block.wrong("high_freq_factor", block["high_freq_factor"], "more than low_freq_factor") }
            kind = .llama3(
                factor: try block.number("factor", in: Self.positive), lowFrequencyFactor: low, highFrequencyFactor: high,
                originalPositions: try originalPositions())
        case "yarn": kind = .yarn(try Self.yarn(block, try originalPositions(), maximumPositions, theta))
        default:
            throw .unsupported(
                "\(config.file) asks for rotary embeddings of the type \(quoted(type)); default, linear, llama3 and yarn are supported")
        }
    }

    private static func yarn(
        _ block: ConfigFields, _ original: Int, _ maximumPositions: Int, _ theta: Double
    ) throws(FormatError) -> Yarn {
        guard theta > 1 else { throw block.wrong("rope_theta", .real(theta), "more than 1 under yarn") }
        // A factor that is written as null means the ratio of the two lengths (DeepSeek's files).
        let ratio = block.object["factor"] == JSONValue.null ? Double(maximumPositions) / Double(original) : nil
        var yarn = Yarn(factor: try block.number("factor", in: positive, default: ratio), originalPositions: original)
        let fast = try block.number("beta_fast", in: 0...1e9, default: 0)
        let slow = try block.number("beta_slow", in: 0...1e9, default: 0)
        yarn.betaFast = fast == 0 ? 32 : fast
        yarn.betaSlow = slow == 0 ? 1 : slow
        yarn.attentionFactor = try block.optionalNumber("attention_factor", in: 0...1e6)
        yarn.mscale = try block.optionalNumber("mscale", in: 0...1e6)
        yarn.mscaleAllDimensions = try block.optionalNumber("mscale_all_dim", in: 0...1e6)
        yarn.truncate = try block.flag("truncate", default: true)
        return yarn
    }

    /// The `rope_scaling` of a config.json, `null` for the standard kind.
    func scalingJSON() -> JSONValue {
        switch kind {
        case .standard: return .null
        case .linear(let factor): return ["rope_type": "linear", "factor": .real(factor)]
        case .llama3(let factor, let low, let high, let original):
            return [
                "rope_type": "llama3", "factor": .real(factor), "low_freq_factor": .real(low), "high_freq_factor": .real(high),
                "original_max_position_embeddings": .integer(Int64(original)),
            ]
        case .yarn(let yarn):
            var object: JSONObject = [
                "rope_type": "yarn", "factor": .real(yarn.factor),
                "original_max_position_embeddings": .integer(Int64(yarn.originalPositions)),
                "beta_fast": .real(yarn.betaFast), "beta_slow": .real(yarn.betaSlow),
            ]
            if let value = yarn.attentionFactor { object.append("attention_factor", .real(value)) }
            if let value = yarn.mscale { object.append("mscale", .real(value)) }
            if let value = yarn.mscaleAllDimensions { object.append("mscale_all_dim", .real(value)) }
            if !yarn.truncate { object.append("truncate", false) }
            return .object(object)
        }
    }
}
