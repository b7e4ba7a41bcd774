// Token ids against the tokenizers library over the hostile corpus, and what must hold whatever the text.

import RingFormats
import Testing

@Suite("Tokenizer")
struct TokenizerTests {
    static let styles = ["gpt2", "llama3", "qwen", "flags"]

    private func load(_ style: String) throws -> (Tokenizer, JSONValue) {
        (try Tokenizer(folder: fixture("tokenizers/" + style)), try JSONValue(path: fixture("tokenizers/\(style)/cases.json")))
    }

    private func ids(_ value: JSONValue?) -> [UInt32] { (value?.arrayValue ?? []).compactMap { $0.intValue.map(UInt32.init) } }

    private func bytes(hex: String) -> [UInt8] {
        let digits = Array(hex.utf8).map { $0 < 0x3A ? $0 - 0x30 : $0 - 0x57 }
        return stride(from: 0, to: digits.count, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    @Test("ids and decoded text equal the reference on the hostile corpus", arguments: styles)
    func corpus(_ style: String) throws {
        let (tokenizer, cases) = try load(style)
        #expect(tokenizer.vocabularySize == 512)
        let list = try #require(cases["encode"]?.arrayValue)
        #expect(list.count > 200)
        for entry in list {
            let wanted = ids(entry["ids"])
            let text: String
            let plain: [UInt32]
            if let hex = entry["hex"]?.stringValue {
                plain = tokenizer.encode(bytes(hex: hex), addSpecialTokens: false)
                text = String(decoding: bytes(hex: hex), as: UTF8.self)
            } else {
                text = try #require(entry["text"]?.stringValue)
                plain = tokenizer.encode(text, addSpecialTokens: false)
            }
            #expect(plain == wanted, "\(style): \(JSONValue.string(text).text())")
            #expect(tokenizer.encode(text) == (entry["with_special"].map { ids($0) } ?? wanted))
            let decoded = entry["decoded"]?.stringValue ?? text
            // Byte-wise: Swift's == would take a decomposed text for its composed twin.
            #expect(Array(tokenizer.decode(wanted).utf8) == Array(decoded.utf8), "\(style): \(JSONValue.string(text).text())")
            #expect(Array(tokenizer.decode(wanted, skipSpecialTokens: true).utf8) == Array((entry["skipped"]?.stringValue ?? decoded).utf8))
        }
    }

    @Test("long runs of one thing equal the reference, and take no more than linear time and a logarithm", arguments: styles)
    func runs(_ style: String) throws {
        let (tokenizer, cases) = try load(style)
        for entry in try #require(cases["runs"]?.arrayValue) {
            let unit = try #require(entry["unit"]?.stringValue)
            let text = String(repeating: unit, count: entry["count"]?.intValue ?? 0) + (entry["tail"]?.stringValue ?? "")
            let ids = tokenizer.encode(text, addSpecialTokens: false)
            #expect(ids.count == entry["length"]?.intValue, "\(style): \(JSONValue.string(unit).text())")
            let digest = ids.reduce(0xCBF2_9CE4_8422_2325 as UInt64) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
            let text16 = String(digest, radix: 16)
            #expect(
                String(repeating: "0", count: 16 - text16.count) + text16 == entry["digest"]?.stringValue,
                "\(style): \(JSONValue.string(unit).text())")
        }
    }

    @Test("a megabyte of one letter or of spaces is no trap", arguments: styles)
    func megabyte(_ style: String) throws {
        let (tokenizer, _) = try load(style)
        for unit in ["a", " "] {
            let text = String(repeating: unit, count: 1 << 20)
            let elapsed = ContinuousClock().measure { #expect(!tokenizer.encode(text).isEmpty) }
            // A quadratic merge would need hours; the bound only tells the two apart.
            #expect(elapsed < .seconds(60))
        }
    }

    @Test("random ids decode as the reference decodes them, whole or one at a time", arguments: styles)
    func decoding(_ style: String) throws {
        let (tokenizer, cases) = try load(style)
        for entry in try #require(cases["decode"]?.arrayValue) {
            let ids = ids(entry["ids"])
            let wanted = Array(try #require(entry["text"]?.stringValue).utf8)
            #expect(Array(tokenizer.decode(ids).utf8) == wanted)
            for skips in [false, true] {
                var decoder = StreamingDecoder(tokenizer, skipSpecialTokens: skips)
                let pieces = ids.map { decoder.append($0) } + [decoder.finish()]
                #expect(
                    pieces.map { Array($0.utf8) }.reduce([], +) == Array(tokenizer.decode(ids, skipSpecialTokens: skips).utf8), "\(ids)")
            }
        }
    }

