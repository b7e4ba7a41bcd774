// What a row of simulations came to, for the command and for the tests.

/// Sums over simulations; times are in virtual seconds unless a name says CPU.
public struct SimulationTally: Hashable, Sendable {
    /// Simulations, and nodes of the last one.
    public private(set) var seeds = 0, nodes = 0
    /// Events and faults that were simulated.
    public private(set) var events = 0, faults = 0
    /// Jobs that were acknowledged, how they ended, and runs beyond each job's first.
    public private(set) var jobs = 0, succeeded = 0, failed = 0, cancelled = 0, retries = 0
    /// Of those further runs, how many went on from a broken one.
    public private(set) var resumed = 0
    /// Ranks that were named as slow.
    public private(set) var stragglers = 0
    /// Deaths that were timed, and the longest it took to notice one.
    public private(set) var deaths = 0, deathSecondsMax = 0.0
    /// Hours of steady trouble over all workers, and how often one of them was suspected, or declared dead, while it lived.
    public private(set) var nodeHours = 0.0, falseSuspicions = 0, falseDeaths = 0
    /// Virtual seconds that passed.
    public private(set) var virtualSeconds = 0.0
    /// CPU seconds of the coordinator's machine, if a clock was given, and events that it handled.
    public private(set) var machineSeconds = 0.0, machineEvents = 0

    /// Sums over nothing.
    public init() {}

    /// Adds one simulation.
    public mutating func add(_ outcome: SimulationOutcome) {
        seeds += 1
        nodes = outcome.options.nodes ?? 0
        events += outcome.events
        faults += outcome.faults
        jobs += outcome.jobs
        succeeded += outcome.succeeded
        failed += outcome.failed
        cancelled += outcome.cancelled
        retries += outcome.retries
        resumed += outcome.resumed
        stragglers += outcome.stragglers
        deaths += outcome.deathsTimed
        deathSecondsMax = max(deathSecondsMax, outcome.deathSecondsMax)
        nodeHours += outcome.nodeHours
        falseSuspicions += outcome.falseSuspicions
        falseDeaths += outcome.falseDeaths
        virtualSeconds += outcome.virtualSeconds
        machineSeconds += outcome.machineSeconds
        machineEvents += outcome.machineEvents
    }
}
