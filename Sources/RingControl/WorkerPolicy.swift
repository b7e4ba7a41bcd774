// How long a worker waits for what. Every wait has a deadline; these are all of them.

/// Deadlines of the worker's machine; each value states what a longer one costs.
public struct WorkerPolicy: Hashable, Sendable {
    /// Whether it joins again when its session ends. A worker that was started for one coordinator leaves instead.
    public var rejoins: Bool
    /// Seconds for which it tries to join; `nil` is for ever. Longer: a process that nobody needs hangs about.
    public var joinSeconds: Double?
    /// Seconds of a silent coordinator after which the session has ended. Longer: a run that nobody wants goes on.
    public var silenceSeconds = 5.0
    /// Seconds before the first repetition of what failed; doubled for each that fails in a row.
    public var backoffSeconds = 0.1
    /// Most seconds between two attempts to join. Longer: a coordinator that is back is found later.
    public var backoffSecondsMax = 5.0
    /// Most seconds between two attempts to open the stream of directives. Longer: directives are late by as much.
    public var streamBackoffSecondsMax = 0.8
    /// Seconds that a run has to end when the worker is to leave. Longer: an upgrade of the machine waits for it.
    public var graceSeconds = 60.0
    /// Seconds for which it holds what is left of a broken run. Longer: memory that nobody needs is held. Shorter: a run that
    /// waits for another worker starts from the beginning.
    public var keepSeconds = 600.0
    /// Seconds to wait for the engine to end before the worker leaves all the same.
    public var giveUpSeconds = 2.0
    /// Seconds by which a wake-up may be late before the worker takes itself for the one that was asleep, and waits for the
    /// coordinator anew.
    public var latenessSeconds = 0.1
    /// Spreads the attempts of many workers that lost one coordinator at one moment; zero spreads nothing. Whoever makes
    /// the policy draws it, since the machine draws no number.
    public var jitterSeed: UInt64 = 0

    /// The defaults, or other values.
    public init(rejoins: Bool, joinSeconds: Double? = nil) {
        self.rejoins = rejoins
        self.joinSeconds = joinSeconds
    }

    /// A daemon's: it joins as often as it takes.
    public static let daemon = WorkerPolicy(rejoins: true)
    /// That of a worker which was started for one coordinator and does not outlive it.
    public static let embedded = WorkerPolicy(rejoins: false, joinSeconds: 30)

    /// Seconds to wait after `failures` attempts in a row that failed, at most `most`: between half and the whole of
    /// what doubling gives, so that no two workers keep step.
    func backoff(_ failures: Int, most: Double) -> Double {
        var whole = backoffSeconds
        for _ in 0..<min(failures, 16) { whole = min(2 * whole, most) }
        guard jitterSeed != 0 else { return whole }
        // One step of SplitMix64 (Steele, Lea, Flood 2014): the attempt's number picks the place in the seed's stream.
        var bits = jitterSeed &+ UInt64(failures + 1) &* 0x9e37_79b9_7f4a_7c15
        bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
        return whole * (0.5 + 0.5 * Double((bits ^ (bits >> 31)) >> 11) / Double(1 << 53))
    }
}
