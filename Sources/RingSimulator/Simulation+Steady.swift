// Trouble that goes on for hours at a steady rate and kills nobody, so that it can be counted how often somebody is taken for
// dead all the same: processes that stand still, the coordinator's among them, messages that are late, packets that are lost.

import RingControl
import RingCore

extension Simulation {
    mutating func beginSteadyTrouble() {
        if options.faults.contains(.delays) { slow = (SimulationLimits.steadyDelay, .max) }
        if options.faults.contains(.loss) { lossy = (SimulationLimits.steadyLoss, .max) }
        guard options.faults.contains(.pauses) else { return }
        for node in 0...workers.count { pause(node, after: now) }
    }

    /// A process stands still, for as long as chance has it, and goes on for a while before it does so again.
    mutating func pauseSteadily(_ node: Int) {
        outcome.faults += 1
        processes[node].pausedUntil = max(processes[node].pausedUntil, now + work.span(0, options.pauseSeconds))
        pause(node, after: processes[node].pausedUntil)
    }

    private mutating func pause(_ node: Int, after moment: Int64) {
        queue.push(.pause(node), at: moment + work.span(0, 2 * SimulationLimits.steadyPauseEvery))
    }
}
