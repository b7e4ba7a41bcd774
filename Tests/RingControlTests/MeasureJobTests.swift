// Links that were measured decide which schedule later jobs get, also after the coordinator has started again.

import RingControl
import RingCore
import Testing

@Suite("Jobs that measure links")
struct MeasureJobTests {
    private let names = ["a", "b", "c"]

    private func joined(_ state: StoredState = StoredState()) -> Play {
        var play = Play(state: state)
        for name in names { play.join(name, machine: name, cpus: 4, speed: 50, memoryBytes: 1 << 36) }
        return play
    }

    private func summary(_ rank: Int, _ bytesPerSecond: Double, _ seconds: Double, peers: [Int]? = nil) -> WorkerSummary {
        var summary = WorkerSummary(rank: rank)
        summary.links = (peers ?? names.indices.filter { $0 != rank }).map {
            LinkFigures(peer: $0, bytesPerSecond: bytesPerSecond, roundTripSeconds: seconds, transport: "tcp")
        }
        return summary
    }

    /// Measures the links of three workers, of which every one is told to be alike.
    private func measure(_ play: inout Play, _ summaries: [WorkerSummary]) throws -> JobView {
        play.submit(.measure(MeasureSpec()), workers: nil)
        var run: Run?
        for case .send(.prepare(let part), _) in play.directives {
            #expect(part.shares == [] && part.spec == .measure(MeasureSpec()))
            run = part.run
        }
        let measured = try #require(run)
        for name in names { play.report(name, .ready(measured)) }
        for (name, summary) in zip(names, summaries) { play.report(name, .finished(measured, summary)) }
        return try #require(play.machine.jobView(measured.job))
    }

    /// What a turn of many tokens gets, which over slow links passes queries and over fast ones keys and values.
    private func schedule(_ play: inout Play) -> Schedule? {
        guard case .attend(var spec) = attendSpec(tokens: 1 << 17) else { return nil }
        spec.queryRows = Array((1 << 17) - (1 << 15)..<1 << 17)
        play.submit(.attend(spec), workers: names.count)
        for case .send(.prepare(let part), _) in play.directives {
            if case .attend(let spec) = part.spec { return spec.schedule }
        }
        return nil
    }

    @Test(
        "a later job is planned by the slowest link of its ring, and so it is after a restart",
        arguments: [(1.2e6, Schedule.passQ), (5e10, .passKV)])
    func planned(rate: Double, expected: Schedule) throws {
        var play = joined()
        // One link of the ring is at `rate`, the others are fast.
        let view = try measure(&play, [summary(0, 5e10, 1e-4), summary(1, rate, 1e-4), summary(2, 5e10, 1e-4)])
        #expect(view.state == .succeeded && view.tokens == 0)
        #expect(view.summaries?[1].links?.map(\.worker) == ["a", "c"], "the coordinator names the peers")
        var again = joined(play.stored)
        #expect(schedule(&play) == expected)
        again.resume()
        #expect(schedule(&again) == expected)
    }

    @Test("what a worker cannot have measured is left out, and then nothing is planned by it")
    func hostile() throws {
        var lies = summary(1, .nan, 1e-4)
        lies.links?.append(contentsOf: summary(1, 5e10, 1e-4, peers: [1, 7, -1, .max]).links ?? [])
        lies.links?.append(contentsOf: summary(1, 5e10, -.infinity, peers: [0]).links ?? [])
        var play = joined()
        let view = try measure(&play, [summary(0, 5e10, 1e-4), lies, summary(2, 5e10, 1e-4)])
        #expect(view.summaries?[1].links == [])
        var unmeasured = joined()
        #expect(schedule(&play) == schedule(&unmeasured))
    }

    @Test("a job that measures nothing cannot tell of links")
    func other() throws {
        var play = joined()
        play.submit(attendSpec(), workers: 3)
        let run = Run(JobNumber(1), Epoch(1))
        for name in names { play.report(name, .ready(run)) }
        for (rank, name) in names.enumerated() { play.report(name, .finished(run, summary(rank, 1, 1))) }
        #expect(play.machine.jobView(JobNumber(1))?.summaries?.allSatisfy { $0.links == nil } == true)
    }

    @Test("sizes that cannot be meant are refused", arguments: [(0, 1), (4095, 1), (1 << 30, 1), (4096, 0), (4096, 65), (64 << 20, 64)])
    func refused(bytes: Int, messages: Int) {
        var play = joined()
        play.submit(.measure(MeasureSpec(messageBytes: bytes, messages: messages)), workers: 2)
        #expect(play.transcript.contains("refused"), "\(play.transcript)")
        play.submit(.measure(MeasureSpec()), workers: 65)
        #expect(play.transcript.contains("a measure job has at most 64 workers, got 65"))
    }
}
