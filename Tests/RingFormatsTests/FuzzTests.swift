// Decoders of strangers' files under a seeded mutator: no input may crash them, and what they accept must keep its promises. A failure
// prints its seed; RINGMASTER_FUZZ_SEED replays it, RINGMASTER_FUZZ_FACTOR multiplies the number of cases.

import Foundation
import RingFormats
import Testing

/// Changes valid files into nearly valid ones.
struct Mutator {
    var random: SeededGenerator
    private static let splices: [String] = [
        "{", "}", "[", "]", "\"", ":", ",", "\\", "\\u0000", "\\ud800", "\\udc00", "null", "true", "-1", "0", "1", "9223372036854775807",
        "9223372036854775808",
        "-9223372036854775808", "18446744073709551616", "1e999", "1e-999", "0.1", "4611686018427387904", "\"dtype\"", "\"shape\"",
        "\"data_offsets\"", "\"F32\"", "\"BF16\"",
        "\"__metadata__\"", "[0,0]", "[]", "{}", "\"\"", "\"a\":1,", "\u{e9}", "e\u{301}", "\u{1F642}", "\u{FEFF}", " ", "\n", "\"type\"",
        "\"Sequence\"", "\"ByteLevel\"", "\"id\"", "256", "\"NFC\"",
    ]

    mutating func mutate(_ original: [UInt8]) -> [UInt8] {
        var bytes = original
        for _ in 0..<1 + random.below(3) { step(&bytes, original) }
        return bytes
    }

    private mutating func step(_ bytes: inout [UInt8], _ original: [UInt8]) {
        guard !bytes.isEmpty else {
            bytes = original
            return
        }
        let place = random.below(bytes.count)
        let length = 1 + random.below(min(24, bytes.count - place))
        switch random.below(10) {
        case 0: bytes[place] ^= UInt8(1 << random.below(8))
        case 1: bytes[place] = UInt8(truncatingIfNeeded: random.next())
        case 2: bytes.removeSubrange(place..<place + length)
        case 3: bytes.insert(contentsOf: bytes[place..<place + length], at: random.below(bytes.count))
        case 4: bytes.insert(contentsOf: Self.splices[random.below(Self.splices.count)].utf8, at: place)
        case 5: bytes.replaceSubrange(place..<place + length, with: Self.splices[random.below(Self.splices.count)].utf8)
        case 6: bytes.removeLast(random.below(8) == 0 ? random.below(bytes.count) : 1)
        case 7, 8: replaceNumber(&bytes, near: place)
        default:
            let other = random.below(original.count)
            bytes.replaceSubrange(place..<place + length, with: original[other..<min(original.count, other + length)])
        }
    }

    /// Digits stay digits: most lies of a header are about its numbers.
    private mutating func replaceNumber(_ bytes: inout [UInt8], near place: Int) {
        func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
        guard let start = bytes[place...].firstIndex(where: isDigit) else { return }
        let end = bytes[start...].firstIndex { !isDigit($0) } ?? bytes.count
        let old = Int(String(decoding: bytes[start..<end], as: UTF8.self)) ?? 0
        let new = [old &+ 1, old &- 1, old &* 2, 0, old &* 1_000_003, Int(random.next() >> 1)][random.below(6)]
        bytes.replaceSubrange(start..<end, with: "\(new)".utf8)
    }
}

@Suite("Fuzzing of the decoders", .serialized)
struct FuzzTests {
    private let seed: UInt64
    private let factor: Double

    init() {
        let environment = ProcessInfo.processInfo.environment
        seed = environment["RINGMASTER_FUZZ_SEED"].flatMap { UInt64($0) } ?? 20_260_101
        #if DEBUG
            let usual = 0.1  // unoptimised code is some twenty times slower
        #else
            let usual = 1.0
        #endif
        factor = environment["RINGMASTER_FUZZ_FACTOR"].flatMap { Double($0) } ?? usual
    }

