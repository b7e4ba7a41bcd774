// What becomes of a job whose run fails, of one whose coordinator was killed, and of the queue: transcripts and what is kept.

import RingControl
import RingCore
import Testing

private func run(_ job: UInt64, _ epoch: UInt64) -> Run { Run(JobNumber(job), Epoch(epoch)) }

@Suite("Retries and restarts")
struct RetryTests {
    /// One generate job over `names`, running, with `retries`.
    private func running(_ names: [String], retries: Int, policy: CoordinatorPolicy = Play.calm) -> Play {
        var play = Play(policy: policy)
        for name in names { play.join(name) }
        play.submit(generateSpec(), workers: names.count, retries: retries)
        play.tell(.promptStored(JobNumber(1)), "prompt is stored")
        for name in names { play.report(name, .ready(run(1, 1))) }
        return play
    }

    private func view(_ play: Play) throws -> JobView { try #require(play.machine.jobView(JobNumber(1))) }

    @Test("a job whose worker dies is run again on the workers that are left, once they have given the old run up")
    func onTheRest() throws {
        var play = running(["a", "b", "c"], retries: 1)
        play.lose("b", "was killed by SIGKILL", at: 1)
        #expect(play.transcript.contains("retrying after attempt 1: worker b (rank 1 of 3) was killed by SIGKILL"))
        #expect(try view(play).state == .queued)
        play.report("a", .stopped(run(1, 1)), at: 1.1)
        #expect(try view(play).state == .queued, "one of two that are left is not all that are left")
        play.report("c", .stopped(run(1, 1)), at: 1.2)
        let after = try view(play)
        #expect(after.state == .admitted && after.workers == ["a", "c"] && after.attempt == 2 && after.epoch == Epoch(2))
        play.lose("a", "was killed by SIGKILL", at: 2)
        #expect(try view(play).state == .failed, "one retry is one retry")
        #expect(try view(play).failure?.message.hasSuffix("run the job again") == true)
    }

    @Test("without retries the first loss is the last; what no other run would change is not tried again")
    func notRetried() throws {
        var play = running(["a", "b"], retries: 0)
        play.lose("a", "was killed by SIGKILL", at: 1)
        #expect(try view(play).state == .failed)
        play = running(["a", "b"], retries: 5)
        play.report("a", .failed(run(1, 1), .nonFinite, message: "tensor k is NaN", lostRank: nil), at: 1)
        #expect(try view(play).state == .failed)
    }

    @Test("reports of a run that is over change nothing, not even the answer")
    func oldEpoch() throws {
        var play = running(["a", "b", "c"], retries: 1)
        play.report("a", .token(run(1, 1), index: 0, id: 10), at: 1)
        play.lose("c", "was killed by SIGKILL", at: 2)
        for name in ["a", "b"] { play.report(name, .stopped(run(1, 1)), at: 2) }
        let before = play.lines.count
        play.report("a", .token(run(1, 1), index: 1, id: 666), at: 2.1)
        play.report("a", .finished(run(1, 1), WorkerSummary(rank: 0)), at: 2.1)
        play.report("b", .failed(run(1, 1), .workerLost, message: "late", lostRank: 2), at: 2.1)
        #expect(play.lines.dropFirst(before).allSatisfy { !$0.hasPrefix("    ") }, "\(play.transcript)")
        #expect(try view(play).tokensGenerated == 1 && view(play).state == .admitted)
    }

    @Test("the answer goes on behind the tokens that were told, which are part of the prompt from then on")
    func answerGoesOn() throws {
        var play = running(["a", "b", "c"], retries: 1)
        for index in 0..<3 { play.report("a", .token(run(1, 1), index: index, id: UInt32(10 + index)), at: 1) }
        play.report("b", .failed(run(1, 1), .transport, message: "reset", lostRank: nil), at: 2)
        for name in ["a", "c"] { play.report(name, .stopped(run(1, 1)), at: 2) }
        var specs: [GenerateSpec] = []
        for case .send(.prepare(let part), _) in play.directives { if case .generate(let spec) = part.spec { specs.append(spec) } }
        #expect(specs.count == 2)
        for spec in specs { #expect(spec.promptTokenCount == 103 && spec.maxTokens == 5 && spec.answered == 3) }
        for name in ["a", "c"] { play.report(name, .ready(run(1, 2)), at: 3) }
        play.report("a", .token(run(1, 2), index: 3, id: 13), at: 3)
        #expect(try view(play).tokensGenerated == 4)
    }

    @Test("what the others kept of a broken run is gone on from: their shares stay, the lost ones are dealt, the last token leads")
    func goesOn() throws {
        var play = running(["a", "b", "c"], retries: 1)
        let plan = try ShardPlan(.zigzag, tokens: 100, over: WorldSize(3))
        func shares(_ rank: Int, layers: Int) -> [Share] {
            plan.chunks(of: Rank(rank)).map { Share(start: $0.start, length: $0.length, layers: layers) }
        }
        // Rank 0 owns the last token, and is the one that goes.
        play.lose("a", "was killed by SIGKILL", at: 1)
        play.report("b", .kept(run(1, 1), shares(1, layers: 2)), at: 1)
        play.report("b", .stopped(run(1, 1)), at: 1)
        play.report("c", .kept(run(1, 1), shares(2, layers: 3)), at: 1)
        play.report("c", .stopped(run(1, 1)), at: 1)
        var parts: [Assignment] = []
        for case .send(.prepare(let part), _) in play.directives { parts.append(part) }
        try #require(parts.count == 2)
        let resumed = try parts[0].plan()
        #expect(parts.allSatisfy { $0.resumes == run(1, 1) && $0.shares == parts[0].shares && $0.run == run(1, 2) })
        #expect(resumed.owner(of: 99) == Rank(0), "\(parts[0].shares)")
        let held = parts[0].shares.map { $0.filter { $0.layers > 0 } }
        #expect(Set(held) == [shares(1, layers: 2), shares(2, layers: 3)])
        #expect(
            play.transcript.contains("resumed with 67 tokens, 2 layers"))
    }

    @Test("the next run waits for those that still give the broken one up, takes them first, and waits for nobody for ever")
    func handover() throws {
        var play = Play()
        for name in ["a", "b", "c"] { play.join(name) }
        play.submit(generateSpec(), workers: nil, retries: 3)
        play.tell(.promptStored(JobNumber(1)), "prompt is stored")
        for name in ["a", "b", "c"] { play.report(name, .ready(run(1, 1))) }
        // Two that stand idle from now on, and come first by name.
        for name in ["Y", "Z"] { play.join(name) }
        play.lose("c", "was killed by SIGKILL", at: 1)
        play.report("a", .kept(run(1, 1), [Share(start: 0, length: 10, layers: 1)]), at: 1)
        play.report("a", .stopped(run(1, 1)), at: 1)
        #expect(try view(play).state == .queued, "b still gives its run up")
        play.report("b", .kept(run(1, 1), [Share(start: 10, length: 10, layers: 1)]), at: 1.5)
        play.report("b", .stopped(run(1, 1)), at: 1.5)
        #expect(try view(play).state == .admitted && Set(view(play).workers) == ["Y", "Z", "a", "b"])
        for name in ["Y", "Z", "a", "b"] { play.report(name, .ready(run(1, 2)), at: 2) }
        play.lose("Y", "was killed by SIGKILL", at: 3)
        // The others hang.
        play.join("X", at: 3)
        play.tick(at: 7)
        #expect(try view(play).state == .queued)
        play.tick(at: 8)
        #expect(try view(play).state == .admitted && view(play).workers == ["X"])
    }

    @Test("what is kept and not wanted is given back: of a settled job, of a stranger, of an older run, of one that is not chosen")
    func keptInVain() throws {
        let share = [Share(start: 0, length: 10, layers: 1)]
        var play = running(["a", "b", "c"], retries: 0)
        play.lose("a", "was killed by SIGKILL", at: 1)
        play.report("b", .kept(run(1, 1), share), at: 1)
        #expect(play.lines.last?.hasSuffix("to b: forget \(run(1, 1))") == true, "\(play.transcript)")
        play = running(["a", "b", "c"], retries: 1)
        play.join("d")
        play.lose("a", "was killed by SIGKILL", at: 1)
        for (name, which) in [("d", run(1, 1)), ("b", run(1, 9)), ("b", run(7, 1))] {
            play.report(name, .kept(which, share), at: 1)
            #expect(play.lines.last?.hasSuffix("to \(name): forget \(which)") == true, "\(play.transcript)")
        }
        // Waits for its ring, is cancelled: nobody will go on.
        play.report("b", .kept(run(1, 1), share), at: 1)
        play.tell(.cancelled(JobNumber(1), reason: "enough"), "cancel", at: 2)
        #expect(play.lines.contains { $0.hasSuffix("to b: forget \(run(1, 1))") }, "\(play.transcript)")
    }

    @Test("what overlaps, or cannot be, is not gone on from: the run starts from the beginning")
    func keptLies() throws {
        var play = running(["a", "b", "c"], retries: 1)
        play.lose("a", "was killed by SIGKILL", at: 1)
        for name in ["b", "c"] {
            play.report(name, .kept(run(1, 1), [Share(start: 0, length: 60, layers: 1)]), at: 1)
            play.report(name, .stopped(run(1, 1)), at: 1)
        }
        var parts: [Assignment] = []
        for case .send(.prepare(let part), _) in play.directives { parts.append(part) }
        #expect(parts.count == 2 && parts.allSatisfy { $0.shares.isEmpty && $0.resumes == nil })
        #expect(play.lines.contains { $0.contains("to b: forget") } && play.lines.contains { $0.contains("to c: forget") })
    }

    @Test("a run that a leaving worker hands back costs no retry")
    func handedBack() throws {
        var play = running(["a", "b"], retries: 0)
        play.report("a", .failed(run(1, 1), .shuttingDown, message: "leaves", lostRank: nil), at: 1)
        play.report("b", .stopped(run(1, 1)), at: 1)
        #expect(try view(play).attempt == 2)
    }

    @Test("a coordinator that goes on from the store runs what ran again, under epochs and numbers never used before")
    func restart() throws {
        var play = running(["a", "b"], retries: 0)
        play.report("a", .token(run(1, 1), index: 0, id: 10), at: 1)
        var next = Play(state: play.stored)
        next.resume(at: 100)
        #expect(try view(next).state == .queued && view(next).tokensGenerated == 1)
        for name in ["a", "b"] { next.join(name, at: 101) }
        let after = try view(next)
        #expect(after.state == .admitted && after.attempt == 2)
        #expect(after.epoch.number > 1024, "an epoch that may have been used is not used again")
        next.submit(attendSpec(), workers: 1, at: 102)
        #expect(next.lines.contains("    accepted as job 2"))
        var sequences: [Int] = []
        for case .event(JobNumber(1), let sequence, _, _) in next.kept { sequences.append(sequence) }
        #expect(sequences == [6, 7, 8, 9], "events are numbered on")
    }

    @Test("a worker that does not start fails the jobs that wait for workers only so long, and no other")
    func willNotJoin() throws {
        for (policy, state) in [(Play.calm, JobPhase.failed), (CoordinatorPolicy.daemon, .queued)] {
            var play = Play(policy: policy)
            play.submit(attendSpec(), workers: 2)
            play.tell(.workerWillNotJoin(name: "a", reason: "ended with exit code 1"), "a does not start")
            #expect(try view(play).state == state)
        }
    }

    @Test("death of a connection is death of the worker, unless it comes back in time")
    func disconnected() throws {
        var play = running(["a", "b"], retries: 0)
        play.tell(.workerDisconnected(play.workers["b"]!), "b disconnects", at: 1)
        #expect(play.lines.last == "    wake at 1.4")
        play.tell(.workerConnected(play.workers["b"]!), "b connects", at: 1.2)
        play.tick(at: 1.4)
        #expect(try view(play).state == .running)
        play.tell(.workerDisconnected(play.workers["b"]!), "b disconnects", at: 1.5)
        play.tick(at: 1.9)
        #expect(try view(play).state == .failed)
        #expect(play.transcript.contains("closed its connection and did not come back"))
    }

    @Test("a wake-up that comes late is the coordinator's own sleep: nobody is lost for it")
    func lateness() throws {
        var play = running(["a", "b"], retries: 0, policy: CoordinatorPolicy())
        play.tick(at: 60)
        #expect(try view(play).state == .running)
        play.tick(at: 60.1)
        #expect(try view(play).state == .running)
        for second in stride(from: 60.5, through: 80, by: 0.5) { play.tick(at: second) }
        #expect(try view(play).state == .failed, "silence that it was awake for counts")
    }
}

@Suite("Queue")
struct QueueTests {
    private func admitted(_ play: Play) -> [UInt64] {
        play.machine.jobViews.filter { $0.state == .admitted }.map(\.id.number)
    }

