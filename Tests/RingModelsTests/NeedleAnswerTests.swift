// The model and the prompts together: the right answer where the ring is right, a wrong one wherever it is broken.
import RingCore
import RingFormats
import RingModels
import Testing

@Suite("Needle answers")
struct NeedleAnswerTests {
    private func ask(
        _ parts: NeedleParts, _ hay: Haystack, _ layout: ShardPlan.Layout = .zigzag, world: Int = 1,
        fault: NeedleFault = .none, storage: NeedleStorage = .exact, gap: Int = 0, most: Int? = nil
    ) throws -> (ids: [UInt32], margin: Double) {
        let plan = try ShardPlan(layout, tokens: hay.tokenIDs.count, over: WorldSize(world))
        var oracle = NeedleOracle(parts.weights, plan: plan, fault: fault, storage: storage, gap: gap)
        return oracle.answer(hay.tokenIDs, end: parts.record.vocabulary.end, most: most ?? hay.expectedTokenIDs.count)
    }

    @Test("every task is answered rightly, on one rank and on several", arguments: Haystack.Task.allCases)
    func rightAnswers(task: Haystack.Task) throws {
        for seed in 0..<3 as Range<UInt64> {
            try withNeedleFolder(seed: 100 + seed) { folder in
                let parts = try NeedleParts(folder)
                let hay = try Haystack.make(model: folder, tokens: (task == .vote ? 600 : 420) + Int(seed) * 31, task: task, seed: seed)
                for (world, layout) in [(1, ShardPlan.Layout.contiguous), (3, .zigzag), (4, .contiguous)] {
                    let (ids, margin) = try ask(parts, hay, layout, world: world)
                    #expect(ids == hay.expectedTokenIDs, "\(task), seed \(seed), \(layout) over \(world)")
                    #expect(margin > (task == .vote ? 0.1 : 9), "\(task), seed \(seed)")
                }
            }
        }
    }

    @Test("a distance of millions of tokens and bfloat16 keys and values change no answer", arguments: Haystack.Task.allCases)
    func farAndRounded(task: Haystack.Task) throws {
        try withNeedleFolder { folder in
            let parts = try NeedleParts(folder)
            for (seed, gap) in [(1, 0), (2, 1_000_003), (3, 4 << 20), (4, 15 << 20)] as [(UInt64, Int)] {
                let hay = try Haystack.make(model: folder, tokens: 620, task: task, seed: seed)
                // The oracle widens the gap in the middle: a fact astride it would be cut in two.
                if hay.facts.contains(where: { $0.position == 309 }) { continue }
                let (ids, margin) = try ask(parts, hay, world: 2, storage: .bfloat16, gap: gap)
                #expect(ids == hay.expectedTokenIDs, "\(task), seed \(seed), gap \(gap)")
                #expect(margin > (task == .vote ? 0.1 : 9), "\(task), seed \(seed), gap \(gap)")
            }
        }
    }

    @Test("a chain breaks wherever a shard is lost", arguments: [2, 3, 5])
    func brokenChains(world: Int) throws {
        try withNeedleFolder { folder in
            let parts = try NeedleParts(folder)
            for seed in 0..<2 as Range<UInt64> {
                let hay = try Haystack.make(model: folder, tokens: 480, task: .chain, seed: seed, shards: 24)
                for layout in ShardPlan.Layout.allCases {
                    for rank in WorldSize(world).ranks {
                        let ids = try ask(parts, hay, layout, world: world, fault: .dropped(rank)).ids
                        #expect(ids != hay.expectedTokenIDs, "seed \(seed), \(layout) over \(world), \(rank) lost")
                    }
                }
            }
        }
    }

    @Test("the first word of a vote is wrong wherever a shard is lost, doubled or misweighted", arguments: [2, 3, 4])
    func brokenVotes(world: Int) throws {
        try withNeedleFolder { folder in
            let parts = try NeedleParts(folder)
            let hay = try Haystack.make(model: folder, tokens: 640, task: .vote, seed: 9, worlds: world...world)
            #expect(hay.worlds == world...world)
            for layout in ShardPlan.Layout.allCases {
                #expect(try ask(parts, hay, layout, world: world).ids == hay.expectedTokenIDs, "\(layout) over \(world)")
                let faults = WorldSize(world).ranks.flatMap { [NeedleFault.dropped($0), .doubled($0)] } + [.unweighted]
                let storage = layout == .zigzag ? NeedleStorage.bfloat16 : .exact
                for fault in faults {
                    let ids = try ask(parts, hay, layout, world: world, fault: fault, storage: storage, most: 1).ids
                    #expect(ids != [hay.expectedTokenIDs[0]], "\(layout) over \(world), \(fault)")
                }
            }
        }
    }

    @Test("a prompt without a question is answered by nothing")
    func noQuestion() throws {
        try withNeedleFolder { folder in
            let parts = try NeedleParts(folder)
            let prompt = parts.tokenizer.encode("<begin>The quick brown fox<k001><v002> jumps over the dog")
            let plan = try ShardPlan(.contiguous, tokens: prompt.count, over: WorldSize(1))
            var oracle = NeedleOracle(parts.weights, plan: plan)
            let ids = oracle.answer(prompt, end: parts.record.vocabulary.end, most: 4).ids
            #expect(parts.tokenizer.decode(ids) == "<none><end>")
        }
    }
}