    /// Runs `cases` mutations of `originals`; `body` returns whether the input was accepted and records broken promises itself.
    private func fuzz(_ name: String, cases: Int, _ originals: [[UInt8]], _ body: ([UInt8], Comment) throws -> Void) {
        let cases = Int(Double(cases) * factor)
        var accepted = 0
        for index in 0..<cases {
            let caseSeed = seed &+ UInt64(index)
            var mutator = Mutator(random: SeededGenerator(state: caseSeed))
            let bytes = mutator.mutate(originals[mutator.random.below(originals.count)])
            let comment: Comment = "RINGMASTER_FUZZ_SEED=\(caseSeed) (first case) replays this case of \(name)"
            do {
                try body(bytes, comment)
                accepted += 1
            } catch let error as FormatError {
                let text = error.message
                if text.isEmpty || text.contains("\n") || text.utf8.count > 4000 { Issue.record("\(comment): the sentence \(text)") }
            } catch {
                Issue.record("\(comment): foreign error \(error)")
            }
        }
        print("fuzz \(name): seed \(seed), \(cases) cases, \(accepted) accepted")
        #expect(accepted > cases / 1000, "mutations of \(name) are so wild that they test nothing but the first check")
        #expect(accepted < cases)
    }

    @Test("safetensors headers: what is accepted tiles the data exactly")
    func safetensors() throws {
        let headers: [(text: String, dataBytes: Int)] = [
            (
                #"{"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},"#
                    + #""b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}}"#, 32
            ),
            (
                #"{"x":{"dtype":"U8","shape":[5],"data_offsets":[3,8]},"y":{"dtype":"I8","shape":[3,1],"data_offsets":[0,3]},"#
                    + #""z":{"dtype":"F64","shape":[0],"data_offsets":[8,8]}}"#, 8
            ),
            (#"{"s":{"dtype":"I64","shape":[],"data_offsets":[0,8]}}   "#, 8),
        ]
        func file(_ header: some Collection<UInt8>, _ dataBytes: Int) -> [UInt8] {
            (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) } + header + [UInt8](repeating: 7, count: dataBytes)
        }
        func check(_ bytes: [UInt8], _ comment: Comment) throws {
            let header = try SafetensorsHeader(path: "f", fileByteCount: bytes.count) { (range) throws(FormatError) in Array(bytes[range]) }
            var end = 8 + bytes[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
            for tensor in header.tensors {
                let isTiled =
                    tensor.byteRange.lowerBound == end && tensor.elementCount * tensor.type.bitWidth == tensor.byteCount * 8
                if !isTiled { Issue.record("\(comment): \(tensor)") }
                end = tensor.byteRange.upperBound
            }
            if end != bytes.count { Issue.record("\(comment): ends at \(end)") }
        }
        // Once with everything at the mercy of the mutator, once with a header of the length that the file states: a wrong length hides
        // every other lie behind it.
        fuzz("safetensors files", cases: 30_000, headers.map { file(Array($0.text.utf8), $0.dataBytes) }) { try check($0, $1) }
        for (text, dataBytes) in headers {
            fuzz("safetensors headers", cases: 25_000, [Array(text.utf8)]) { try check(file($0, dataBytes), $1) }
        }
    }

    @Test("JSON: what is accepted writes and reads back the same")
    func jsonText() throws {
        let texts = [
            #"{"a":[1,-2.5e3,"x\u00e9\ud83d\ude42\n",null,true],"b":{"c":{"d":[[],{}]}}}"#,
            #"["é世界🙂",0,1e-7,123456789012345678,[[[[1]]]]]"#,
            #"{"k0":0,"k1":1,"k2":2,"k3":3,"k4":4,"k5":5,"k6":6,"k7":7,"k8":8,"k9":9,"k10":10,"k11":11,"k12":12,"k13":13,"k14":14}"#,
        ]
        fuzz("JSON", cases: 60_000, texts.map { Array($0.utf8) }) { bytes, comment in
            let value = try JSONValue(parsing: bytes, file: "f")
            let again = try JSONValue(parsing: Array(value.text(pretty: bytes.count % 2 == 0).utf8), file: "f")
            if again != value { Issue.record("\(comment): \(value.text())") }
        }
    }

    @Test("config.json: what is accepted has consistent dimensions and finite frequencies")
    func config() throws {
        let files = try ["llama", "qwen2", "qwen3"].map { try FileText.bytes(path: fixture("models/\($0)/config.json"), limit: 1 << 16) }
        fuzz("config.json", cases: 40_000, files) { bytes, comment in
            let config = try ModelConfig(json: JSONValue(parsing: bytes, file: "f"), file: "f")
            let isSound =
                config.headCount % config.keyValueHeadCount == 0 && config.headDimension % 2 == 0 && config.layerCount > 0
                && config.vocabularySize > 0
                && config.contextLength >= config.maximumPositions
            if !isSound { Issue.record("\(comment): \(config)") }
            guard config.headDimension <= 4096 else { return }
            let frequencies = RopeFrequencies(config)
            if !frequencies.inverseFrequencies.allSatisfy({ $0.isFinite && $0 >= 0 }) || !frequencies.attentionFactor.isFinite {
                Issue.record("\(comment): \(config.rope)")
            }
            if try ModelConfig(json: config.json(), file: "again") != config { Issue.record("\(comment): \(config.json().text())") }
        }
    }

    @Test("tokenizer.json: what is accepted encodes anything to known ids and decodes them")
    func tokenizer() throws {
        let model = BytePairTrainer.train(on: "the cat sat on the mat and the rat sat", merges: 12, style: .gpt2)
        let added = [AddedToken("<s>", special: true), AddedToken(" é", special: false, normalized: true, leftStrip: true)]
        let files = PreTokenizerStyle.allCases.map { style in
            Array(TokenizerDefinition(model: model, style: style, addedTokens: added, beginToken: "<s>").json().text().utf8)
        }
        let text = "the cat <s> é\u{301}'s 1234\u{A0}\n\n  世界🙂 \u{1100}\u{1161}<s"
        fuzz("tokenizer.json", cases: 25_000, files) { bytes, comment in
            let tokenizer = try Tokenizer(json: JSONValue(parsing: bytes, file: "f"), file: "f")
            let ids = tokenizer.encode(text)
            if !ids.allSatisfy({ tokenizer.token(of: $0) != nil }) { Issue.record("\(comment): \(ids)") }
            var decoder = StreamingDecoder(tokenizer, skipSpecialTokens: false)
            let streamed = ids.map { decoder.append($0) }.joined() + decoder.finish()
            if Array(streamed.utf8) != Array(tokenizer.decode(ids).utf8) { Issue.record("\(comment): \(ids)") }
        }
    }

    @Test("texts of random bytes: ids of valid text decode to the text")
    func texts() throws {
        let tokenizer = try Tokenizer(folder: fixture("tokenizers/llama3"))
        let originals = try (JSONValue(path: fixture("tokenizers/llama3/cases.json"))["encode"]?.arrayValue ?? []).compactMap {
            $0["text"]?.stringValue
        }.filter { !$0.isEmpty }
        fuzz("texts", cases: 60_000, originals.map { Array($0.utf8) }) { bytes, comment in
            let repaired = String(decoding: bytes, as: UTF8.self)
            let ids = tokenizer.encode(bytes, addSpecialTokens: false)
            if Array(tokenizer.decode(ids).utf8) != Array(repaired.utf8) || ids != tokenizer.encode(repaired, addSpecialTokens: false) {
                Issue.record("\(comment): \(bytes)")
            }
            if repaired.utf8.count != bytes.count { throw FormatError.invalid("not UTF-8") }
        }
    }

    @Test("cluster YAML: what is accepted has values in range")
    func yaml() throws {
        let text =
            "schema_version: 1\ncoordinator:\n  listen: 127.0.0.1:7411\nworkers:\n  count: 4 # four\n  threads: 2\n"
            + "data_plane:\n  listen: '[::1]:0'\n"
        fuzz("cluster YAML", cases: 20_000, [Array(text.utf8)]) { bytes, comment in
            let config = try ClusterConfig(parsing: String(decoding: bytes, as: UTF8.self), file: "f")
            if (config.workers.count ?? 1) < 1 || !(0..<65536).contains(config.coordinator.listen.port) {
                Issue.record("\(comment): \(config)")
            }
        }
    }
}