    @Test("priority first, then the owner with the fewest workers, then who was served longest ago, then the oldest")
    func turns() {
        var play = Play()
        play.join("a")
        for (owner, priority) in [("ann", 0), ("ann", 0), ("bob", 0), ("ann", 5)] {
            play.submit(attendSpec(), workers: 1, owner: owner, priority: priority)
        }
        var order: [UInt64] = []
        for epoch in 1...4 {
            let job = admitted(play)[0]
            order.append(job)
            play.report("a", .finished(run(job, UInt64(epoch)), WorkerSummary(rank: 0)))
        }
        #expect(order == [1, 4, 3, 2], "the first was alone, the urgent one next, then bob, who had nothing yet")
    }

    @Test("jobs that fit run side by side on disjoint workers; a big one lets smaller ones pass only for so long")
    func backfill() {
        var play = Play()
        for name in ["a", "b", "c"] { play.join(name) }
        play.submit(attendSpec(), workers: 2)
        play.submit(attendSpec(), workers: 3)
        play.submit(attendSpec(), workers: 1, at: 1)
        #expect(admitted(play) == [1, 3])
        play.report("c", .finished(run(3, 2), WorkerSummary(rank: 0)), at: 2)
        for second in stride(from: 3.0, through: 39, by: 3) { for name in ["a", "b", "c"] { play.hear(name, at: second) } }
        play.submit(attendSpec(), workers: 1, at: 40)
        #expect(admitted(play) == [1], "the big one has waited long enough: what is idle is kept for it")
        for (rank, name) in ["a", "b"].enumerated() { play.report(name, .finished(run(1, 1), WorkerSummary(rank: rank)), at: 41) }
        #expect(admitted(play) == [2])
    }

