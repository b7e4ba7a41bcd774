// The trainer and the writer: what they make is a tokenizer that reads back, and is the same every time.

import RingFormats
import Testing

@Suite("Byte-pair training")
struct TokenizerDefinitionTests {
    private let text: String

    init() throws {
        let prompts = try JSONValue(path: fixture("models/llama/reference.json"))["prompts"]?.arrayValue ?? []
        text = prompts.compactMap { $0["text"]?.stringValue }.joined(separator: "\n")
        #expect(text.utf8.count > 3000)
    }

    @Test("the most frequent pairs merge first, the lower ids win ties, and every run gives the same")
    func training() {
        let model = BytePairTrainer.train(on: "ab ab ab cd cd cd", merges: 10, style: .gpt2)
        let pieces = model.pieces.dropFirst(256).map { String(decoding: $0, as: UTF8.self) }
        // " c", "ab" and "cd" occur three times, " a" twice; a space is the lowest id.
        #expect(pieces == [" c", "ab", " cd", " ab"])
        let one = BytePairTrainer.train(on: text, merges: 100, style: .llama3)
        #expect(one == BytePairTrainer.train(on: text, merges: 100, style: .llama3))
        #expect(Set(one.pieces).count == one.pieces.count)
    }

    @Test("training agrees with a direct recount of all pairs")
    func recount() {
        let model = BytePairTrainer.train(on: text, merges: 60, style: .gpt2)
        var words: [[UInt32]] = []
        // Words of this text under GPT-2's rule, by an independent cut at spaces: restricted to letters and spaces it is that simple.
        let plain = String(text.filter { $0.isASCII && ($0.isLetter || $0 == " ") })
        for word in plain.split(separator: " ", omittingEmptySubsequences: true).enumerated() {
            words.append(((word.offset == 0 ? "" : " ") + word.element).utf8.map(UInt32.init))
        }
        let direct = BytePairTrainer.train(
            on: words.map { String(decoding: $0.map { UInt8($0) }, as: UTF8.self) }.joined(), merges: 60, style: .gpt2)
        var merges: [BytePairModel.Merge] = []
        while merges.count < direct.merges.count {
            var counts: [[UInt32]: Int] = [:]
            for word in words { for pair in zip(word, word.dropFirst()) { counts[[pair.0, pair.1], default: 0] += 1 } }
            // "aaa" holds the pair (a, a) twice and can merge it once; the trainer counts alike.
            let best = counts.max { $0.value != $1.value ? $0.value < $1.value : $1.key.lexicographicallyPrecedes($0.key) }
            guard let best, best.value >= 2 else { break }
            merges.append(.init(left: best.key[0], right: best.key[1]))
            let merged = UInt32(255 + merges.count)
            for index in words.indices {
                var result: [UInt32] = []
                for symbol in words[index] {
                    if symbol == best.key[1], result.last == best.key[0] {
                        result[result.count - 1] = merged
                    } else {
                        result.append(symbol)
                    }
                }
                words[index] = result
            }
        }
        #expect(direct.merges == merges)
        #expect(model.merges.count == 60)
    }

    @Test("a written tokenizer reads back and keeps every text", arguments: PreTokenizerStyle.allCases)
    func written(_ style: PreTokenizerStyle) throws {
        try withTemporaryFolder { folder in
            let model = BytePairTrainer.train(on: text, merges: 80, style: style)
            let added = [AddedToken("<begin>", special: true), AddedToken("<k001>", special: false), AddedToken("<k0", special: false)]
            let definition = TokenizerDefinition(model: model, style: style, addedTokens: added, beginToken: "<begin>")
            try definition.write(to: folder + "/tokenizer.json")
            let tokenizer = try Tokenizer(folder: folder)
            #expect(tokenizer.vocabularySize == definition.vocabularySize && definition.vocabularySize == 256 + 80 + 3)
            let ids = tokenizer.encode("<k001>the cat<k0>" + text)
            #expect(ids.first == definition.id(of: "<begin>") && ids[1] == definition.id(of: "<k001>"))
            #expect(ids.contains(definition.id(of: "<k0") ?? 0))
            #expect(tokenizer.decode(ids, skipSpecialTokens: true) == "<k001>the cat<k0>" + text)
            #expect(Double(ids.count) < 0.65 * Double(text.utf8.count))
            #expect(tokenizer.encode("", addSpecialTokens: false) == [])
        }
    }
}
