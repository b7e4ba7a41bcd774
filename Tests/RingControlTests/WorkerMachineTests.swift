// What a worker's machine decides, as transcripts: an event a line, its directives indented below.

import RingControl
import RingCore
import Testing

private let run1 = Run(JobNumber(1), Epoch(1))
private let run2 = Run(JobNumber(2), Epoch(2))
private let attend1 = part(1, epoch: 1, attendSpec())
private let attend2 = part(2, epoch: 2, attendSpec())
private let generate1 = part(1, epoch: 1, generateSpec())

@Suite("Worker machine")
struct WorkerMachineTests {
    @Test("a run goes from prepare to finished, prompt first")
    func wholeRun() {
        var play = WorkerPlay()
        play.tell(.started, "starts")
        play.tell(.joined(WorkerID(7)), "is let in as 7", at: 1)
        play.tell(.streamOpened, "stream opens", at: 1)
        play.obey(.prepare(generate1), at: 2)
        play.tell(.promptFetched(run1), "prompt is there", at: 3)
        play.tell(.engineReported(.ready(run1)), "engine is ready", at: 3)
        play.obey(.start(run1), at: 4)
        play.tell(.engineReported(.token(run1, index: 0, id: 5)), "engine has a token", at: 4)
        play.tell(.engineReported(.finished(run1, WorkerSummary(rank: 0))), "engine has finished", at: 5)
        play.tell(.engineEnded(run1), "engine ends", at: 5)
        let expected = """
            0.0 starts
                join
            1.0 is let in as 7
                open stream of 7 after 0
                wake at 6.0
            1.0 stream opens
            2.0 directive 1: prepare 1@1
                fetch prompt of 1@1
            3.0 prompt is there
                start engine at 1@1
            3.0 engine is ready
                report ready 1@1
            4.0 directive 2: start 1@1
                release engine at 1@1
            4.0 engine has a token
                report token 0 of 1@1
            5.0 engine has finished
                report finished 1@1
            5.0 engine ends
            """
        #expect(play.transcript == expected)
        #expect(play.machine.run == nil)
    }

    @Test("a directive that is sent again changes nothing; one that is missing ends the session")
    func numbers() {
        var play = WorkerPlay.joined()
        play.obey(.prepare(attend1))
        #expect(play.after { $0.repeatDirective(1, .prepare(attend1)) } == "0.0 directive 1: prepare 1@1")
        let lines = play.after { $0.repeatDirective(4, .start(run1), at: 1) }
        #expect(lines.contains("cancel engine at 1@1\n    close session"))
        #expect(lines.contains("wake at 1.1"))
    }

    @Test("an aborted run is reported as stopped when its engine has ended, and what it still says is swallowed")
    func abort() {
        var play = WorkerPlay.joined()
        play.obey(.prepare(attend1))
        play.obey(.start(run1))
        let lines = play.after {
            $0.obey(.abort(run1, reason: "r"), at: 1)
            $0.tell(.engineReported(.token(run1, index: 0, id: 5)), "engine has a token", at: 1)
            $0.tell(.engineReported(.finished(run1, WorkerSummary(rank: 0))), "engine has finished", at: 1)
            $0.tell(.engineEnded(run1), "engine ends", at: 1)
        }
        let expected = """
            1.0 directive 3: abort 1@1
                cancel engine at 1@1
            1.0 engine has a token
            1.0 engine has finished
            1.0 engine ends
                report stopped 1@1
            """
        #expect(lines == expected)
    }