    @Test("the same key of the same owner is the same job, and something else under it is refused")
    func idempotency() {
        var play = Play()
        play.submit(attendSpec(), workers: 1, owner: "ann", key: "k")
        play.submit(attendSpec(), workers: 1, owner: "ann", key: "k")
        play.submit(attendSpec(), workers: 1, owner: "bob", key: "k")
        play.submit(attendSpec(tokens: 7), workers: 1, owner: "ann", key: "k")
        let answers = play.lines.filter {
            $0.contains("job") && ($0.contains("accepted") || $0.contains("known") || $0.contains("refused"))
        }
        #expect(answers.prefix(3) == ["    accepted as job 1", "    known as job 1", "    accepted as job 2"])
        #expect(play.transcript.contains("refused: keyTaken"))
        #expect(play.machine.jobViews.count == 2)
    }

    @Test("a job that does not end in its time fails, wherever it is")
    func timeout() throws {
        var play = Play()
        play.submit(attendSpec(), workers: 1, timeout: 5)
        #expect(play.lines.last == "    wake at 5.0")
        play.tick(at: 5)
        #expect(play.machine.jobView(JobNumber(1))?.failure?.code == .timeout)
    }

    @Test("without a number of workers a job takes all that are idle")
    func allIdle() {
        var play = Play()
        for name in ["a", "b", "c"] { play.join(name) }
        play.submit(attendSpec(), workers: nil)
        #expect(play.machine.jobView(JobNumber(1))?.workers == ["a", "b", "c"])
    }

