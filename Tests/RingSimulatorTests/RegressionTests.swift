// Seeds that found a bug. What a seed means changes with the machines and the simulator, so each bug has a test of its own
// kind too; the seeds stay because they were hard to draw.

import RingSimulator
import Testing

@Suite("Seeds that found something")
struct RegressionTests {
    /// 1000277: a worker that left and came back was avoided for ever by the job that it had handed back (HandBackTests).
    @Test("seeds that failed once", arguments: [1_000_277] as [UInt64])
    func again(seed: UInt64) {
        let outcome = Simulation.run(SimulationOptions(seed: seed))
        #expect(outcome.violation == nil, "\(outcome.options.replayCommand)")
    }
}