    @Test("streamed pieces never hold half a character back for long nor let one out")
    func streaming() throws {
        let (tokenizer, _) = try load("gpt2")
        let text = "naïve 👩‍👩‍👧‍👦 世界 \u{10FFFF}"
        var decoder = StreamingDecoder(tokenizer)
        var joined = ""
        for id in tokenizer.encode(text) {
            let piece = decoder.append(id)
            #expect(!piece.contains("\u{FFFD}"))
            joined += piece
            #expect(text.utf8.count - joined.utf8.count >= 0)
        }
        #expect(joined == text)
        #expect(decoder.finish() == "")
        // A lead byte that never gets its followers comes out as one replacement character at the end.
        let lead = try #require(tokenizer.encode("世", addSpecialTokens: false).first)
        #expect(decoder.append(lead) == "")
        #expect(decoder.finish() == "\u{FFFD}")
        #expect(decoder.append(99999) == "")
    }

    @Test("bytes one at a time: every character comes out with its last byte, every broken sequence as decoding would repair it")
    func bytewise() throws {
        // Without merges the id of a byte is its value.
        let definition = TokenizerDefinition(model: BytePairModel(merges: []), style: .gpt2, addedTokens: [])
        let tokenizer = try Tokenizer(json: definition.json(), file: "bytes")
        let edges: [UInt32] = [
            0x7F, 0x80, 0x7FF, 0x800, 0xFFF, 0x1000, 0xCFFF, 0xD7FF, 0xE000, 0xFFFF, 0x10000, 0x3FFFF, 0x40000, 0xFFFFF, 0x100000, 0x10FFFF,
        ]
        var decoder = StreamingDecoder(tokenizer)
        for scalar in edges.compactMap(Unicode.Scalar.init) {
            let bytes = Array(String(scalar).utf8)
            let pieces = bytes.map { decoder.append(UInt32($0)) }
            #expect(pieces.dropLast().allSatisfy(\.isEmpty) && pieces.last == String(scalar), "U+\(String(scalar.value, radix: 16))")
        }
        var random = SeededGenerator(state: 17)
        let lively: [UInt8] = [
            0x41, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF1, 0xF4, 0xF5, 0xFF,
        ]
        for _ in 0..<5000 {
            let ids = (0..<1 + random.below(9)).map { _ in UInt32(lively[random.below(lively.count)]) }
            var decoder = StreamingDecoder(tokenizer)
            let text = ids.map { decoder.append($0) }.joined() + decoder.finish()
            #expect(Array(text.utf8) == Array(tokenizer.decode(ids).utf8), "\(ids)")
        }
    }

    @Test("tokens have names, ids and a special mark")
    func names() throws {
        let (tokenizer, _) = try load("llama3")
        #expect(tokenizer.id(of: "<|begin|>") == 507 && tokenizer.token(of: 507) == "<|begin|>" && tokenizer.isSpecial(507))
        #expect(tokenizer.id(of: "Ġthe") != nil && !tokenizer.isSpecial(tokenizer.id(of: "Ġthe") ?? 0))
        #expect(tokenizer.id(of: "no such token") == nil && tokenizer.token(of: 512) == nil && !tokenizer.isSpecial(70000))
        #expect(tokenizer.encode("") == [507])
    }
}

