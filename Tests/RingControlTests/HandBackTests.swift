// Workers that leave and come back: one that hands its run back is not to be avoided, and a request to join that comes late ends nothing.

import RingControl
import RingCore
import Testing

@Suite("Handed back")
struct HandBackTests {
    @Test("a job of every worker goes on when the one that handed it back has returned under its name")
    func returns() throws {
        var play = Play()
        for name in ["a", "b", "c"] { play.join(name, instance: "1") }
        play.submit(attendSpec(), workers: 3, retries: 1)
        let run = Run(JobNumber(1), Epoch(1))
        let leaving = try #require(play.workers["b"])
        play.tell(.workerDrained(leaving), "b leaves", at: 0.5)
        play.report("b", .failed(run, .shuttingDown, message: "the worker is about to leave", lostRank: nil), at: 1)
        for name in ["a", "c"] { play.report(name, .stopped(run), at: 1.1) }
        play.lose("b", "has left", at: 1.2)
        let waiting = try #require(play.machine.jobView(JobNumber(1)))
        #expect(waiting.state == .queued)
        play.join("b", at: 2, instance: "2")
        let again = try #require(play.machine.jobView(JobNumber(1)))
        #expect(again.state == .admitted && again.workers == ["a", "b", "c"] && again.attempt == 2, "\(play.transcript)")
    }

    @Test("a request to join that comes late, or twice, ends no session: only a newer one does")
    func lateJoin() throws {
        var play = Play()
        play.join("a", instance: "1", attempt: 2)
        let first = try #require(play.workers["a"])
        play.submit(attendSpec(), workers: 1)
        // The same one again, and one that was given up before it.
        play.join("a", instance: "1", attempt: 2)
        #expect(play.workers["a"] == first)
        play.join("a", instance: "1", attempt: 1)
        #expect(play.workers["a"] == first && play.lines.last?.contains("turn away: a later request") == true, "\(play.transcript)")
        #expect(play.machine.jobView(JobNumber(1))?.state == .admitted)
        play.join("a", instance: "1", attempt: 3)
        #expect(play.workers["a"] != first)
    }
}
