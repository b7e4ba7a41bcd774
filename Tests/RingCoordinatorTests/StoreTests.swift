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
        journal.append(.phase(.running))
        for done in 1...5 {
            journal.append(.progress(progress(done)))
        }
        journal.append(.token(index: 0, id: 9))
        #expect(journal.news(after: &place) == [.progress(progress(5)), .phase(.running), .token(index: 0, id: 9)])
        #expect(journal.news(after: &place).isEmpty)
        journal.append(.progress(progress(6)))
        journal.append(.succeeded([]))
        #expect(journal.news(after: &place) == [.progress(progress(6)), .succeeded([])])
        #expect(journal.isSettled)
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
        #expect(prompt.piece(start: 3, count: 2).map(Array.init) == [3, 4])
        #expect(prompt.piece(start: 10, count: 0)?.isEmpty == true)
        #expect(
            prompt.piece(start: 3, count: 8) == nil && prompt.piece(start: -1, count: 1) == nil
                && prompt.piece(start: 1, count: .max) == nil)
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

    private func progress(_ done: Int) -> JobProgress {
        JobProgress(phase: .prefill, layer: 0, layers: 1, step: 0, steps: 1, tokensDone: done, tokensTotal: 10)
    }
}
