// Workers that are slowed are named, and nobody else is.

import RingSimulator
import Testing

@Suite("Stragglers")
struct StragglerTests {
    @Test("slowed workers are named, only they are, and slowness costs no job and no retry")
    func named() {
        var tally = SimulationTally()
        for seed in 60_000..<60_300 as Range<UInt64> {
            let outcome = Simulation.run(SimulationOptions(seed: seed, faults: [.stragglers]))
            // The checker "straggler" compares each name with the faults that were injected.
            #expect(outcome.violation == nil, "\(outcome.options.replayCommand)")
            tally.add(outcome)
        }
        #expect(tally.stragglers > 50, "\(tally.stragglers)")
        #expect(tally.retries == 0)
    }

    @Test("without such a fault nobody is named")
    func nobody() {
        for seed in 61_000..<61_200 as Range<UInt64> {
            let outcome = Simulation.run(SimulationOptions(seed: seed, faults: [.pauses]))
            #expect(outcome.violation == nil && outcome.stragglers == 0, "\(outcome.options.replayCommand)")
        }
    }
}
