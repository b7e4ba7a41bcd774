// Which facts a prompt holds, where, and what the right answer is, before a word of it is written. Positions are token positions;
// a fact may stand anywhere in a small window, so that it falls between two words.

import RingCore

/// A fact that will be planted: the key token somewhere in `window`, the value token right behind it.
package struct HaystackPlanting: Hashable, Sendable {
    /// Positions at which the key token may stand.
    package let window: ClosedRange<Int>
    /// What the fact is about.
    package let key: NeedleSymbol
    /// What stands in the text; the model answers its image.
    package let value: NeedleSymbol
    /// False for facts about keys that nobody asks for.
    package let matters: Bool
}

/// The facts, the question and the answer of one prompt.
package struct HaystackPlan: Sendable {
    /// All facts in order; windows are disjoint, two tokens apart.
    package var plantings: [HaystackPlanting] = []
    /// What the prompt asks for.
    package var question = NeedleSymbol(0)
    /// The symbols of the answer in order. Unless the last one is `.end`, `<none>` follows.
    package var answers: [NeedleSymbol] = []
    /// For a vote: the worlds in which every fault of a shard shows.
    package var worlds: ClosedRange<Int>?

    /// Tokens of the whole prompt.
    package let tokens: Int
    /// The first and the last position at which a key token may stand: behind `<begin>`, and with its value before `<ask>`.
    package var keyPositions: ClosedRange<Int> { 1...(tokens - 4) }
    /// Fewest tokens of any prompt.
    package static let tokensMin = 16

    private let secret: NeedleSecret
    private var random: NeedleRandom

    /// An empty plan. Throws when a prompt of that many tokens makes no sense.
    package init(tokens: Int, seed: UInt64, secret: NeedleSecret) throws(NeedleError) {
        guard tokens >= Self.tokensMin, tokens <= NeedleModel.maximumPositions else {
            throw .request("a haystack has \(Self.tokensMin) to \(NeedleModel.maximumPositions) tokens, not \(tokens)")
        }
        self.tokens = tokens
        self.secret = secret
        random = NeedleRandom(seed: seed, stream: .plan)
    }

    /// Facts close together that lead to one another: `hops` lookups at one depth, which may be the very beginning or end.
    package mutating func planNeedle(hops: Int) throws(NeedleError) {
        let room = keyPositions.upperBound - keyPositions.lowerBound + 1
        let spacing = min(24, room / max(hops, 1))
        guard hops >= 1, hops < NeedleSymbol.count / 2, spacing >= 2 else {
            throw .request("\(hops) hops do not fit into \(tokens) tokens: ask for 1 to \(min(room / 2, NeedleSymbol.count / 2 - 1))")
        }
        let last = keyPositions.upperBound - hops * spacing + 1
        let depth = random.below(4)
        let start = depth == 0 ? 1 : depth == 1 ? last : random.within(1...last)
        let path = pathToEnd(hops: hops)
        for (place, hop) in random.shuffled(Array(0..<hops)).enumerated() {
            let lower = start + place * spacing
            plant(lower...(lower + spacing - 2), path[hop], leadsTo: path[hop + 1])
        }
        settle(path)
    }

    /// One fact in each of `shards` equal shards, visited in random order: losing any of them breaks the chain. Half of the
    /// seeds put the facts astride the edges, the key at the end of one shard and the value at the beginning of the next.
    package mutating func planChain(shards: Int?) throws(NeedleError) {
        let count = shards ?? min(24, max(2, tokens / 32))
        guard count >= 2, count < NeedleSymbol.count / 2, tokens / count >= 8 else {
            let most = min(tokens / 8, NeedleSymbol.count / 2 - 1)
            throw .request("a chain through \(count) shards does not fit into \(tokens) tokens: ask for 2 to \(most) shards")
        }
        let chunks = try Self.chunks(tokens: tokens, count: count)
        let astride = random.below(2) == 1
        let path = pathToEnd(hops: count)
        for (hop, shard) in random.shuffled(Array(0..<count)).enumerated() {
            let chunk = chunks[shard]
            let window: ClosedRange<Int>
            if astride && shard + 1 < count {
                window = (chunk.end - 1)...(chunk.end - 1)
            } else {
                // One token is left for the value of a fact astride the edge before.
                let lower = chunk.start + 1
                let upper = min(chunk.end - 2, keyPositions.upperBound)
                let start = random.within(lower...upper)
                window = start...min(start + 16, upper)
            }
            plant(window, path[hop], leadsTo: path[hop + 1])
        }
        settle(path)
    }

    /// A question about which nothing is planted.
    package mutating func planAbsent() {
        question = someSymbols(1, except: [])[0]
        answers = []
    }

    /// Rounds of a vote between three values of one key, each round won by a single copy (HaystackVote.swift).
    package mutating func planVote(rounds: Int, worlds: ClosedRange<Int>) throws(NeedleError) {
        let ballots = try HaystackVote.draw(rounds: rounds, tokens: tokens, worlds: worlds, random: &random)
        self.worlds = ballots.worlds
        // Each round needs a key, its winner being the key of the next, and two losers that are nobody's key.
        var path = [someSymbols(1, except: [])[0]]
        var used = Set(path)
        var places: [Int: [(key: NeedleSymbol, answer: NeedleSymbol)]] = [:]
        for round in 0..<rounds {
            let candidates = threeAlike(except: used)
            used.formUnion(candidates)
            for (cell, tally) in ballots.rounds[round].enumerated() {
                for (answer, count) in zip(candidates, [tally.lead, tally.second, tally.third]) {
                    places[cell, default: []] += Array(repeating: (path[round], answer), count: count)
                }
            }
            path.append(candidates[0])
        }
        // The last winner leads to the end, by a single fact in a cell of its own choosing.
        places[random.below(ballots.cells.count), default: []].append((path[rounds], .end))
        path.append(.end)
        for (cell, range) in ballots.cells.enumerated() {
            let facts = random.shuffled(places[cell] ?? [])
            for (place, fact) in facts.enumerated() {
                let lower = range.lowerBound + place * range.count / facts.count
                let next = range.lowerBound + (place + 1) * range.count / facts.count
                plant(lower...(next - 2), fact.key, leadsTo: fact.answer)
            }
        }
        settle(path)
    }

    /// Facts about keys that no question leads to, on an even grid wherever there is room.
    package mutating func addDistractors(seed: UInt64) {
        var random = NeedleRandom(seed: seed, stream: .distractors)
        let count = min(2000, tokens / 64)
        let taken = Set(plantings.map(\.key) + plantings.map { secret.answer(to: $0.value) } + answers + [question])
        let free = (0..<NeedleSymbol.count - 1).map(NeedleSymbol.init).filter { !taken.contains($0) }
        guard count > 0, !free.isEmpty else { return }
        let stride = tokens / (count + 1)
        var result: [HaystackPlanting] = []
        var ahead = plantings[...]
        for place in 1...count {
            let window = (place * stride)...(place * stride + 16)
            while let fact = ahead.first, fact.window.upperBound + 2 <= window.lowerBound { result.append(ahead.removeFirst()) }
            let limit = ahead.first.map { $0.window.lowerBound - 2 } ?? keyPositions.upperBound
            let fits = window.upperBound <= limit
            let key = free[random.below(free.count)]
            let value = NeedleSymbol(random.below(NeedleSymbol.count))
            if fits { result.append(HaystackPlanting(window: window, key: key, value: value, matters: false)) }
        }
        plantings = result + ahead
    }

    // MARK: parts

    private mutating func plant(_ window: ClosedRange<Int>, _ key: NeedleSymbol, leadsTo answer: NeedleSymbol) {
        plantings.append(HaystackPlanting(window: window, key: key, value: secret.planted(for: answer), matters: true))
    }

    private mutating func settle(_ path: [NeedleSymbol]) {
        question = path[0]
        answers = Array(path.dropFirst())
        plantings.sort { $0.window.lowerBound < $1.window.lowerBound }
        for (left, right) in zip(plantings, plantings.dropFirst()) {
            precondition(left.window.upperBound + 2 <= right.window.lowerBound, "\(left) and \(right) overlap")
        }
    }

    /// `hops` different symbols and then the end.
    private mutating func pathToEnd(hops: Int) -> [NeedleSymbol] { someSymbols(hops, except: []) + [.end] }

    private mutating func someSymbols(_ count: Int, except used: Set<NeedleSymbol>) -> [NeedleSymbol] {
        let free = (0..<NeedleSymbol.count - 1).map(NeedleSymbol.init).filter { !used.contains($0) }
        return Array(random.shuffled(free).prefix(count))
    }

    /// Three unused symbols that share the first digit, so that the copies compete in the second one only.
    private mutating func threeAlike(except used: Set<NeedleSymbol>) -> [NeedleSymbol] {
        for high in random.shuffled(Array(0..<NeedleSymbol.highCount)) {
            let alike = (0..<NeedleSymbol.lowCount).map { NeedleSymbol(high: high, low: $0) }.filter { $0 != .end && !used.contains($0) }
            if alike.count >= 3 { return Array(random.shuffled(alike).prefix(3)) }
        }
        preconditionFailure("no three symbols are left")
    }

    private static func chunks(tokens: Int, count: Int) throws(NeedleError) -> [Chunk] {
        do {
            return try ShardPlan(.contiguous, tokens: tokens, over: WorldSize(count)).chunks
        } catch {
            throw .request(error.description)
        }
    }
}

extension ShardPlan {
    /// Every chunk in order of position.
    package var chunks: [Chunk] { world.ranks.flatMap { chunks(of: $0) }.sorted { $0.start < $1.start } }
}
