// The same seed is the same simulation, byte for byte; what is written down about it changes nothing.

import RingSimulator
import Testing

@Suite("Determinism")
struct DeterminismTests {
    private func run(_ seed: UInt64, keeps: Bool = true, faults: [FaultKind] = FaultKind.allCases) -> SimulationOutcome {
        var options = SimulationOptions(seed: seed, faults: faults)
        options.keepsTranscript = keeps
        return Simulation.run(options)
    }

    @Test("the same seed gives the same transcript", arguments: Array(1...25) as [UInt64])
    func same(seed: UInt64) {
        let (first, second) = (run(seed), run(seed))
        #expect(first.transcript == second.transcript)
        #expect(first == second)
        #expect(first.transcript.count > 50)
    }

    @Test("a transcript that is not kept changes nothing")
    func silent() {
        for seed in 1...25 as ClosedRange<UInt64> { #expect(run(seed).digest == run(seed, keeps: false).digest) }
    }

    @Test("no two seeds are alike")
    func different() {
        let digests = (1...200 as ClosedRange<UInt64>).map { run($0, keeps: false).digest }
        #expect(Set(digests).count == 200)
    }

    @Test("the command that plays a simulation again names all that it depends on")
    func replay() {
        var options = SimulationOptions(seed: 7, faults: [.loss, .crashes])
        (options.nodes, options.jobs, options.seconds, options.mutation) = (3, 2, 4.5, .mergeTwice)
        #expect(
            options.replayCommand
                == "ringmaster simulate --seed 7 --faults loss,crashes --nodes 3 --jobs 2 --seconds 4.5 --break mergeTwice")
        var steady = SimulationOptions(seed: 1, faults: [.pauses])
        (steady.hours, steady.pauseSeconds) = (2, 30)
        #expect(steady.replayCommand == "ringmaster simulate --seed 1 --faults pauses --hours 2.0 --longest-pause 30.0")
        #expect(SimulationOptions(seed: 8, faults: []).replayCommand == "ringmaster simulate --seed 8 --faults none")
        #expect(SimulationOptions(seed: 9).replayCommand == "ringmaster simulate --seed 9 --faults all")
    }
}