    @Test("what the engine kept of a broken run is told before its end, and held until it is gone on from, unwanted or too old")
    func kept() {
        let shares = [Share(start: 0, length: 10, layers: 1)]
        func broken() -> WorkerPlay {
            var play = WorkerPlay.joined()
            play.obey(.prepare(attend1))
            play.obey(.start(run1))
            play.obey(.abort(run1, reason: "r"), at: 1)
            let lines = play.after {
                $0.tell(.engineReported(.kept(run1, shares)), "engine keeps", at: 1)
                $0.tell(.engineEnded(run1), "engine ends", at: 1)
            }
            #expect(lines.contains("report kept 1@1") && lines.contains("report stopped 1@1"), "\(lines)")
            return play
        }
        var play = broken()
        #expect(play.after { $0.obey(.forget(run2)) } == "0.0 directive 4: forget 2@2")
        #expect(play.after { $0.obey(.forget(run1)) }.hasSuffix("forget 1@1\n    drop kept 1@1"))
        play = broken()
        var resuming = attend2
        resuming.resumes = run1
        #expect(play.after { $0.obey(.prepare(resuming), at: 1) }.hasSuffix("prepare 2@2\n    start engine at 2@2"))
        play = broken()
        #expect(play.after { $0.obey(.prepare(attend2), at: 1) }.contains("drop kept 1@1\n    start engine at 2@2"))
        play = broken()
        #expect(play.after { $0.tell(.sessionLost, "session lost", at: 1) }.contains("drop kept 1@1"))
        // Said when nobody listens any more: at once given back.
        play = broken()
        #expect(play.after { $0.tell(.engineReported(.kept(run1, shares)), "engine keeps", at: 1) }.contains("drop kept 1@1"))
    }

    @Test("a run that is not known is stopped at once, and so is one that still fetches its prompt")
    func abortEarly() {
        var play = WorkerPlay.joined()
        #expect(play.after { $0.obey(.abort(run2, reason: "r")) }.hasSuffix("abort 2@2\n    report stopped 2@2"))
        play.obey(.prepare(generate1))
        let lines = play.after { $0.obey(.abort(run1, reason: "r")) }
        #expect(lines.hasSuffix("abort 1@1\n    cancel fetch of 1@1\n    report stopped 1@1"))
        #expect(play.after { $0.tell(.promptFetched(run1), "prompt is there") } == "0.0 prompt is there")
    }

    @Test("a newer run waits until the engine of the older one has ended, told to give it up or not", arguments: [true, false])
    func newerRun(isAborted: Bool) {
        var play = WorkerPlay.joined()
        play.obey(.prepare(attend1))
        if isAborted { play.obey(.abort(run1, reason: "r")) }
        let lines = play.after { $0.obey(.prepare(attend2)) }
        #expect(lines.contains("cancel engine at 1@1") == !isAborted)
        #expect(!lines.contains("start engine"))
        let then = play.after { $0.tell(.engineEnded(run1), "engine ends") }
        #expect(then == "0.0 engine ends\n    report stopped 1@1\n    start engine at 2@2")
    }

    @Test("an older run than the held one is answered with stopped")
    func olderRun() {
        var play = WorkerPlay.joined()
        play.obey(.prepare(attend2))
        #expect(play.after { $0.obey(.prepare(attend1)) }.hasSuffix("prepare 1@1\n    report stopped 1@1"))
        #expect(play.machine.run == run2)
    }

    @Test("a prompt that cannot be fetched and an engine that ends without a word fail the run")
    func failures() {
        var play = WorkerPlay.joined()
        play.obey(.prepare(generate1))
        let lines = play.after { $0.tell(.promptFailed(run1, "no route"), "prompt fails") }
        #expect(lines == "0.0 prompt fails\n    report failed 1@1 transport: cannot fetch its part of the prompt: no route")
        play.obey(.prepare(attend2))
        let end = play.after { $0.tell(.engineEnded(run2), "engine ends") }
        #expect(end == "0.0 engine ends\n    report failed 2@2 internal_error: the engine ended without a word")
    }