@Suite("Tokenizer files")
struct TokenizerFileTests {
    static let split: JSONValue = [
        "type": "Split", "pattern": ["Regex": #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#],
        "behavior": "Isolated", "invert": false,
    ]

    /// The GPT-2 style fixture with one place changed.
    private func load(_ path: [String], _ value: JSONValue?) throws {
        let original = try JSONValue(path: fixture("tokenizers/gpt2/tokenizer.json"))
        _ = try Tokenizer(json: replacing(original, path[...], value), file: "tokenizer.json")
    }

    private func replacing(_ json: JSONValue, _ path: ArraySlice<String>, _ value: JSONValue?) -> JSONValue {
        guard let first = path.first else { return value ?? nil }
        var result = JSONObject()
        var isDone = false
        for (key, member) in json.objectValue ?? [:] {
            if key != first {
                result.append(key, member)
            } else if path.count > 1 || value != nil {
                result.append(key, replacing(member, path.dropFirst(), value))
            }
            isDone = isDone || key == first
        }
        if !isDone, let value { result.append(first, value) }
        return .object(result)
    }

    @Test(
        "kinds that are not byte-level BPE are refused by name",
        arguments: [
            (["model", "type"], "Unigram", "a model of the kind 'Unigram'"), (["model", "type"], "WordPiece", "'WordPiece'"),
            (["model", "byte_fallback"], true, "byte_fallback"),
            (["model", "unk_token"], "<unk>", "unk_token"), (["model", "end_of_word_suffix"], "</w>", "end_of_word_suffix"),
            (["model", "dropout"], 0.1, "dropout"),
            (["normalizer"], ["type": "NFKC"], "a normalizer of the kind 'NFKC'"),
            (["normalizer"], ["type": "Sequence", "normalizers": [["type": "Lowercase"]]], "'Lowercase'"),
            (["pre_tokenizer"], ["type": "Metaspace"], "'Metaspace' instead of ByteLevel"), (["pre_tokenizer"], nil, "no pre_tokenizer"),
            (["pre_tokenizer"], ["type": "Sequence", "pretokenizers": [["type": "Digits"], ["type": "ByteLevel"]]], "'Digits'"),
            (["pre_tokenizer"], ["type": "Sequence", "pretokenizers": [Self.split, ["type": "ByteLevel"]]], "add_prefix_space"),
            (
                ["pre_tokenizer"],
                [
                    "type": "Sequence",
                    "pretokenizers": [
                        ["type": "Split", "pattern": ["Regex": "a+"], "behavior": "Isolated"],
                        ["type": "ByteLevel", "add_prefix_space": false],
                    ],
                ],
                "regular expression 'a+'"
            ),
            (["decoder"], ["type": "Metaspace"], "a decoder of the kind 'Metaspace'"), (["decoder"], nil, "no decoder"),
            (["post_processor"], ["type": "RobertaProcessing"], "a post_processor of the kind 'RobertaProcessing'"),
            (
                ["post_processor"],
                ["type": "TemplateProcessing", "single": [["SpecialToken": ["id": "x", "type_id": 0]]], "special_tokens": [:]],
                "'x' but no ids"
            ),
            (["post_processor"], ["type": "TemplateProcessing", "single": []], "hold its text once"),
            (["model", "vocab"], [], "must be an object"), (["model", "vocab"], ["a": 0], "no token for the byte"),
            (["model", "vocab"], ["a": 0, "b": 0], "two tokens with the id 0"),
            (["model", "vocab"], ["a": 99_999_999_999], "no id from 0"), (["model", "vocab"], ["a": -1], "no id from 0"),
            (["model", "vocab"], ["a": "b"], "no id from 0"),
            (["model", "merges"], nil, "has no 'model.merges'"), (["model", "merges"], ["a b c"], "no pair"),
            (["model", "merges"], [["a"]], "no pair"), (["model", "merges"], ["nonsense word"], "not in the vocabulary"),
            (["model"], nil, "has no 'model'"), (["model"], [], "is an array instead of an object"),
            (["added_tokens"], [["id": 3, "content": "never seen"]], "and to another token"),
            (["added_tokens"], [["id": 600, "content": "a"]], "gives the token 'a' the ids"),
            (["added_tokens"], [["content": "a"]], "added_tokens[0].id"), (["added_tokens"], 3, "must be a list"),
        ] as [([String], JSONValue?, String)])
    func refusals(_ path: [String], _ value: JSONValue?, _ complaint: String) throws {
        let text = sentence { try load(path, value) }
        #expect(text.contains(complaint) && text.contains("tokenizer.json"), "\(text)")
    }

    @Test("an added token decodes to its own text, accents included")
    func accents() throws {
        let added: JSONValue = [["id": 600, "content": "<é>"], ["id": 601, "content": "e\u{301}t\u{e9}", "normalized": false]]
        let original = try JSONValue(path: fixture("tokenizers/qwen/tokenizer.json"))
        let tokenizer = try Tokenizer(json: replacing(original, ["added_tokens"], added), file: "f")
        let text = "<é> e\u{301}t\u{e9} <e\u{301}>"
        let ids = tokenizer.encode(text)
        #expect(ids.first == 600 && ids.last == 600 && ids.contains(601))
        #expect(Array(tokenizer.decode(ids).utf8) == Array("<é> e\u{301}t\u{e9} <é>".utf8))
    }

    @Test("merges are read in both spellings")
    func mergeSpellings() throws {
        let original = try JSONValue(path: fixture("tokenizers/gpt2/tokenizer.json"))
        let pairs = try #require(original["model"]?["merges"]?.arrayValue)
        let words = pairs.map { JSONValue.string(($0.arrayValue ?? []).compactMap(\.stringValue).joined(separator: " ")) }
        let old = replacing(original, ["model", "merges"], .array(["#version: 0.2"] + words))
        let text = "The quick brown fox's tail isn't 12345678 cm."
        #expect(try Tokenizer(json: old, file: "old").encode(text) == Tokenizer(json: original, file: "new").encode(text))
    }
}
