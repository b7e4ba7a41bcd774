// What becomes of a group of worker processes, one for each NUMA node: a pure machine, told what ends and when. The rule: each lives by
// itself. One that crashes is started again after a pause; one that was told to leave stays away; one whose settings are wrong ends all.

/// How a child process ended.
public enum ChildEnding: Hashable, Sendable, CustomStringConvertible {
    /// By itself, with this code.
    case exited(Int32)
    /// By a signal.
    case killed(Int32)

    /// The rest of a sentence.
    public var description: String {
        switch self {
        case .exited(let code): "ended with exit code \(code)"
        case .killed(let number): "was killed by signal \(number)"
        }
    }
}

/// A group of children under one rule.
public struct GroupPolicy: Sendable {
    /// What to do about a child that has ended.
    public enum Verdict: Hashable, Sendable {
        /// Start it again after so many seconds.
        case restart(afterSeconds: Double)
        /// Leave it at that.
        case settled
        /// End the others too: starting again does not help.
        case endAll
    }

    private enum State {
        case waiting(until: Double)
        case running(since: Double)
        case settled
    }

    /// Seconds before the first restart, doubled with each death that follows on a short life, and the most.
    public static let pauseSeconds = 1.0, pauseSecondsMax = 30.0
    /// Seconds after which a life was long enough to forget what came before it.
    public static let longLifeSeconds = 60.0
    /// Codes after which another attempt ends in the same way: usage, not permitted, configuration.
    public static let hopeless: Set<Int32> = [2, 77, 78]

    private var states: [State]
    private var pauses: [Double]
    private var isEnding = false
    /// The group's exit code: 0, or that of the child which ended all.
    public private(set) var exitCode: Int32 = 0

    /// `count` children that are to be started.
    public init(count: Int) {
        states = Array(repeating: .waiting(until: 0), count: count)
        pauses = Array(repeating: Self.pauseSeconds, count: count)
    }

    /// Children to be started at `now`, in seconds of any clock.
    public func due(at now: Double) -> [Int] {
        states.indices.filter { if case .waiting(let moment) = states[$0] { moment <= now } else { false } }
    }

    /// Whether nothing runs and nothing will.
    public var isOver: Bool { states.allSatisfy { if case .settled = $0 { true } else { false } } }

    /// A child has been started.
    public mutating func started(_ place: Int, at now: Double) { states[place] = .running(since: now) }

    /// A child has ended.
    public mutating func ended(_ place: Int, _ how: ChildEnding, at now: Double) -> Verdict {
        var lived = 0.0
        if case .running(let since) = states[place] { lived = now - since }
        if isEnding || how == .exited(0) {
            states[place] = .settled
            return .settled
        }
        if case .exited(let code) = how, Self.hopeless.contains(code) {
            states[place] = .settled
            exitCode = code
            end()
            return .endAll
        }
        let pause = lived >= Self.longLifeSeconds ? Self.pauseSeconds : pauses[place]
        pauses[place] = min(2 * pause, Self.pauseSecondsMax)
        states[place] = .waiting(until: now + pause)
        return .restart(afterSeconds: pause)
    }

    /// The group is to end: nothing is started any more.
    public mutating func end() {
        isEnding = true
        for place in states.indices { if case .waiting = states[place] { states[place] = .settled } }
    }
}