    @Test("a coordinator that does not know the worker gets a new session; its run is given up without a word")
    func stranger() {
        var play = WorkerPlay.joined()
        play.obey(.prepare(attend1))
        let lines = play.after {
            $0.tell(.sessionLost, "404", at: 1)
            $0.tell(.tick, "tick", at: 1.1)
            $0.tell(.joined(WorkerID(9)), "is let in as 9", at: 1.2)
            $0.repeatDirective(1, .prepare(attend2), at: 1.3)
            $0.tell(.engineEnded(run1), "engine ends", at: 1.4)
        }
        let expected = """
            1.0 404
                cancel engine at 1@1
                close session
                wake at 1.1
            1.1 tick
                join
            1.2 is let in as 9
                open stream of 9 after 0
                wake at 6.2
            1.3 directive 1: prepare 2@2
            1.4 engine ends
                start engine at 2@2
            """
        #expect(lines == expected)
    }

    @Test("joining is tried again after 0.1 s, doubling to 5 s")
    func backoff() {
        var play = WorkerPlay()
        play.tell(.started, "starts")
        var (now, waits) = (0.0, [Double]())
        for _ in 0..<8 {
            play.tell(.requestFailed, "fails", at: now)
            guard case .wake(let moment)? = play.directives.last else { return #expect(Bool(false), "no wake-up") }
            waits.append((Double(moment.nanoseconds) / 1e6 - now * 1000).rounded() / 1000)
            now = Double(moment.nanoseconds) / 1e9
            play.tell(.tick, "tick", at: now)
            #expect(play.directives == [.join])
        }
        #expect(waits == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5, 5])
    }

    @Test("jitter takes at most half of the wait away, and not the same from any two workers")
    func jitter() {
        var moments: [Moment] = []
        for seed in 1...50 {
            var policy = WorkerPolicy.daemon
            policy.jitterSeed = UInt64(seed)
            var play = WorkerPlay(policy)
            play.tell(.started, "starts")
            play.tell(.requestFailed, "fails")
            guard case .wake(let moment)? = play.directives.last else { return #expect(Bool(false), "no wake-up") }
            moments.append(moment)
        }
        #expect(moments.allSatisfy { $0.nanoseconds >= 50_000_000 && $0.nanoseconds <= 100_000_000 })
        #expect(Set(moments).count == 50)
    }

    @Test("a stream that closes is opened again behind the last directive")
    func reopen() {
        var play = WorkerPlay.joined()
        play.obey(.prepare(attend1))
        let lines = play.after {
            $0.tell(.streamClosed, "stream closes", at: 1)
            $0.tell(.tick, "tick", at: 1.1)
            $0.tell(.streamClosed, "stream does not open", at: 1.2)
            $0.tell(.tick, "tick", at: 1.4)
        }
        let expected = """
            1.0 stream closes
                wake at 1.1
            1.1 tick
                open stream of 7 after 1
                wake at 5.0
            1.2 stream does not open
                wake at 1.4
            1.4 tick
                open stream of 7 after 1
                wake at 5.0
            """
        #expect(lines == expected)
    }

    @Test("a coordinator that is silent for 5 s is gone: a daemon looks for it, an embedded worker leaves", arguments: [true, false])
    func silence(rejoins: Bool) {
        var play = WorkerPlay.joined(rejoins ? .daemon : .embedded)
        play.tell(.coordinatorHeard, "coordinator is heard", at: 2)
        #expect(!play.after { $0.tell(.tick, "tick", at: 5) }.contains("close"))
        let lines = play.after { $0.tell(.tick, "tick", at: 7) }
        #expect(lines.contains("close session"))
        #expect(play.machine.isOver == !rejoins)
        #expect(lines.contains("leave: coordinatorGone(\"it has been silent for 5 s\")") == !rejoins)
    }

    @Test("a worker that was asleep itself does not take the coordinator for silent")
    func asleep() {
        var play = WorkerPlay.joined()
        #expect(!play.after { $0.tell(.tick, "tick", at: 60) }.contains("close"))
        #expect(play.after { $0.tell(.tick, "tick", at: 65) }.contains("close session"))
    }

    @Test("a worker that is turned away for good leaves; for the time being a daemon asks again")
    func turnedAway() {
        var daemon = WorkerPlay()
        daemon.tell(.started, "starts")
        #expect(daemon.after { $0.tell(.turnedAway(reason: "full", isTemporary: true), "no") } == "0.0 no\n    wake at 0.1")
        daemon.tell(.tick, "tick", at: 0.1)
        let lines = daemon.after { $0.tell(.turnedAway(reason: "version", isTemporary: false), "no", at: 0.2) }
        #expect(lines == "0.2 no\n    leave: turnedAway(\"version\")")
        #expect(daemon.after { $0.tell(.tick, "tick", at: 1) } == "1.0 tick")
    }

    @Test("an embedded worker tries to join for 30 s")
    func joinLimit() {
        var play = WorkerPlay(.embedded)
        play.tell(.started, "starts")
        play.tell(.requestFailed, "fails", at: 29)
        #expect(!play.machine.isOver)
        play.tell(.tick, "tick", at: 29.1)
        let lines = play.after { $0.tell(.requestFailed, "fails", at: 31) }
        #expect(lines.contains("leave: coordinatorGone"))
    }

    @Test("a drained worker lets its run end and leaves when it is told to")
    func drain() {
        var play = WorkerPlay.joined()
        play.obey(.prepare(attend1))
        let lines = play.after {
            $0.tell(.drainRequested, "SIGTERM", at: 1)
            $0.tell(.engineReported(.finished(run1, WorkerSummary(rank: 0))), "engine has finished", at: 2)
            $0.tell(.engineEnded(run1), "engine ends", at: 2)
            $0.obey(.stop, at: 3)
        }
        let expected = """
            1.0 SIGTERM
                tell that 7 drains
            2.0 engine has finished
                report finished 1@1
            2.0 engine ends
            3.0 directive 2: stop
                leave: drained
            """
        #expect(lines == expected)
    }

    @Test("a run that does not end within the grace is handed back")
    func grace() {
        var play = WorkerPlay.joined()
        play.obey(.prepare(attend1))
        play.tell(.drainRequested, "SIGTERM", at: 1)
        for second in 2...60 { play.tell(.coordinatorHeard, "coordinator is heard", at: Double(second)) }
        #expect(play.after { $0.obey(.prepare(attend2), at: 60.5) }.contains("failed 2@2 shutting_down"))
        let lines = play.after { $0.tell(.tick, "tick", at: 61) }
        #expect(lines.contains("failed 1@1 shutting_down: the worker leaves and the run did not end within 60 s\n    cancel engine at 1@1"))
        #expect(!play.machine.isOver)
        #expect(play.after { $0.tell(.engineEnded(run1), "engine ends", at: 61.5) } == "61.5 engine ends\n    leave: drained")
    }

    @Test("an engine that does not give up is not waited for for ever")
    func stuck() {
        var play = WorkerPlay.joined()
        play.obey(.prepare(attend1))
        #expect(play.after { $0.obey(.stop, at: 1) }.hasSuffix("cancel engine at 1@1\n    wake at 3.0"))
        #expect(play.after { $0.tell(.tick, "tick", at: 3) } == "3.0 tick\n    leave: toldToStop")
    }

    @Test("a second signal hands the run back and leaves at once")
    func interrupt() {
        var play = WorkerPlay.joined()
        play.obey(.prepare(attend1))
        play.tell(.drainRequested, "SIGTERM", at: 1)
        let expected = """
            1.5 SIGTERM
                report failed 1@1 shutting_down: the worker was told to end
                cancel engine at 1@1
                leave: interrupted
            """
        #expect(play.after { $0.tell(.stopRequested, "SIGTERM", at: 1.5) } == expected)
    }

    @Test("a worker without a session that is drained leaves at once")
    func drainApart() {
        var play = WorkerPlay()
        play.tell(.started, "starts")
        play.tell(.requestFailed, "fails")
        #expect(play.after { $0.tell(.drainRequested, "SIGTERM") } == "0.0 SIGTERM\n    leave: drained")
    }
}
