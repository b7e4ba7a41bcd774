// What becomes of the workers of one machine when one of them ends.

import RingWorker
import Testing

@Suite("A group of workers")
struct GroupPolicyTests {
    private func started(_ count: Int) -> GroupPolicy {
        var policy = GroupPolicy(count: count)
        #expect(policy.due(at: 0) == Array(0..<count))
        for place in 0..<count { policy.started(place, at: 0) }
        #expect(policy.due(at: 1e9) == [] && !policy.isOver)
        return policy
    }

    @Test(
        "one that crashes is started again after a pause, and nobody else is touched",
        arguments: [ChildEnding.killed(9), .exited(1), .exited(75)])
    func restart(how: ChildEnding) {
        var policy = started(3)
        #expect(policy.ended(1, how, at: 100) == .restart(afterSeconds: 1))
        #expect(policy.due(at: 100.9) == [] && policy.due(at: 101) == [1] && !policy.isOver)
    }

    @Test("pauses double up to a bound while lives are short, and begin anew after a long one")
    func pauses() {
        var policy = started(1)
        var (now, pauses) = (0.0, [Double]())
        for _ in 0..<8 {
            guard case .restart(let pause) = policy.ended(0, .killed(11), at: now + 1) else { break }
            pauses.append(pause)
            now += 1 + pause
            policy.started(0, at: now)
        }
        #expect(pauses == [1, 2, 4, 8, 16, 30, 30, 30])
        #expect(policy.ended(0, .killed(11), at: now + 60) == .restart(afterSeconds: 1))
    }

    @Test("one that was told to leave stays away; when all have, the group is over, with 0")
    func left() {
        var policy = started(2)
        #expect(policy.ended(0, .exited(0), at: 5) == .settled && policy.due(at: 1e9) == [] && !policy.isOver)
        #expect(policy.ended(1, .exited(0), at: 6) == .settled && policy.isOver && policy.exitCode == 0)
    }

    @Test("settings that are wrong end all, with their code", arguments: [Int32(2), 77, 78])
    func hopeless(code: Int32) {
        var policy = started(3)
        _ = policy.ended(2, .killed(9), at: 1)
        #expect(policy.ended(0, .exited(code), at: 1) == .endAll)
        #expect(policy.due(at: 1e9) == [], "who waited to be started again is not")
        #expect(!policy.isOver)
        #expect(policy.ended(1, .killed(15), at: 2) == .settled && policy.isOver && policy.exitCode == code)
    }

    @Test("after a signal nobody is started again, however they end")
    func ending() {
        var policy = started(2)
        _ = policy.ended(0, .killed(9), at: 1)
        policy.end()
        #expect(policy.due(at: 1e9) == [] && !policy.isOver)
        #expect(policy.ended(1, .exited(75), at: 2) == .settled && policy.isOver && policy.exitCode == 0)
    }
}
