// Prompts: exactly as long as asked for, the text and the ids saying the same, the same for a seed every time.
import RingCore
import RingFormats
import RingModels
import Testing

@Suite("Haystacks")
struct HaystackTests {
    @Test("the text encodes to exactly as many tokens as were asked for", arguments: Haystack.Task.allCases)
    func exactCounts(task: Haystack.Task) throws {
        try withNeedleFolder { folder in
            let tokenizer = try Tokenizer(folder: folder)
            let sizes = task == .vote ? [611, 1024, 5000, 20_001] : [64, 65, 97, 256, 1000, 4096, 20_001]
            for tokens in sizes {
                for seed in 0..<4 as Range<UInt64> {
                    let hay = try Haystack.make(model: folder, tokens: tokens, task: task, seed: seed)
                    #expect(hay.tokenIDs.count == tokens, "\(task), \(tokens) tokens, seed \(seed)")
                    #expect(tokenizer.encode(hay.text) == hay.tokenIDs, "\(task), \(tokens) tokens, seed \(seed)")
                    #expect(tokenizer.encode(hay.text, addSpecialTokens: false) == hay.tokenIDs)
                    #expect(tokenizer.decode(hay.expectedTokenIDs, skipSpecialTokens: true) == hay.expectedText)
                    #expect(hay.expectedTokenIDs.last == tokenizer.id(of: "<end>"))
                    for fact in hay.facts { #expect(tokenizer.token(of: hay.tokenIDs[fact.position]) == fact.key) }
                }
            }
        }
    }

    @Test("the same seed gives the same prompt, another seed another", arguments: Haystack.Task.allCases)
    func deterministic(task: Haystack.Task) throws {
        try withNeedleFolder { folder in
            let first = try Haystack.make(model: folder, tokens: 3000, task: task, seed: 5)
            let second = try Haystack.make(model: folder, tokens: 3000, task: task, seed: 5)
            let other = try Haystack.make(model: folder, tokens: 3000, task: task, seed: 6)
            #expect(first.text == second.text && first.expectedTokenIDs == second.expectedTokenIDs)
            #expect(first.text != other.text)
        }
    }

    @Test("any text is hay: no spaces, strange spaces, other scripts, the model's own tokens")
    func hostileTexts() throws {
        try withNeedleFolder { folder in
            let tokenizer = try Tokenizer(folder: folder)
            let texts = [
                String(repeating: "上下文注意力", count: 300),
                "one\u{00A0}two\u{2003}three\r\n\r\nfour\tfive\u{2028}six   seven \u{200B}eight",
                "a <k001> b<end>c <v002><begin> d, don't WE'RE ...!!! ``` 1234567890",
                String(repeating: "x", count: 5000), "e\u{0301}e\u{0301} \u{0301} 👩‍👩‍👧‍👦🙂 \u{0000}\u{0001}",
            ]
            for seed in 0..<6 as Range<UInt64> {
                let hay = try Haystack.make(model: folder, tokens: 2500, task: .chain, seed: seed, texts: texts)
                #expect(tokenizer.encode(hay.text) == hay.tokenIDs && hay.tokenIDs.count == 2500, "seed \(seed)")
                let begins = hay.tokenIDs.count { $0 == tokenizer.id(of: "<begin>") }
                #expect(begins == 1 && !hay.tokenIDs.contains(tokenizer.id(of: "<end>") ?? 0))
                let alone = try Haystack.make(model: folder, tokens: 700, task: .needle, seed: seed, texts: [texts[0]])
                #expect(tokenizer.encode(alone.text) == alone.tokenIDs, "seed \(seed)")
            }
            #expect(throws: NeedleError.self) { _ = try Haystack.make(model: folder, tokens: 256, task: .needle, texts: [" \n \n"]) }
        }
    }

    @Test("a chain has one fact in each shard, in half of the seeds astride the edges", arguments: [2, 3, 16, 24])
    func chainsVisitEveryShard(shards: Int) throws {
        try withNeedleFolder { folder in
            let plan = try ShardPlan(.contiguous, tokens: 6000, over: WorldSize(shards))
            let ends = Set(plan.chunks.map { $0.end - 1 })
            var astride = 0
            for seed in 0..<12 as Range<UInt64> {
                let hay = try Haystack.make(model: folder, tokens: 6000, task: .chain, seed: seed, shards: shards)
                #expect(hay.facts.map { plan.owner(of: $0.position).index } == Array(0..<shards), "seed \(seed)")
                #expect(hay.expectedTokenIDs.count == shards)
                if hay.facts.dropLast().allSatisfy({ ends.contains($0.position) }) { astride += 1 }
            }
            #expect(astride > 0 && astride < 12)
        }
    }

    @Test("requests that cannot be met say what can")
    func impossibleRequests() throws {
        try withNeedleFolder { folder in
            func fails(_ tokens: Int, _ task: Haystack.Task, shards: Int? = nil, hops: Int? = nil) {
                let error = #expect(throws: NeedleError.self) {
                    _ = try Haystack.make(model: folder, tokens: tokens, task: task, shards: shards, hops: hops)
                }
                guard case .request = error else { Issue.record("\(String(describing: error))"); return }
            }
            fails(0, .needle)
            fails(15, .absent)
            fails((1 << 24) + 1, .needle)
            fails(64, .needle, hops: 40)
            fails(64, .needle, hops: 0)
            fails(64, .chain, shards: 20)
            fails(1000, .chain, shards: 1)
            fails(60, .vote)
            fails(5000, .vote, shards: 40)
        }
    }

    @Test("most of a prompt is prose")
    func mostlyProse() throws {
        try withNeedleFolder { folder in
            let parts = try NeedleParts(folder)
            for task in Haystack.Task.allCases {
                let hay = try Haystack.make(model: folder, tokens: 16_384, task: task)
                let plain = hay.tokenIDs.count { $0 < parts.record.vocabulary.pieceCount }
                #expect(plain * 10 > hay.tokenIDs.count * 9, "\(task)")
            }
        }
    }
}
