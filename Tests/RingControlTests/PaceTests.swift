// Who is named as slow, when, and how often; and that no figure which a worker makes up does harm.

import Foundation
import RingControl
import RingCore
import Testing

private let run1 = Run(JobNumber(1), Epoch(1))

/// A ring of one attention job, whose ranks report what they have done and computed.
private struct Ring {
    var play: Play
    let names: [String]
    var run = run1
    private var second = 1.0

    /// Nobody is lost by silence here.
    static var patient: CoordinatorPolicy {
        var policy = CoordinatorPolicy(silenceSeconds: 1000)
        policy.suspectSeconds = 1000
        return policy
    }

    init(_ names: [String], policy: CoordinatorPolicy = Ring.patient, more: [String] = []) {
        play = Play(policy: policy)
        self.names = names
        for name in names { play.join(name) }
        play.submit(attendSpec(), workers: names.count)
        for name in names { play.report(name, .ready(run1)) }
        for name in more { play.join(name) }
    }

    /// Two seconds later each rank has done `done` of `total` tokens in `computed` seconds. The ranks' reports come twice, so
    /// that nothing hangs on who is the first to report.
    mutating func report(
        _ computed: [Double], done: [Int]? = nil, of total: Int = 1000, phase: WorkerProgress.Phase = .attend, layer: Int = 0
    ) {
        second += 2
        for _ in 0..<2 {
            for (rank, name) in names.enumerated() {
                var progress = WorkerProgress(
                    phase: phase, layer: layer, layers: phase == .attend ? 1 : 8, step: 0, steps: names.count,
                    tokensDone: done?[rank] ?? 500, tokensTotal: total)
                progress.computeSeconds = computed[rank]
                play.report(name, .progress(run, progress), at: second)
            }
            second += 1.5
        }
    }

    /// The lines that name somebody.
    var named: [String] { play.lines.filter { $0.contains("waits for") }.map { $0.trimmingCharacters(in: .whitespaces) } }

    func worker(_ name: String) throws -> WorkerView {
        try #require(play.machine.workerViews(at: Moment(nanoseconds: 0)).first { $0.registration.name == name })
    }

