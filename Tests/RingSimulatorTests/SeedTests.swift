// Ten thousand small clusters under mixed faults, and every kind of fault by itself. A seed that fails is printed with the
// command that plays it again.

import RingSimulator
import Testing

/// Plays `seeds` under `faults`; each that fails is an issue of the test.
private func play(_ seeds: Range<UInt64>, faults kinds: [FaultKind]) -> SimulationTally {
    var tally = SimulationTally()
    for seed in seeds {
        let outcome = Simulation.run(SimulationOptions(seed: seed, faults: kinds))
        if let violation = outcome.violation {
            Issue.record("\(violation.checker): \(violation.message)\n    \(outcome.options.replayCommand) --transcript")
        }
        tally.add(outcome)
    }
    return tally
}

@Suite("Seeds")
struct SeedTests {
    @Test("ten thousand clusters under mixed faults keep every promise", arguments: Array(0..<10) as [UInt64])
    func mixed(part: UInt64) {
        let tally = play(part * 1000..<(part + 1) * 1000, faults: FaultKind.allCases)
        // A simulation in which nothing happens proves nothing.
        #expect(tally.faults > 3000)
        #expect(tally.jobs > 3000)
        #expect(tally.succeeded > 1000)
        #expect(tally.failed > 50)
        #expect(tally.resumed > 10)
        #expect(tally.cancelled > 50)
        #expect(tally.retries > 300)
    }

    @Test("each kind of fault by itself", arguments: FaultKind.allCases)
    func single(kind: FaultKind) {
        let tally = play(20_000..<20_200, faults: [kind])
        #expect(tally.faults > 200)
        #expect(tally.succeeded > 200)
    }

    @Test("without faults every job succeeds, and nobody is taken for dead")
    func calm() {
        let tally = play(30_000..<30_300, faults: [])
        #expect(tally.faults == 0)
        #expect(tally.retries == 0)
    }

    @Test("pauses of up to 200 ms are taken for nothing else: no worker is lost, no job fails or is tried again")
    func shortPauses() {
        let tally = play(40_000..<40_500, faults: [.pauses])
        #expect(tally.faults > 2000)
        #expect(tally.retries == 0)
    }

    @Test("the death of a worker is noticed within a second")
    func deaths() {
        let tally = play(50_000..<50_500, faults: [.crashes])
        #expect(tally.deaths > 50)
        #expect(tally.deathSecondsMax < 1)
    }
}
