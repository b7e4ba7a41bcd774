// What the machine remarks about its members, for whoever keeps a log.

import RingControl
import RingCore
import Testing

@Suite("Remarks")
struct RemarkTests {
    private func remarks(_ play: Play) -> [MemberNews] {
        play.directives.compactMap { if case .remark(_, let news) = $0 { news } else { nil } }
    }

    @Test("a silent worker is suspected once, heard again once, and lost with its reason")
    func silence() {
        var play = Play(policy: CoordinatorPolicy())
        play.join("a")
        play.tick(at: 0.5)
        #expect(remarks(play).isEmpty)
        play.tick(at: 0.8)
        #expect(remarks(play) == [.suspected])
        play.hear("a", at: 1)
        #expect(remarks(play) == [.heardAgain])
        play.hear("a", at: 1.1)
        #expect(remarks(play).isEmpty)
        play.tick(at: 1.9)
        #expect(remarks(play) == [.suspected])
        play.tick(at: 2.5)
        #expect(remarks(play).isEmpty)
        play.tick(at: 11.1)
        #expect(remarks(play) == [.lost(reason: "has been silent for 10 s and counts as lost")], "\(play.transcript)")
    }

    @Test("a worker that drains is remarked once, and leaves instead of being lost")
    func draining() throws {
        var play = Play()
        play.join("a")
        let id = try #require(play.workers["a"])
        play.tell(.workerDrained(id), "a leaves")
        #expect(remarks(play) == [.draining])
        play.tell(.workerDrained(id), "a says it again")
        #expect(remarks(play).isEmpty)
        play.tell(.workerDisconnected(id), "a closes its connection")
        #expect(remarks(play) == [.left])
        play.join("b")
        play.lose("b", "was killed by SIGKILL")
        #expect(remarks(play) == [.lost(reason: "was killed by SIGKILL")])
    }
}
