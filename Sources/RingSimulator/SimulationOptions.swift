// What one simulation is to be: its seed, its size, its faults, and, for tests of the checkers, what is broken on purpose.

/// Kinds of trouble, by the names of the command line.
public enum FaultKind: String, Hashable, Sendable, CaseIterable {
    /// Those that can go on for hours at a steady rate.
    public static let steady: [FaultKind] = [.delays, .loss, .pauses]

    /// Links that are slow for a while, and clocks that differ and drift.
    case delays
    /// Packets that are lost and sent again, requests that arrive twice, connections that break.
    case loss
    /// Links that carry nothing for a while, in one direction or both.
    case partitions
    /// Processes that stand still for up to 200 ms; together with other kinds also for seconds.
    case pauses
    /// Processes that die or are told to leave, machines that lose power, also at each step of a write; all come back.
    case crashes
    /// A disk that is full or slow for a while.
    case disk
    /// Workers that compute at a fraction of their speed for a while.
    case stragglers
}

/// A rule that is broken on purpose, so that a test can see some checker find it.
public enum Mutation: String, Hashable, Sendable, CaseIterable {
    /// A change of a job's record that settles it is not kept.
    case dropJobRecord
    /// One durable event in eight is not kept.
    case dropEvent
    /// Reserved numbers are not kept.
    case dropReservation
    /// A piece of a prompt is not kept.
    case dropPrompt
    /// What follows from a change goes out before the change is on the disk.
    case answerBeforeSync
    /// On a full disk followers are told what is not yet kept.
    case tellWhenFull
    /// Batches of reports that come twice or late are applied again, and reports of earlier runs pass for reports of the newest.
    case acceptOldReports
    /// Idempotency keys are lost on the way to the machine.
    case forgetKeys
    /// Nobody tells the machine that a connection has closed.
    case hideDisconnects
    /// Workers give signs of life every six seconds.
    case rareHeartbeats
    /// Followers that come back get the last event again.
    case repeatEvents
    /// A block is merged twice.
    case mergeTwice
    /// A block is left out.
    case skipBlock
    /// A block is received into the buffer that is still in use.
    case wrongBuffer
    /// A worker begins a run although its engine is still at another.
    case twoEngines
    /// An answer that goes on after a fault starts from the bare prompt.
    case forgetAnswer
    /// A broken run keeps the layer under way as if it were done.
    case keepTooMuch
    /// Workers count as gone after 0.1 s of silence.
    case hastySilence
    /// The first rank of each ring reports twice the seconds that it has computed.
    case doubledSeconds
}

/// One simulation.
public struct SimulationOptions: Hashable, Sendable {
    /// Everything follows from it.
    public var seed: UInt64
    /// Workers; `nil` lets the seed choose 2 to 5.
    public var nodes: Int?
    /// Jobs; `nil` lets the seed choose 2 to 7.
    public var jobs: Int?
    /// Kinds of trouble that may come; a seed takes a part of them.
    public var faults: [FaultKind]
    /// Virtual seconds of trouble and of new jobs; `nil` lets the seed choose 3 to 8.
    public var seconds: Double?
    /// Virtual hours of steady trouble instead, in which nobody dies: who is suspected or declared dead all the same is counted.
    /// Only kinds of `FaultKind.steady` come then.
    public var hours: Double?
    /// The longest that a process stands still in steady trouble, in seconds.
    public var pauseSeconds = SimulationOptions.shortPauseSeconds
    /// A pause of up to so many seconds must not be taken for anything else.
    public static let shortPauseSeconds = 0.2
    /// Whether every event is written down.
    public var keepsTranscript = false
    /// A rule that is broken on purpose.
    public var mutation: Mutation?

    /// A simulation of a seed, with every kind of trouble unless told otherwise.
    public init(seed: UInt64, faults: [FaultKind] = FaultKind.allCases) {
        self.seed = seed
        self.faults = faults
    }

    /// Whether it ends when its time is over and not when every job has: a measurement.
    var endsByTime: Bool { hours != nil || faults.isEmpty && nodes ?? 0 > 100 }

    /// The command that plays it again.
    public var replayCommand: String {
        let kinds =
            faults.isEmpty ? "none" : faults.count == FaultKind.allCases.count ? "all" : faults.map(\.rawValue).joined(separator: ",")
        var command = "ringmaster simulate --seed \(seed) --faults \(kinds)"
        if let nodes { command += " --nodes \(nodes)" }
        if let jobs { command += " --jobs \(jobs)" }
        if let seconds { command += " --seconds \(seconds)" }
        if let hours { command += " --hours \(hours)" }
        if hours != nil, pauseSeconds != Self.shortPauseSeconds { command += " --longest-pause \(pauseSeconds)" }
        if let mutation { command += " --break \(mutation.rawValue)" }
        return command
    }
}

/// A claim that did not hold.
public struct Violation: Hashable, Sendable {
    /// The checker's name.
    public let checker: String
    /// What it saw.
    public let message: String
    /// When, in virtual seconds.
    public let seconds: Double
}

/// What came of a simulation.
public struct SimulationOutcome: Hashable, Sendable {
    /// What was simulated.
    public var options: SimulationOptions
    /// The first claim that did not hold, if any.
    public var violation: Violation?
    /// Events that were simulated.
    public var events = 0
    /// Virtual seconds that passed.
    public var virtualSeconds = 0.0
    /// Faults that were injected.
    public var faults = 0
    /// Jobs that were acknowledged.
    public var jobs = 0
    /// How many of them succeeded, failed and were cancelled.
    public var succeeded = 0, failed = 0, cancelled = 0
    /// Runs beyond each job's first.
    public var retries = 0
    /// Ranks that were named as slow.
    public var stragglers = 0
    /// Runs that went on from a broken one.
    public var resumed = 0
    /// Deaths of workers that were timed, undisturbed by another fault, and the longest it took to notice one.
    public var deathsTimed = 0, deathSecondsMax = 0.0
    /// Hours of steady trouble that workers lived through, over all of them; how often one was suspected, or declared dead.
    public var nodeHours = 0.0, falseSuspicions = 0, falseDeaths = 0
    /// One number of all events: equal for equal simulations.
    public var digest: UInt64 = 0
    /// One line an event, if it was kept.
    public var transcript: [String] = []
    /// CPU seconds that the coordinator's machine took, if a clock was given, and events that it handled.
    public var machineSeconds = 0.0, machineEvents = 0
    /// The most events that ever waited.
    public var queueMax = 0
}
