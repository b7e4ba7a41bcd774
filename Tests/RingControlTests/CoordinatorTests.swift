// What a coordinator decides, as transcripts: an event a line, its directives indented below.

import RingControl
import RingCore
import Testing

private let job1 = JobNumber(1)
/// The first run of the first job.
private let run1 = Run(JobNumber(1), Epoch(1))

/// A coordinator with `names` joined and one attention job running on all of them.
private func running(_ names: [String]) -> Play {
    var play = Play()
    for name in names { play.join(name) }
    play.submit(attendSpec(), workers: names.count)
    for name in names { play.report(name, .ready(run1)) }
    return play
}

/// The lines that a play adds.
private func after(_ play: inout Play, _ body: (inout Play) -> Void) -> String {
    let before = play.lines.count
    body(&play)
    return play.lines.dropFirst(before).joined(separator: "\n")
}

@Suite("Coordinator")
struct CoordinatorTests {
    @Test("a job goes from submission to summaries, ranks in the order of names")
    func wholeJob() {
        var play = Play()
        play.join("b")
        play.submit(generateSpec(), workers: 2)
        play.join("a", at: 1)
        play.tell(.promptStored(job1), "prompt of 1 is stored", at: 2)
        play.report("a", .ready(run1), at: 3)
        play.report("b", .ready(run1), at: 4)
        play.report("a", .progress(run1, at(.prefill, layer: 1, step: 2, done: 50)), at: 5)
        play.report("b", .progress(run1, at(.prefill, layer: 0, step: 1, done: 10)), at: 5)
        play.report("a", .token(run1, index: 0, id: 17), at: 6)
        play.report("a", .finished(run1, WorkerSummary(rank: 0)), at: 7)
        play.report("b", .finished(run1, WorkerSummary(rank: 1)), at: 7)
        let expected = """
            0.0 join b
                welcome as 1
                wake at 10.0
            0.0 submit generate over 2
                accepted as job 1
                job 1: queued
            1.0 join a
                welcome as 2
            2.0 prompt of 1 is stored
                job 1: placed on a b
                job 1: admitted
                to a: prepare job 1 epoch 1 rank 0/2 zigzag threads 2 local 0/2
                to b: prepare job 1 epoch 1 rank 1/2 zigzag threads 2 local 1/2
            3.0 a: ready
            4.0 b: ready
                job 1: running
                to a: start job 1
                to b: start job 1
            5.0 a: prefill layer 1 step 2
                job 1: prefill 50/50 layer 1 step 2
            5.0 b: prefill layer 0 step 1
                job 1: prefill 60/100 layer 0 step 1
            6.0 a: token 0 is 17
                job 1: token 0 is 17
            7.0 a: finished
            7.0 b: finished
                job 1: succeeded with 2 summaries
            """
        #expect(play.transcript == expected)
    }

    @Test("a worker killed in mid-run fails the job, named with its rank, layer and step; the others are told to stop")
    func killed() {
        var play = running(["a", "b", "c"])
        play.report("b", .progress(run1, at(.attend, layer: 0, step: 1)))
        let lines = after(&play) { $0.lose("b", "was killed by SIGKILL", at: 1) }
        let expected = """
            1.0 b was killed by SIGKILL
                dismiss 2
                to a: abort job 1: worker b (rank 1 of 3) was killed by SIGKILL in attend at layer 1 of 2, ring step 2 of 3: \
            its shard is lost with it; run the job again
                to c: abort job 1: worker b (rank 1 of 3) was killed by SIGKILL in attend at layer 1 of 2, ring step 2 of 3: \
            its shard is lost with it; run the job again
                job 1: failed worker_lost worker b rank 1 layer 0 step 1: worker b (rank 1 of 3) was killed by SIGKILL in attend \
            at layer 1 of 2, ring step 2 of 3: its shard is lost with it; run the job again
            """
        #expect(lines == expected)
    }

    @Test("a neighbour's word that a rank is lost waits for word about the rank itself")
    func suspicionConfirmed() {
        var play = running(["a", "b"])
        let suspected = after(&play) { $0.report("a", .failed(run1, .workerLost, message: "connection reset", lostRank: 1), at: 1) }
        #expect(suspected == "1.0 a: failed worker_lost connection reset lost rank 1\n    wake at 2.0")
        let confirmed = after(&play) { $0.lose("b", "was killed by SIGKILL", at: 1.2) }
        #expect(confirmed.contains("job 1: failed worker_lost worker b rank 1"))
        #expect(confirmed.contains("was killed by SIGKILL"))
        #expect(!confirmed.contains("to a: abort"), "a rank that failed by itself has nothing left to abort")
    }

