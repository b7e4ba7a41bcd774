// The claim of the vote, counted in the finished prompt: whichever shard of whichever world is lost, doubled or misweighted, another
// value has more copies.
import RingCore
import RingFormats
import RingModels
import Testing

@Suite("Votes")
struct HaystackVoteTests {
    /// Copies of each value of each round's key among the tokens of `chunks`.
    private func tallies(_ hay: Haystack, _ parts: NeedleParts, _ chunks: [Chunk]) -> [[NeedleSymbol: Int]] {
        let vocabulary = parts.record.vocabulary
        let first = vocabulary.value(NeedleSymbol(0))
        let question = NeedleSymbol(Int(hay.tokenIDs[hay.tokenIDs.count - 1] - first))
        // Round r asks for the answer of round r - 1.
        let rounds = [question] + hay.expectedTokenIDs.dropLast(2).map { NeedleSymbol(Int($0 - first)) }
        return rounds.map { key in
            var counts: [NeedleSymbol: Int] = [:]
            for chunk in chunks {
                // The value's own key and value rows are what attention reads: the value's position decides.
                for position in chunk.range where position > 0 && hay.tokenIDs[position - 1] == vocabulary.key(key) {
                    let planted = NeedleSymbol(Int(hay.tokenIDs[position] - first))
                    counts[parts.record.secret.answer(to: planted), default: 0] += 1
                }
            }
            return counts
        }
    }

    private func leader(_ counts: [NeedleSymbol: Double]) -> NeedleSymbol? {
        let top = counts.values.max() ?? 0
        let leaders = counts.filter { $0.value == top }.map(\.key)
        return leaders.count == 1 ? leaders[0] : nil
    }

    @Test("every fault of every shard changes the leader in every round", arguments: [4096, 9999, 32_768], [0, 1, 2] as [UInt64])
    func faultsChangeTheLeader(tokens: Int, seed: UInt64) throws {
        try withNeedleFolder { folder in
            let parts = try NeedleParts(folder)
            let hay = try Haystack.make(model: folder, tokens: tokens, task: .vote, seed: seed)
            let worlds = try #require(hay.worlds)
            #expect(worlds == 2...6, "\(tokens) tokens, seed \(seed)")
            let whole = tallies(hay, parts, [Chunk(start: 0, length: tokens)])
            let winners = whole.map { leader($0.mapValues(Double.init)) }
            #expect(winners.count == 2 && !winners.contains(nil))
            for world in worlds {
                for layout in ShardPlan.Layout.allCases {
                    let plan = try ShardPlan(layout, tokens: tokens, over: WorldSize(world))
                    let shards = plan.world.ranks.map { tallies(hay, parts, plan.chunks(of: $0)) }
                    for round in winners.indices {
                        check(whole[round], shards.map { $0[round] }, winners[round], "\(tokens), \(seed), \(layout), \(world), \(round)")
                    }
                }
            }
        }
    }

    private func check(_ whole: [NeedleSymbol: Int], _ shards: [[NeedleSymbol: Int]], _ winner: NeedleSymbol?, _ name: String) {
        var means: [NeedleSymbol: Double] = [:]
        for (rank, shard) in shards.enumerated() {
            func wrong(_ sign: Int) -> Bool {
                let counts = whole.merging(shard.mapValues { $0 * sign }, uniquingKeysWith: +)
                let found = leader(counts.mapValues(Double.init))
                return found != nil && found != winner
            }
            #expect(wrong(-1), "\(name): rank \(rank) lost")
            #expect(wrong(1), "\(name): rank \(rank) doubled")
            let total = Double(shard.values.reduce(0, +))
            for (value, count) in shard { means[value, default: 0] += Double(count) / total }
        }
        #expect(leader(means) != winner, "\(name): equal weights")
    }

    @Test("a short context gets fewer worlds, and says so")
    func shortContexts() throws {
        try withNeedleFolder { folder in
            let short = try #require(try Haystack.make(model: folder, tokens: 700, task: .vote).worlds)
            #expect(short.lowerBound == 2 && short.upperBound < 6)
            let wide = try Haystack.make(model: folder, tokens: 20_000, task: .vote, shards: 16)
            #expect(wide.worlds == 16...16)
        }
    }

    @Test("the check itself refuses votes that hide a fault")
    func refusals() throws {
        let ground = try HaystackGround(tokens: 4096, worlds: 2...2)
        let none = [HaystackTally](repeating: HaystackTally(), count: ground.cells.count)
        #expect(!ground.showsFaults(none))
        // Two values only: what is noticed when lost is not noticed when doubled.
        var two = none
        (two[0], two[1]) = (HaystackTally(lead: 5), HaystackTally(second: 4))
        #expect(!ground.showsFaults(two))
        var random = NeedleRandom(seed: 1, stream: .ballot)
        let room = ground.cells.map { $0.count / 4 }
        let good = try #require(HaystackBallot.search(ground, room: room, random: &random))
        #expect(ground.showsFaults(good))
        for cell in good.indices {
            var worse = good
            worse[cell].second += 1
            #expect(!ground.showsFaults(worse), "a tie passes for a lead")
        }
    }
}
