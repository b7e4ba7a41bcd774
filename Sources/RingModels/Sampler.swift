// From logits to the next token: greedy, or drawn from a tempered, truncated distribution. The generator is seeded and
// ours, so the same request gives the same tokens on every machine.
import Glibc

/// How the next token is chosen.
public struct SamplingOptions: Hashable, Sendable {
    /// 0 means greedy; above, logits are divided by it.
    public var temperature: Double
    /// Keep the k most likely tokens; 0 keeps all.
    public var topK: Int
    /// Keep the fewest tokens whose probability reaches this; 1 keeps all.
    public var topP: Double
    /// Decides every draw.
    public var seed: UInt64

    /// Options; the defaults are greedy.
    public init(temperature: Double = 0, topK: Int = 0, topP: Double = 1, seed: UInt64 = 0) {
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.seed = seed
    }
}

/// Draws tokens, one a call.
public struct Sampler: Sendable {
    /// How tokens are chosen.
    public let options: SamplingOptions
    private var state: UInt64
    private static let increment: UInt64 = 0x9E37_79B9_7F4A_7C15

    /// A sampler at the start of its seed's sequence.
    public init(_ options: SamplingOptions) {
        self.options = options
        state = options.seed
    }

    /// Goes on as if `count` tokens had been drawn.
    public mutating func skip(_ count: Int) {
        if options.temperature > 0 && options.topK != 1 { state &+= UInt64(count) &* Self.increment }
    }

    /// The next token for `logits` [vocabulary], which must be finite and not empty. Ties go to the lowest id.
    public mutating func next(_ logits: [Float]) -> UInt32 {
        precondition(!logits.isEmpty, "a vocabulary is never empty")
        if options.temperature <= 0 || options.topK == 1 { return Self.argmax(logits) }
        var order = Array(logits.indices)
        order.sort { logits[$0] != logits[$1] ? logits[$0] > logits[$1] : $0 < $1 }
        if options.topK > 0 { order.removeLast(max(order.count - options.topK, 0)) }
        let top = Double(logits[order[0]])
        var weights = order.map { exp((Double(logits[$0]) - top) / options.temperature) }
        let total = weights.reduce(0, +)
        var kept = 0.0
        var count = 0
        // The token that crosses the limit stays: the nucleus is the smallest set that reaches it.
        while count < weights.count && (count == 0 || kept < options.topP * total) {
            kept += weights[count]
            count += 1
        }
        weights.removeLast(weights.count - count)
        var draw = uniform() * kept
        for (place, weight) in weights.enumerated() {
            draw -= weight
            if draw < 0 { return UInt32(order[place]) }
        }
        return UInt32(order[count - 1])
    }

    /// The most likely token; the lowest id among equals.
    public static func argmax(_ logits: [Float]) -> UInt32 {
        var best = 0
        for index in logits.indices where logits[index] > logits[best] { best = index }
        return UInt32(best)
    }

    /// SplitMix64, then 53 bits as [0, 1).
    private mutating func uniform() -> Double {
        state &+= Self.increment
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        return Double(mixed >> 11) * 0x1p-53
    }
}
