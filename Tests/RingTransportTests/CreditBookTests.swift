// The accounts of a queue pair against two queues that are played through: no receive is ever missing, and nobody stands still.
import RingTransport
import Testing

@Suite("RDMA credits")
struct CreditBookTests {
    /// Two ends with queues between them, played through by chance.
    private struct Pair {
        var books: [CreditBook]
        /// Words of frames under way to each end.
        var underWay: [[UInt32]] = [[], []]
        /// Frames that each end still wants to send.
        var wanted: [Int]
        var sent = [0, 0]
        var arrived = [0, 0]
        /// Numbers of signaled frames that have left the end and were not completed yet.
        var signaled: [[UInt64]] = [[], []]

        init(_ sizes: (Int, Int), sends: (Int, Int), wanted: [Int]) {
            books = [
                CreditBook(sendSlots: sends.0, ownReceives: sizes.0, peerReceives: sizes.1),
                CreditBook(sendSlots: sends.1, ownReceives: sizes.1, peerReceives: sizes.0),
            ]
            self.wanted = wanted
        }

        mutating func post(_ end: Int) {
            let (number, slot, isSignaled) = books[end].post()
            precondition(slot == Int(number % UInt64(books[end].sendSlots)))
            underWay[1 - end].append(books[end].word)
            if isSignaled { signaled[end].append(number) }
        }

        /// One thing that can happen; false when nothing can.
        mutating func step(_ choice: Int) -> Bool {
            let end = choice & 1
            switch choice >> 1 {
            case 0:
                guard wanted[end] > 0, books[end].canPost() else { return false }
                wanted[end] -= 1
                sent[end] += 1
                post(end)
            case 1:
                guard !underWay[end].isEmpty else { return false }
                let word = underWay[end].removeFirst()
                precondition(books[end].accept(word))
                books[end].giveBack()
                arrived[end] += 1
            case 2:
                guard !signaled[end].isEmpty else { return false }
                precondition(books[end].complete(signaled[end].removeFirst()))
            default:
                guard books[end].owesReport, books[end].canPost(reportOnly: true) else { return false }
                post(end)
            }
            return true
        }
    }

    @Test(
        "frames both ways all arrive, and never more are under way than there are receives",
        arguments: [(8, 8), (8, 64), (64, 8), (9, 13)], [1, 2, 3, 4])
    func playedThrough(sizes: (Int, Int), seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var pair = Pair(sizes, sends: (8, 12), wanted: [5000, seed % 2 == 0 ? 0 : 5000])
        var turns = 0
        while pair.wanted != [0, 0] || !pair.underWay[0].isEmpty || !pair.underWay[1].isEmpty {
            turns += 1
            #expect(turns < 1_000_000, "it goes on for ever (seed \(seed))")
            if turns >= 1_000_000 { return }
            if pair.step(Int.random(in: 0..<8, using: &random)) {
                #expect(pair.underWay[0].count <= sizes.0 && pair.underWay[1].count <= sizes.1, "seed \(seed)")
                continue
            }
            // By chance nothing happened; if nothing can, they stand still.
            let canGoOn = (0..<8).contains { choice in
                var copy = pair
                return copy.step(choice)
            }
            #expect(canGoOn, "both ends stand still (seed \(seed))")
            if !canGoOn { return }
        }
        #expect(pair.arrived[0] >= pair.sent[1] && pair.arrived[1] >= pair.sent[0])
    }

    @Test("a word that gives back more than was taken is refused, also where the count wraps")
    func hostileWords() {
        var book = CreditBook(sendSlots: 8, ownReceives: 8, peerReceives: 8)
        let early = book.accept(1)
        for _ in 0..<3 { _ = book.post() }
        let words: [UInt32] = [4, .max, 3, 2, 3]
        let answers = words.map { book.accept($0) }
        #expect(!early)
        // More than was sent, less than nothing, all of it, a count that goes back, all of it again.
        #expect(answers == [false, false, true, false, true])
    }

    @Test("completions are believed only of frames that are under way, and one frees all before it")
    func completions() {
        var book = CreditBook(sendSlots: 8, ownReceives: 8, peerReceives: 64)
        let early = book.complete(0)
        for _ in 0..<8 { _ = book.post() }
        #expect(!early && !book.canPost())
        let numbers: [UInt64] = [8, 5, 5]
        let answers = numbers.map { book.complete($0) }
        #expect(answers == [false, true, false])
        #expect(book.canPost() && !book.isDrained)
        let last = book.complete(7)
        #expect(last && book.isDrained)
    }

    @Test("at least every fourth part of the queue is signaled, and the next on demand")
    func moderation() {
        var book = CreditBook(sendSlots: 8, ownReceives: 8, peerReceives: 4096)
        var signaled: [Bool] = []
        for _ in 0..<8 { signaled.append(book.post().isSignaled) }
        #expect(signaled == [false, true, false, true, false, true, false, true])
        let isDone = book.complete(7)
        let next = book.post().isSignaled
        book.signalNext()
        let onDemand = book.post().isSignaled
        #expect(isDone && !next && onDemand)
    }
}