    @Test("the lost rank's own error wins over its neighbours' view of it")
    func suspicionExplained() {
        var play = running(["a", "b"])
        play.report("a", .failed(run1, .workerLost, message: "connection reset", lostRank: 1), at: 1)
        let lines = after(&play) { $0.report("b", .failed(run1, .nonFinite, message: "tensor q row 3 is NaN", lostRank: nil), at: 1.1) }
        #expect(lines.contains("failed non_finite worker b rank 1"))
        #expect(lines.contains("tensor q row 3 is NaN"))
    }

    @Test("without further word the suspicion itself fails the job when it expires")
    func suspicionExpires() {
        var play = running(["a", "b"])
        play.report("a", .failed(run1, .workerLost, message: "connection reset", lostRank: 1), at: 1)
        #expect(!after(&play) { $0.tick(at: 1.5) }.contains("failed"))
        let lines = after(&play) { $0.tick(at: 2) }
        #expect(lines.contains("failed worker_lost worker b rank 1"))
        #expect(lines.contains("to b: abort job 1"))
    }

    @Test("ten silent seconds lose a worker, signs of life do not ask for wake-ups")
    func silence() {
        var play = running(["a", "b"])
        #expect(after(&play) { $0.hear("a", at: 9) } == "9.0 a is heard")
        let lines = after(&play) { $0.tick(at: 10) }
        #expect(lines.contains("dismiss 2"))
        #expect(lines.contains("worker b (rank 1 of 2) has been silent for 10 s and counts as lost in its first ring step"))
        #expect(lines.contains("wake at 19.0"))
    }

    @Test("a tick that comes too early asks to be woken again")
    func earlyTick() {
        var play = Play()
        play.join("a")
        #expect(after(&play) { $0.tick(at: 9.5) } == "9.5 tick\n    wake at 10.0")
        #expect(after(&play) { $0.tick(at: 10) }.contains("dismiss 1"))
    }

    @Test("a job whose workers do not join in time fails and says how many came")
    func missing() {
        var play = Play()
        play.join("a")
        play.submit(attendSpec(), workers: 3, at: 1)
        for second in stride(from: 5.0, through: 30, by: 5) { play.hear("a", at: second) }
        #expect(!play.transcript.contains("failed"))
        let lines = after(&play) { $0.tick(at: 31) }
        #expect(lines.contains("failed workers_missing worker - rank - layer - step -: the job needs 3 workers and 1 joined within 30 s"))
    }

    @Test("a job that only waits for its turn has no deadline, and runs when the one before is through")
    func turns() {
        var play = running(["a", "b"])
        play.submit(attendSpec(), workers: 2)
        for second in stride(from: 5.0, through: 100, by: 5) {
            play.hear("a", at: second)
            play.hear("b", at: second)
        }
        #expect(!play.transcript.contains("workers_missing"))
        play.report("a", .finished(run1, WorkerSummary(rank: 0)), at: 101)
        let lines = after(&play) { $0.report("b", .finished(run1, WorkerSummary(rank: 1)), at: 101) }
        #expect(lines.contains("to b: prepare job 2 epoch 2 rank 1/2"))
    }

    @Test("a worker that is not ready in time is named")
    func prepareTimeout() {
        var play = Play(policy: CoordinatorPolicy(prepareSeconds: 5))
        play.join("a")
        play.join("b")
        play.submit(attendSpec(), workers: 2)
        play.report("a", .ready(run1), at: 4)
        let lines = after(&play) { $0.tick(at: 5) }
        #expect(lines.contains("failed prepare_timeout worker b rank 1 layer - step -: not ready after 5 s: worker b (rank 1 of 2)"))
        #expect(lines.contains("to a: abort job 1"))
    }

    @Test("a cancelled job holds its workers until they say they stopped")
    func cancel() {
        var play = running(["a"])
        let cancelled = after(&play) { $0.tell(.cancelled(job1, reason: "interrupted"), "cancel 1") }
        #expect(cancelled == "0.0 cancel 1\n    to a: abort job 1: interrupted\n    job 1: cancelled: interrupted")
        let queued = after(&play) { $0.submit(attendSpec(), workers: 1) }
        #expect(!queued.contains("prepare"))
        #expect(after(&play) { $0.report("a", .stopped(run1)) }.contains("to a: prepare job 2"))
    }

