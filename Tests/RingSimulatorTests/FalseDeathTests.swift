// Hours in which nobody dies: how often is somebody taken for dead?

import RingSimulator
import Testing

@Suite("False deaths")
struct FalseDeathTests {
    /// `nodes` workers for `hours` under steady trouble of these kinds.
    private func outcome(
        _ nodes: Int, hours: Double, _ kinds: [FaultKind], pauses: Double = SimulationOptions.shortPauseSeconds,
        breaks rule: Mutation? = nil
    ) -> SimulationOutcome {
        var options = SimulationOptions(seed: 1, faults: kinds)
        (options.nodes, options.hours, options.pauseSeconds, options.mutation, options.jobs) = (nodes, hours, pauses, rule, 20)
        let outcome = Simulation.run(options)
        #expect(rule != nil || outcome.violation == nil, "\(String(describing: outcome.violation)): \(options.replayCommand)")
        return outcome
    }

    @Test("60 node-hours with pauses of up to 200 ms: nobody is declared dead, no job fails or is tried again")
    func shortPauses() {
        let outcome = outcome(240, hours: 0.25, [.pauses])
        #expect(outcome.nodeHours == 60 && outcome.faults > 60 * 1500)
        #expect(outcome.falseDeaths == 0 && outcome.falseSuspicions == 0)
        #expect(outcome.succeeded > 10 && outcome.failed == 0 && outcome.retries == 0)
    }

    @Test("30 node-hours with pauses, delays and one packet in a hundred lost: nobody is declared dead")
    func everything() {
        let outcome = outcome(120, hours: 0.25, FaultKind.steady)
        #expect(outcome.nodeHours == 30 && outcome.falseDeaths == 0)
    }

    @Test("the count can be other than zero: pauses of up to 30 s, a silence of 0.1 s that counts as death, rare signs of life")
    func controls() {
        #expect(outcome(10, hours: 0.1, [.pauses], pauses: 30).falseDeaths > 0)
        #expect(outcome(10, hours: 0.01, [.pauses], breaks: .hastySilence).falseDeaths > 0)
        let rare = outcome(10, hours: 0.01, [.pauses], breaks: .rareHeartbeats)
        #expect(rare.falseDeaths > 0 && rare.falseSuspicions > 0)
    }
}
