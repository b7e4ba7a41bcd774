// Masks against brute force, every query and every key; and which masks are refused, in which words.
import RingCore
import Testing

@Suite("Mask")
struct MaskTests {
    static let seed: UInt64 = 41

    @Test("the two runs of every query hold exactly what it sees, ascend, do not touch, and never fall")
    func runs() throws {
        var generator = SeededGenerator(seed: Self.seed)
        for index in 0..<3000 {
            let test = try MaskCase(tokens: Int.random(in: 1...70, using: &generator), using: &generator)
            var last: Mask.Runs?
            for query in 0..<test.tokens {
                let seen = test.mask.runs(of: query)
                let (sinks, main) = (seen.sinks, seen.main)
                #expect(
                    main.contains(query) && (sinks.isEmpty || sinks.upperBound < main.lowerBound),
                    "case \(index), seed \(Self.seed): \(test)")
                for key in 0..<test.tokens where test.sees(query, key) != (sinks.contains(key) || main.contains(key)) {
                    Issue.record("case \(index), seed \(Self.seed): query \(query), key \(key) of \(test)")
                }
                if let last {
                    #expect(last.sinks.lowerBound <= sinks.lowerBound && last.sinks.upperBound <= sinks.upperBound, "\(query) of \(test)")
                    #expect(last.main.lowerBound <= main.lowerBound && last.main.upperBound <= main.upperBound, "\(query) of \(test)")
                }
                last = seen
            }
        }
    }

    @Test("pairs, verdict and span of any two ranges equal brute force")
    func ranges() throws {
        var generator = SeededGenerator(seed: Self.seed + 1)
        func range(_ tokens: Int) -> Range<Int> {
            let (one, other) = (Int.random(in: 0...tokens, using: &generator), Int.random(in: 0...tokens, using: &generator))
            return min(one, other)..<max(one, other)
        }
        for index in 0..<20_000 {
            let tokens = Int.random(in: 1...60, using: &generator)
            let test = try MaskCase(tokens: tokens, using: &generator)
            let (queries, keys) = (range(tokens), range(tokens))
            var (count, first, last) = (0, Int.max, -1)
            for query in queries {
                for key in keys where test.sees(query, key) { (count, first, last) = (count + 1, min(first, key), max(last, key)) }
            }
            let story = "case \(index), seed \(Self.seed + 1): queries \(queries), keys \(keys) of \(test)"
            #expect(test.mask.pairs(queries: queries, keys: keys) == count, "\(story)")
            let verdict: Visibility = count == 0 ? .none : count == queries.count * keys.count ? .all : .partial
            #expect(test.mask.visibility(of: keys, to: queries) == verdict, "\(story)")
            let span = test.mask.span(of: keys, seenBy: queries)
            #expect(count == 0 ? span.isEmpty : span == first..<last + 1, "\(story)")
        }
    }

    @Test("every pair of small ranges under the causal mask")
    func causal() throws {
        let test = try MaskCase(.causal, documents: nil, tokens: 9)
        for queries in (0...9).flatMap({ start in (start...9).map { start..<$0 } }) {
            for keys in (0...9).flatMap({ start in (start...9).map { start..<$0 } }) {
                let count = queries.reduce(0) { sum, query in sum + keys.count { test.sees(query, $0) } }
                #expect(Mask.causal.pairs(queries: queries, keys: keys) == count)
                let verdict: Visibility = count == 0 ? .none : count == queries.count * keys.count ? .all : .partial
                #expect(Mask.causal.visibility(of: keys, to: queries) == verdict, "queries \(queries) keys \(keys)")
            }
        }
    }

    @Test("a million tokens in ten thousand documents are counted whole")
    func many() throws {
        let lengths = (0..<10_000).map { 1 + ($0 * 7919) % 199 }
        let tokens = lengths.reduce(0, +)
        let mask = try Mask(.causal, documents: lengths, tokens: tokens)
        #expect(mask.pairs(queries: 0..<tokens, keys: 0..<tokens) == lengths.reduce(0) { $0 + $1 * ($1 + 1) / 2 })
        #expect(mask.documents == lengths)
        let window = try Mask(.window(size: 4096, sinks: 4), tokens: 1 << 20)
        let ramp = 4100 * 4101 / 2
        #expect(window.pairs(queries: 0..<1 << 20, keys: 0..<1 << 20) == ramp + ((1 << 20) - 4100) * 4100)
    }

    @Test("what cannot be meant is refused in a sentence")
    func refused() {
        func reason(_ rule: Mask.Rule, _ documents: [Int]? = nil, tokens: Int = 100) -> String? {
            do throws(MaskError) {
                _ = try Mask(rule, documents: documents, tokens: tokens)
                return nil
            } catch { return "\(error)" }
        }
        #expect(reason(.causal, [60, 40]) == nil)
        #expect(reason(.causal, []) == "documents are named by their lengths, got none")
        #expect(reason(.full, [60, 0, 40]) == "a document has at least 1 token, number 2 has 0")
        #expect(reason(.full, [60, -1, 41]) == "a document has at least 1 token, number 2 has -1")
        #expect(reason(.causal, [60, 30]) == "the documents have 90 tokens together, the context 100")
        #expect(reason(.causal, [60, 41]) == "the documents are longer than the context of 100 tokens: number 2 begins at 60")
        #expect(reason(.causal, [60, Int.max]) == "the documents are longer than the context of 100 tokens: number 2 begins at 60")
        #expect(reason(.window(size: 0, sinks: 0)) == "a window is 1 to 4294967296 tokens, got 0")
        #expect(reason(.window(size: 5, sinks: -1)) == "a window's sinks is 0 to 4294967296 tokens, got -1")
        #expect(reason(.window(size: Int.max, sinks: 0))?.hasPrefix("a window is 1 to") == true)
        #expect(reason(.prefix(length: 0)) == "a prefix is 1 to 4294967296 tokens, got 0")
        #expect(reason(.chunked(length: 0)) == "a chunk of attention is 1 to 4294967296 tokens, got 0")
        #expect(reason(.chunked(length: -3))?.hasSuffix("got -3") == true)
    }
}
