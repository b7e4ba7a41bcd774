// Ten thousand nodes and one coordinator's machine.

import RingSimulator
import Testing

@Suite("Scale")
struct ScaleTests {
    @Test("ten thousand nodes join, live and work; the machine's share is measured by the clock that it is given")
    func tenThousand() {
        var options = SimulationOptions(seed: 1, faults: [])
        (options.nodes, options.jobs, options.seconds) = (10_000, 200, 4)
        var readings = 0.0
        // A clock that advances by one at each reading: what comes out is the number of decisions.
        let outcome = Simulation.run(options) {
            readings += 1
            return readings
        }
        #expect(outcome.violation == nil)
        // Four signs of life a second from each, and everybody's joining.
        #expect(outcome.machineEvents > 100_000)
        #expect(outcome.machineSeconds > 100_000)
        #expect(outcome.succeeded > 100)
        #expect(outcome.failed == 0)
        #expect(outcome.queueMax < 200_000)
    }
}