    func job() throws -> JobView { try #require(play.machine.jobView(run.job)) }
}

@Suite("Pace")
struct PaceTests {
    @Test("of equals nobody is named, and everybody has pace 1")
    func equals() throws {
        var ring = Ring(["a", "b", "c", "d"])
        for second in 2...20 { ring.report(Array(repeating: Double(second), count: 4), done: Array(repeating: 50 * second, count: 4)) }
        #expect(ring.named.isEmpty)
        for name in ring.names { #expect(try ring.worker(name).pace == 1 && ring.worker(name).health == .ok) }
        #expect(try ring.job().straggler == nil)
    }

    @Test(
        "a worker at half speed is named once, as an event, in the views of job and worker, and keeps its name while it is near the bound")
    func halfSpeed() throws {
        var ring = Ring(["a", "b", "c", "d"])
        ring.report([6, 6, 12, 6])
        #expect(ring.named == ["job 1: waits for c rank 2 pace 2.0"])
        #expect(try ring.worker("c").health == .slow && ring.worker("c").pace == 2 && ring.worker("a").health == .ok)
        #expect(try ring.job().straggler == Straggler(worker: "c", rank: 2, pace: 2))
        let kept = ring.play.kept.filter { if case .event(_, _, _, .slow) = $0 { true } else { false } }
        #expect(kept.count == 1, "the event is durable")
        // Between the bounds nothing changes, whichever way it came.
        ring.report([6, 6, 8, 8])
        #expect(try ring.worker("c").health == .slow && ring.worker("d").health == .ok)
        ring.report([6, 6, 7.2, 6])
        #expect(try ring.worker("c").health == .ok && ring.worker("c").pace == 1.2 && ring.job().straggler == nil)
        ring.report([6, 6, 12, 6])
        #expect(try ring.worker("c").health == .slow)
        #expect(ring.named.count == 1, "once a run is enough: \(ring.named)")
    }

    @Test("of two ranks the slower is measured against the faster; a single one has no pace")
    func small() throws {
        var ring = Ring(["a", "b"])
        ring.report([8, 4])
        #expect(ring.named == ["job 1: waits for a rank 0 pace 2.0"])
        var single = Ring(["a"])
        single.report([50])
        #expect(try single.named.isEmpty && single.worker("a").pace == nil)
    }

    @Test("pace goes by parts of shares: who has done half as much in the same time is slow, who owns twice as much is not")
    func shares() throws {
        var ring = Ring(["a", "b", "c"])
        ring.report([4, 4, 4], done: [500, 250, 500])
        #expect(ring.named == ["job 1: waits for b rank 1 pace 2.0"])
        var other = Ring(["a", "b", "c"])
        other.report([4, 4, 2.5], done: [600, 600, 375])
        #expect(other.named.isEmpty)
        // Who has no tokens is left out, and does not keep the others from being compared.
        var empty = Ring(["a", "b", "c"])
        for (name, seconds, total) in [("a", 3.0, 900), ("b", 6.0, 900), ("c", 0.0, 0)] {
            let progress = WorkerProgress(
                phase: .attend, layer: 0, layers: 1, step: 0, steps: 3, tokensDone: total, tokensTotal: total, computeSeconds: seconds)
            empty.play.report(name, .progress(run1, progress), at: 5)
        }
        #expect(empty.named == ["job 1: waits for b rank 1 pace 2.0"])
    }

    @Test("nothing is said before every rank has done enough, in the first layer of several, or while an answer is decoded")
    func tooEarly() {
        var ring = Ring(["a", "b", "c"])
        ring.report([1.9, 9, 3])
        ring.report([2, 9, 3], done: [19, 500, 500])
        ring.report([20, 90, 30], done: [15, 500, 500], of: 600)
        ring.report([3, 9, 3], phase: .prefill)
        ring.report([3, 9, 3], phase: .decode, layer: 3)
        ring.report([3, 9, 3], phase: .loading, layer: 3)
        #expect(ring.named.isEmpty)
        ring.report([3, 9, 3], phase: .prefill, layer: 1)
        #expect(ring.named == ["job 1: waits for b rank 1 pace 3.0"])
    }

    @Test("figures that no worker has do no harm: not to the machine, not to a view, not to the others' names")
    func hostile() throws {
        for seconds in [Double.nan, .infinity, -.infinity, -1, 1e308, 0] {
            var ring = Ring(["a", "b", "c"])
            ring.report([4, seconds, 4])
            let encoder = JSONEncoder()
            _ = try encoder.encode(ring.play.machine.workerViews(at: Moment(nanoseconds: 0)))
            _ = try encoder.encode(ring.play.machine.jobViews)
            #expect(ring.named.allSatisfy { $0.contains("waits for b") }, "\(seconds): \(ring.named)")
        }
        for (done, total) in [(500, 0), (-1, 1000), (Int.max, 1000), (Int.min, Int.min), (Int.max, Int.max), (0, Int.max)] {
            var ring = Ring(["a", "b", "c"])
            ring.report([4, 4, 4], done: [500, 500, 500])
            let progress = WorkerProgress(
                phase: .attend, layer: .max, layers: .max, step: .max, steps: .min, tokensDone: done, tokensTotal: total, computeSeconds: 4)
            for second in 10...12 { for name in ["a", "b"] { ring.play.report(name, .progress(run1, progress), at: Double(second)) } }
            ring.play.lose("b", "was killed", at: 20)
            #expect(try ring.job().state == .failed)
        }
    }

    @Test("what a worker's data travels by stands in its view, cut where it is longer than any way is called")
    func transport() throws {
        var ring = Ring(["a", "b"])
        var progress = WorkerProgress(phase: .attend, layer: 0, layers: 1, step: 0, steps: 2, tokensDone: 5, tokensTotal: 1000)
        (progress.transport, progress.transportRemark) = ("shared-memory", "rank 1: why not")
        ring.play.report("a", .progress(run1, progress), at: 5)
        #expect(try ring.worker("a").progress == progress)
        (progress.transport, progress.transportRemark) = (String(repeating: "x", count: 100_000), String(repeating: "y", count: 100_000))
        ring.play.report("b", .progress(run1, progress), at: 5)
        let found = try #require(try ring.worker("b").progress)
        #expect(found.transport?.count == ControlLimits.transportLetters && found.transportRemark?.count == ControlLimits.remarkLetters)
    }

    @Test("late and repeated reports, and those of another run, name nobody")
    func late() throws {
        var ring = Ring(["a", "b"])
        ring.report([4, 4])
        let slow = WorkerProgress(
            phase: .attend, layer: 0, layers: 1, step: 0, steps: 2, tokensDone: 500, tokensTotal: 1000, computeSeconds: 40)
        for _ in 0..<5 { ring.play.report("b", .progress(Run(JobNumber(1), Epoch(9)), slow), at: 20) }
        ring.play.report("nobody", .progress(run1, slow), at: 21)
        for name in ring.names { ring.play.report(name, .finished(run1, WorkerSummary(rank: 0)), at: 22) }
        ring.play.report("b", .progress(run1, slow), at: 30)
        #expect(try ring.named.isEmpty && ring.worker("b").health == .ok && ring.job().state == .succeeded)
    }

    @Test("rings are compared no more often than the policy says")
    func interval() throws {
        var policy = Ring.patient
        policy.paceIntervalSeconds = 100
        var ring = Ring(["a", "b"], policy: policy)
        ring.report([4, 4])
        ring.report([4, 40])
        #expect(ring.named.isEmpty)
    }

    @Test("a job takes workers that were slow last; ranks go by name; the next measurement counts")
    func placement() throws {
        var ring = Ring(["a", "b", "c"], more: ["d"])
        ring.report([12, 4, 4])
        for name in ring.names { ring.play.report(name, .finished(run1, WorkerSummary(rank: 0)), at: 40) }
        #expect(try ring.worker("a").health == .slow && ring.worker("a").pace == 3, "what is known of it stays when the run is over")
        func workers(_ job: UInt64) throws -> [String] { try #require(ring.play.machine.jobView(JobNumber(job))).workers }
        ring.play.submit(attendSpec(), workers: 2, at: 41)
        #expect(try workers(2) == ["b", "c"])
        ring.play.submit(attendSpec(), workers: 2, at: 42)
        #expect(try workers(3) == ["a", "d"], "a slow one is better than none, and ranks still go by name")
        let second = Run(JobNumber(3), Epoch(3))
        for name in ["a", "d"] { ring.play.report(name, .ready(second), at: 43) }
        #expect(try ring.worker("a").health == .slow, "not yet measured again")
        let fast = WorkerProgress(
            phase: .attend, layer: 0, layers: 1, step: 0, steps: 2, tokensDone: 500, tokensTotal: 1000, computeSeconds: 4)
        for name in ["a", "d"] { ring.play.report(name, .progress(second, fast), at: 45) }
        #expect(try ring.worker("a").health == .ok && ring.worker("a").pace == 1)
    }

    @Test("suspected and draining say more than slow")
    func precedence() throws {
        var ring = Ring(["a", "b"])
        ring.report([4, 9])
        #expect(try ring.worker("b").health == .slow)
        let id = try ring.worker("b").id
        ring.play.tell(.workerDrained(id), "b is to leave", at: 30)
        #expect(try ring.worker("b").health == .draining)
        ring.play.tell(.workerDisconnected(id), "b has closed", at: 31)
        #expect(try ring.worker("b").health == .suspected && ring.worker("b").pace == 2.25)
    }
}
