// Journals, prompts and tokens as values.

import RingControl
import RingCoordinator
import Testing

@Suite("Stores")
struct StoreTests {
    @Test("a follower sees every event once and only the newest progress")
    func journal() {
        var journal = JobJournal()
        var place = JobJournal.Place()
        journal.append(news(1, .phase(.running)))
        for done in 1...5 { journal.append(news(nil, .progress(progress(done)))) }
        journal.append(news(2, .token(index: 0, id: 9)))
        #expect(journal.news(after: &place).map(\.event) == [.progress(progress(5)), .phase(.running), .token(index: 0, id: 9)])
        #expect(journal.news(after: &place).isEmpty)
        journal.append(news(nil, .progress(progress(6))))
        journal.append(news(3, .succeeded([])))
        #expect(journal.news(after: &place).map(\.event) == [.progress(progress(6)), .succeeded([])])
        #expect(journal.isSettled && journal.answer == [9])
    }

    @Test("a follower that comes back gets what follows the event it saw last, and one ahead of the journal gets nothing")
    func journalRejoined() {
        let journal = JobJournal((1...4).map { news($0, .token(index: $0 - 1, id: UInt32($0))) })
        for (after, sequences) in [(0, [1, 2, 3, 4]), (2, [3, 4]), (4, []), (9, []), (-1, [1, 2, 3, 4])] {
            var place = JobJournal.Place(after: after)
            #expect(journal.news(after: &place).map(\.sequence) == sequences, "after \(after)")
        }
    }

    @Test("a prompt is whole when its pieces cover it, in any order and with overlap")
    func prompt() {
        var prompt = StoredPrompt(tokens: 10)
        func stores(_ piece: [UInt32], at start: Int) -> Bool { prompt.store(piece, at: start) }
        for (piece, start) in [([7, 8, 9], 7), ([0, 1, 2], 0), ([2, 3, 4], 2)] as [([UInt32], Int)] { #expect(stores(piece, at: start)) }
        #expect(!prompt.isWhole)
        #expect(stores([5, 6, 7], at: 5))
        #expect(prompt.isWhole)
        #expect(prompt.ids == Array(0..<10))
        for (piece, start) in [([1], 10), ([1], -1), ([1], .max), ([], 0)] as [([UInt32], Int)] { #expect(!stores(piece, at: start)) }
    }

    @Test("a token matches itself and nothing else")
    func token() {
        let token = JoinToken(text: "abc")
        #expect(token.matches("abc"))
        for other in ["", "ab", "abd", "abcd", "abcabc", "ABC"] { #expect(!token.matches(other), "\(other)") }
        #expect(JoinToken.random().text.count == 64)
        #expect(JoinToken.random().text != JoinToken.random().text)
        #expect(!JoinToken(text: "").matches("a"))
    }

    private func news(_ sequence: Int?, _ event: JobEvent) -> JobNews { JobNews(sequence: sequence, at: 1, event: event) }

    private func progress(_ done: Int) -> JobProgress {
        JobProgress(phase: .prefill, layer: 0, layers: 1, step: 0, steps: 1, tokensDone: done, tokensTotal: 10)
    }
}
