// All chance of a simulation comes from its seed, through this generator: the same seed draws the same numbers everywhere.

/// SplitMix64 (Steele, Lea, Flood 2014): small, fast, and any seed will do.
struct SplitMix64: Sendable {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        return scramble(state)
    }

    /// `0 ..< count`; the bias of one part in 2^64 does not matter here.
    mutating func below(_ count: Int) -> Int { Int(next().multipliedFullWidth(by: UInt64(count)).high) }

    mutating func chance(_ probability: Double) -> Bool { unit() < probability }

    /// `low ..< high`.
    mutating func between(_ low: Double, _ high: Double) -> Double { low + (high - low) * unit() }

    /// Nanoseconds, given in seconds.
    mutating func span(_ low: Double, _ high: Double) -> Int64 { Int64(between(low, high) * 1e9) }

    /// Another generator, so that one part's draws do not move another's.
    mutating func fork() -> SplitMix64 { SplitMix64(next()) }

    private mutating func unit() -> Double { Double(next() >> 11) / Double(1 << 53) }
}

/// Spreads every bit of a number over all of them.
func scramble(_ number: UInt64) -> UInt64 {
    var bits = number
    bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
    bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
    return bits ^ (bits >> 31)
}

/// One number of two, different for each order.
func scramble(_ first: UInt64, _ second: UInt64) -> UInt64 { scramble(scramble(first &+ 0x9e37_79b9_7f4a_7c15) &+ second) }