    @Test("late news about a settled job or an unknown worker changes nothing")
    func lateNews() {
        var play = running(["a"])
        play.report("a", .finished(run1, WorkerSummary(rank: 0)))
        let late = after(&play) {
            $0.report("a", .progress(run1, at(.attend, layer: 0, step: 0)))
            $0.report("a", .failed(run1, .transport, message: "late", lostRank: nil))
            $0.tell(.cancelled(job1, reason: "late"), "cancel 1")
            $0.lose("nobody", "was killed")
            $0.report("nobody", .ready(run1))
        }
        #expect(!late.contains("    "), "\(late)")
        #expect(play.machine.jobView(job1)?.state == .succeeded)
    }

    @Test("tokens come out once and in order, whatever is repeated")
    func tokensInOrder() {
        var play = running(["a"])
        for index in [0, 0, 2, 1, 1, 2] { play.report("a", .token(run1, index: index, id: UInt32(index))) }
        let heard = play.lines.filter { $0.hasPrefix("    job 1: token") }
        #expect(heard == ["    job 1: token 0 is 0", "    job 1: token 1 is 1", "    job 1: token 2 is 2"])
    }

    @Test("stopping fails what is open, stops every worker and takes nothing more")
    func stopping() {
        var play = running(["a"])
        let lines = after(&play) {
            $0.tell(.stopping(reason: "interrupted"), "stop")
            $0.submit(attendSpec(), workers: 1)
            $0.join("b")
        }
        #expect(lines.contains("failed shutting_down"))
        #expect(lines.contains("to a: stop"))
        #expect(lines.contains("refused: stopping"))
        #expect(lines.contains("turn away: the coordinator is going down"))
    }

    @Test("a second worker of one name and a worker of another version are turned away with a reason")
    func turnedAway() {
        var play = Play()
        play.join("a")
        #expect(after(&play) { $0.join("a") }.contains("turn away: a worker named a is here already"))
        #expect(after(&play) { $0.join("b", version: "2") }.contains("turn away: worker b has version 2 and the coordinator 1"))
        play.lose("a", "ended")
        #expect(after(&play) { $0.join("a") }.contains("welcome as 2"))
    }

    @Test("threads are a machine's cores over its workers, unless asked for")
    func threads() {
        var play = Play()
        play.join("a", machine: "x", cpus: 8)
        play.join("b", machine: "y", cpus: 6)
        play.join("c", machine: "x", cpus: 8)
        play.submit(attendSpec(), workers: 3)
        #expect(play.transcript.contains("to a: prepare job 1 epoch 1 rank 0/3 zigzag threads 4 local 0/2"))
        #expect(play.transcript.contains("to c: prepare job 1 epoch 1 rank 1/3 zigzag threads 4 local 1/2"))
        #expect(play.transcript.contains("to b: prepare job 1 epoch 1 rank 2/3 zigzag threads 6 local 0/1"))
    }

    @Test("too many open jobs are refused")
    func openLimit() {
        var play = Play()
        for _ in 0..<ControlLimits.jobsOpen { play.submit(attendSpec(), workers: 1) }
        #expect(after(&play) { $0.submit(attendSpec(), workers: 1) }.contains("refused: full(open: \(ControlLimits.jobsOpen))"))
        play.tell(.cancelled(job1, reason: "x"), "cancel")
        #expect(after(&play) { $0.submit(attendSpec(), workers: 1) }.contains("accepted as job \(ControlLimits.jobsOpen + 1)"))
    }

    @Test("settled jobs are forgotten, oldest first, and open ones never")
    func forgetting() {
        var play = Play()
        play.submit(attendSpec(), workers: 1)
        for number in 2...ControlLimits.jobsKept + 1 {
            play.submit(attendSpec(), workers: 1)
            play.tell(.cancelled(JobNumber(UInt64(number)), reason: "x"), "cancel")
        }
        #expect(play.lines.filter { $0.hasPrefix("    forget") } == ["    forget job 2"])
        #expect(play.machine.jobViews.count == ControlLimits.jobsKept)
        #expect(play.machine.jobView(job1)?.state == .queued && play.machine.jobView(JobNumber(2)) == nil)
    }

    @Test("the same events make the same transcript, byte for byte")
    func deterministic() {
        func transcript() -> String {
            var play = running(["c", "a", "b"])
            play.report("a", .progress(run1, at(.attend, layer: 1, step: 2)))
            play.lose("c", "ended with code 1")
            return play.transcript
        }
        #expect(transcript() == transcript())
    }
}
