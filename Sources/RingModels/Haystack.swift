// A prompt for the needle model: ordinary text with facts planted in it, a question at the end, and the one right answer. Plan
// first (HaystackPlan.swift), then fill with words (HaystackWords.swift) until every fact is where it should be.

import RingFormats

/// A prompt with planted facts and its right answer.
public struct Haystack: Sendable {
    /// What the prompt tests.
    public enum Task: String, CaseIterable, Sendable {
        /// Facts that lead to one another, close together at some depth.
        case needle
        /// One fact in each of many equal shards, visited in random order: losing a shard breaks it.
        case chain
        /// Many copies of one key with three values, one of which leads by a copy: losing, doubling or misweighting a
        /// shard changes it.
        case vote
        /// A question about which nothing was planted.
        case absent
    }

    /// A planted fact.
    public struct Fact: Hashable, Sendable {
        /// Position of the key token; the value is the next token.
        public let position: Int
        /// The two tokens as they stand in the text.
        public let key: String, value: String
    }

    /// The prompt, beginning with `<begin>` and ending with the question.
    public let text: String
    /// The token ids of `text`; there are exactly as many as were asked for.
    public let tokenIDs: [UInt32]
    /// What greedy decoding must say. The last one is `<end>`.
    public let expectedTokenIDs: [UInt32]
    /// The same as it prints: special tokens left out.
    public let expectedText: String
    /// The facts that matter, by position.
    public let facts: [Fact]
    /// For a vote, the worlds in which every fault of every shard changes the first token of the answer.
    public let worlds: ClosedRange<Int>?

    /// Makes the prompt of `seed` for the needle model in `folder`, exactly `tokens` tokens long.
    /// - Parameters:
    ///   - texts: what the hay is made of; none means the text that comes with the binary.
    ///   - shards: for a chain the number of equal shards (24 unless the context is short), for a vote the one world to lay it out for.
    ///   - hops: lookups of a needle (3), rounds of a vote (2).
    ///   - worlds: for a vote the worlds to lay it out for (2 to 6); a short context gets fewer.
    public static func make(
        model folder: String, tokens: Int, task: Task, seed: UInt64 = 0, texts: [String] = [],
        shards: Int? = nil, hops: Int? = nil, worlds: ClosedRange<Int>? = nil
    ) throws(NeedleError) -> Haystack {
        let tokenizer: Tokenizer
        let record: NeedleRecord
        do {
            tokenizer = try Tokenizer(folder: folder)
        } catch {
            throw .format(error)
        }
        record = try NeedleRecord(folder: folder, tokenizer: tokenizer)
        var plan = try HaystackPlan(tokens: tokens, seed: seed, secret: record.secret)
        switch task {
        case .needle: try plan.planNeedle(hops: hops ?? 3)
        case .chain: try plan.planChain(shards: shards)
        case .vote: try plan.planVote(rounds: hops ?? 2, worlds: worlds ?? shards.map { $0...$0 } ?? 2...6)
        case .absent: plan.planAbsent()
        }
        plan.addDistractors(seed: seed)
        let words = try HaystackWords(
            texts.isEmpty ? [HaystackProse.all] : texts, tokenizer: tokenizer, vocabulary: record.vocabulary
        )
        return Haystack(plan, words: words, seed: seed, vocabulary: record.vocabulary, tokenizer: tokenizer)
    }

    private init(
        _ plan: HaystackPlan, words: HaystackWords, seed: UInt64, vocabulary: NeedleVocabulary, tokenizer: Tokenizer
    ) {
        var writer = HaystackWriter(plan, words: words, seed: seed, vocabulary: vocabulary)
        writer.writeAll(plan)
        precondition(writer.ids.count == plan.tokens, "\(writer.ids.count) tokens were written instead of \(plan.tokens)")
        text = writer.text
        tokenIDs = writer.ids
        facts = writer.facts
        worlds = plan.worlds
        var expected = plan.answers.map(vocabulary.reply)
        if expected.last != vocabulary.end { expected += [vocabulary.none, vocabulary.end] }
        expectedTokenIDs = expected
        expectedText = tokenizer.decode(expected, skipSpecialTokens: true)
    }
}

/// Writes a planned prompt: text and token ids side by side.
struct HaystackWriter {
    private(set) var text = ""
    private(set) var ids: [UInt32] = []
    private(set) var facts: [Haystack.Fact] = []
    private let words: HaystackWords
    private let vocabulary: NeedleVocabulary
    private var stream: HaystackStream
    private var random: NeedleRandom

    init(_ plan: HaystackPlan, words: HaystackWords, seed: UInt64, vocabulary: NeedleVocabulary) {
        self.words = words
        self.vocabulary = vocabulary
        stream = HaystackStream(words, seed: seed)
        random = NeedleRandom(seed: seed, stream: .padding)
        ids.reserveCapacity(plan.tokens)
        text.reserveCapacity(4 * plan.tokens)
    }

    mutating func writeAll(_ plan: HaystackPlan) {
        put("<begin>", vocabulary.begin)
        for planting in plan.plantings {
            fill(to: planting.window)
            let key = NeedleVocabulary.keyText(planting.key)
            let value = NeedleVocabulary.valueText(planting.value)
            if planting.matters { facts.append(Haystack.Fact(position: ids.count, key: key, value: value)) }
            put(key, vocabulary.key(planting.key))
            put(value, vocabulary.value(planting.value))
        }
        fill(to: (plan.tokens - 2)...(plan.tokens - 2))
        put("<ask>", vocabulary.ask)
        put(NeedleVocabulary.valueText(plan.question), vocabulary.value(plan.question))
    }

    /// Writes words until the next token falls into `window`. Where the next word is too long, short ones take its place.
    private mutating func fill(to window: ClosedRange<Int>) {
        precondition(ids.count <= window.upperBound, "the text is at token \(ids.count), behind \(window)")
        while ids.count < window.lowerBound {
            let next = stream.peek()
            if ids.count + next.ids.count <= window.upperBound {
                put(next)
                stream.advance()
            } else {
                put(words.words[words.short[random.below(words.short.count)]])
            }
        }
    }

    private mutating func put(_ word: HaystackWord) {
        text += word.text
        ids += word.ids
    }

    private mutating func put(_ token: String, _ id: UInt32) {
        text += token
        ids.append(id)
    }
}
