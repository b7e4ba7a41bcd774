// A checker that nothing can make speak checks nothing: each rule is broken on purpose, and some seed must find it.

import RingSimulator
import Testing

/// A broken rule and the checkers that may be the first to find it.
struct BrokenRule: CustomTestStringConvertible, Sendable {
    let mutation: Mutation
    let checkers: [String]
    var faults = FaultKind.allCases
    /// How many seeds may be needed.
    var seeds: UInt64 = 300

    var testDescription: String { mutation.rawValue }

    static let all = [
        BrokenRule(mutation: .dropJobRecord, checkers: ["liveness", "one-run", "followers"]),
        BrokenRule(mutation: .dropEvent, checkers: ["followers", "one-run", "pairs", "liveness"], faults: []),
        BrokenRule(mutation: .dropReservation, checkers: ["acknowledged", "one-run", "followers"]),
        BrokenRule(mutation: .dropPrompt, checkers: ["pairs"]),
        BrokenRule(mutation: .answerBeforeSync, checkers: ["acknowledged", "followers", "pairs"]),
        BrokenRule(mutation: .tellWhenFull, checkers: ["followers", "one-run", "liveness"], faults: [.crashes, .disk]),
        BrokenRule(mutation: .acceptOldReports, checkers: ["blame", "one-run", "pairs"], seeds: 2000),
        BrokenRule(mutation: .forgetKeys, checkers: ["acknowledged"]),
        BrokenRule(mutation: .hideDisconnects, checkers: ["death"], faults: [.crashes]),
        BrokenRule(mutation: .rareHeartbeats, checkers: ["false-death"], faults: [.pauses]),
        BrokenRule(mutation: .repeatEvents, checkers: ["followers"]),
        BrokenRule(mutation: .mergeTwice, checkers: ["pairs"], faults: []),
        BrokenRule(mutation: .skipBlock, checkers: ["pairs"], faults: []),
        BrokenRule(mutation: .wrongBuffer, checkers: ["pairs"], faults: []),
        BrokenRule(mutation: .twoEngines, checkers: ["one-engine"]),
        BrokenRule(mutation: .forgetAnswer, checkers: ["pairs"]),
        BrokenRule(mutation: .keepTooMuch, checkers: ["pairs"], faults: [.crashes]),
        BrokenRule(mutation: .hastySilence, checkers: ["false-death"], faults: [.pauses]),
        BrokenRule(mutation: .doubledSeconds, checkers: ["straggler"], faults: []),
    ]
}

@Suite("Broken rules")
struct MutationTests {
    @Test("every broken rule is found by some seed", arguments: BrokenRule.all)
    func found(rule: BrokenRule) {
        for seed in 0..<rule.seeds {
            var options = SimulationOptions(seed: seed, faults: rule.faults)
            options.mutation = rule.mutation
            guard let violation = Simulation.run(options).violation else { continue }
            #expect(rule.checkers.contains(violation.checker), "seed \(seed): \(violation.checker): \(violation.message)")
            return
        }
        Issue.record("no seed finds \(rule.mutation.rawValue)")
    }

    @Test("no mutation is forgotten here")
    func complete() {
        #expect(BrokenRule.all.map(\.mutation) == Mutation.allCases)
    }

    @Test("a failure tells the checker, the moment and a transcript that ends with it")
    func story() throws {
        var options = SimulationOptions(seed: 1, faults: [])
        (options.mutation, options.keepsTranscript) = (.mergeTwice, true)
        let outcome = Simulation.run(options)
        let violation = try #require(outcome.violation)
        let last = try #require(outcome.transcript.last)
        #expect(last.hasSuffix("checker \(violation.checker): \(violation.message)"))
        #expect(violation.seconds > 0)
    }
}
