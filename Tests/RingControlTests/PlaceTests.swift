// Workers that are bound to NUMA nodes: whose cores they share, and what is kept of where their memory lay.

import RingControl
import RingCore
import Testing

@Suite("Workers on NUMA nodes")
struct PlaceTests {
    private func preparations(_ play: Play) -> [String] {
        play.lines.filter { $0.contains("prepare") }.map { String($0.split(separator: " ").suffix(4).joined(separator: " ")) }
    }

    @Test("workers on nodes of their own share no cores, those on one node do")
    func nodes() {
        var play = Play()
        play.join("a", cpus: 8, home: [0])
        play.join("b", cpus: 8, home: [1])
        play.join("c", cpus: 8, home: [1])
        play.submit(attendSpec(tokens: 3000), workers: 3)
        #expect(
            preparations(play) == ["threads 8 local 0/1", "threads 4 local 0/2", "threads 4 local 1/2"], "\(play.transcript)")
    }

    @Test("nodes of different machines are different, and a worker that is bound to none shares with all of its machine")
    func machines() {
        var play = Play()
        play.join("a", machine: "m1", cpus: 8, home: [0])
        play.join("b", machine: "m2", cpus: 8, home: [0])
        play.join("c", machine: "m2", cpus: 8)
        play.submit(attendSpec(tokens: 3000), workers: 3)
        #expect(
            preparations(play) == ["threads 8 local 0/1", "threads 4 local 0/2", "threads 4 local 1/2"], "\(play.transcript)")
    }

    @Test("sets of nodes that overlap share cores")
    func sets() {
        var play = Play()
        play.join("a", cpus: 8, home: [0, 1])
        play.join("b", cpus: 4, home: [1])
        play.join("c", cpus: 8, home: [2, 3])
        play.submit(attendSpec(tokens: 3000), workers: 3)
        #expect(preparations(play).map { String($0.suffix(3)) } == ["0/2", "1/2", "0/1"], "\(play.transcript)")
    }

    @Test("where a worker's memory lay is told of it from its newest run on")
    func locality() throws {
        var play = Play()
        play.join("a", home: [2])
        play.submit(attendSpec(), workers: 1)
        let run = Run(JobNumber(1), Epoch(1))
        play.report("a", .ready(run))
        var summary = WorkerSummary(rank: 0)
        summary.locality = MemoryLocality(nodes: [2], pages: 1000, pagesLocal: 990, hugeBytes: 1 << 21)
        #expect(play.machine.workerViews(at: Moment(nanoseconds: 0))[0].locality == nil)
        play.report("a", .finished(run, summary))
        let view = try #require(play.machine.workerViews(at: Moment(nanoseconds: 0)).first)
        #expect(view.locality == summary.locality && view.registration.homeNodes == [2], "\(play.transcript)")
    }

    @Test(
        "a share is one, whatever a worker says",
        arguments: [(0, 0, 1.0), (10, 5, 0.5), (10, 100, 1), (10, -3, 0), (-1, 7, 1)] as [(Int, Int, Double)])
    func share(pages: Int, local: Int, expected: Double) {
        #expect(MemoryLocality(nodes: [0], pages: pages, pagesLocal: local, hugeBytes: 0).share == expected)
    }
}