    @Test("a drained worker gets nothing new and is told to stop when it is free; a draining cluster says when nothing runs")
    func drain() {
        var play = Play()
        for name in ["a", "b"] { play.join(name) }
        play.submit(attendSpec(), workers: 1)
        play.tell(.workerDrained(play.workers["a"]!), "drain a")
        play.tell(.workerDrained(play.workers["b"]!), "drain b")
        #expect(play.lines.last == "    to b: stop", "b holds nothing")
        play.tell(.draining, "drain")
        #expect(play.lines.last == "0.0 drain")
        play.submit(attendSpec(), workers: 1)
        #expect(play.lines.contains("    refused: stopping"))
        play.report("a", .finished(run(1, 1), WorkerSummary(rank: 0)), at: 1)
        #expect(play.lines.contains("    to a: stop") && play.lines.contains("    drained"))
    }

    @Test("on a cluster a path must be relative and stay where it is put")
    func paths() {
        for path in ["/etc/passwd", "../x", "a/../../b", "a//b", "./a", "", "a\u{0}b", "a\\b", "a/.."] {
            #expect(RelativePath.objection(to: path) != nil, "\(path.debugDescription)")
        }
        for path in ["needle", "models/llama-3", "a..b/c"] { #expect(RelativePath.objection(to: path) == nil, "\(path)") }
        var play = Play(policy: .daemon)
        play.submit(.generate(GenerateSpec(modelFolder: "/srv/m", promptTokenCount: 1, maxTokens: 1)), workers: 1)
        #expect(play.transcript.contains("is absolute"))
    }
}
