// A worker that hands its run back because it leaves is not to be avoided when it returns.

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
}
