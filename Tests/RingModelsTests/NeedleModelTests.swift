// The folder that make-needle writes: a checkpoint that any reader of Hugging Face folders understands, the same for a seed every time.
import FoundationEssentials
import RingFormats
import RingModels
import Testing

@Suite("Needle model folder")
struct NeedleModelTests {
    static let files = [
        "config.json", "generation_config.json", "model.safetensors", "needle.json", "tokenizer.json", "tokenizer_config.json",
    ]

    private func content(_ folder: String) throws -> [[UInt8]] {
        try Self.files.map { try FileText.bytes(path: folder + "/" + $0, limit: 8 << 20) }
    }

    @Test("the same seed gives the same bytes, another seed another permutation", arguments: NeedleModel.WeightType.allCases)
    func deterministic(type: NeedleModel.WeightType) throws {
        let first = try withNeedleFolder(seed: 3, as: type, content)
        let second = try withNeedleFolder(seed: 3, as: type, content)
        let other = try withNeedleFolder(seed: 4, as: type, content)
        #expect(first == second)
        for (name, pair) in zip(Self.files, zip(first, other)) {
            let depends = name == "model.safetensors" || name == "needle.json"
            #expect((pair.0 != pair.1) == depends, "\(name)")
        }
    }

    @Test("exactly the promised files, below three megabytes", arguments: NeedleModel.WeightType.allCases)
    func small(type: NeedleModel.WeightType) throws {
        try withNeedleFolder(as: type) { folder in
            let names = try FileManager.default.contentsOfDirectory(atPath: folder)
            let size = try content(folder).reduce(0) { $0 + $1.count }
            #expect(names.sorted() == Self.files)
            #expect(size < 3_000_000)
        }
    }

    @Test("config and weights agree with each other", arguments: NeedleModel.WeightType.allCases)
    func readable(type: NeedleModel.WeightType) throws {
        try withNeedleFolder(as: type) { folder in
            let config = try ModelConfig(folder: folder)
            let parts = try NeedleParts(folder)
            #expect(config.architecture == .llama && config.layerCount == 2 && !config.tiesEmbeddings)
            #expect(config.vocabularySize == parts.record.vocabulary.count)
            #expect(config.vocabularySize == parts.tokenizer.vocabularySize)
            #expect(config.endTokens == [parts.record.vocabulary.end])
            #expect(config.maximumPositions == 1 << 24)
            #expect(config.rope == RopeParameters(theta: 1e20))
            let generation = try GenerationConfig(folder: folder)
            #expect(generation.endTokens == config.endTokens && !generation.doSample)
            let checkpoint = try Checkpoint(folder: folder)
            let expected = NeedleModel.tensors(of: parts.weights)
            #expect(checkpoint.tensorNames == expected.map(\.name).sorted())
            for tensor in expected {
                let found = try checkpoint.require(tensor.name, shape: tensor.shape, types: [type == .f32 ? .f32 : .bf16])
                let wanted = type == .f32 ? tensor.elements : tensor.elements.map(roundedToBFloat16)
                #expect(try found.floats() == wanted, "\(tensor.name)")
            }
        }
    }

    @Test("bfloat16 rounds nothing but the sines of the layer that looks back")
    func exactInBFloat16() throws {
        let weights = NeedleWeights(seed: 1, vocabulary: NeedleVocabulary(pieceCount: 1024))
        for tensor in NeedleModel.tensors(of: weights) where tensor.name != "model.layers.0.self_attn.q_proj.weight" {
            #expect(tensor.elements.allSatisfy { roundedToBFloat16($0) == $0 }, "\(tensor.name)")
        }
    }

    @Test("marks and symbols are single tokens; only begin, end and pad are special")
    func tokens() throws {
        try withNeedleFolder { folder in
            let parts = try NeedleParts(folder)
            for text in NeedleVocabulary.addedTexts {
                #expect(parts.tokenizer.encode(text).count == 1, "\(text)")
                let id = try #require(parts.tokenizer.id(of: text))
                #expect(parts.tokenizer.isSpecial(id) == NeedleVocabulary.specialMarks.contains(text), "\(text)")
            }
            let text = "A ring<k007><v239>, don't\n<none> naïve 世界 🙂<end>"
            #expect(parts.tokenizer.decode(parts.tokenizer.encode(text)) == text)
            #expect(parts.tokenizer.decode(parts.tokenizer.encode("<v001><none><end>"), skipSpecialTokens: true) == "<v001><none>")
        }
    }

    @Test("text is compressed to less than a token for three characters")
    func compression() throws {
        try withNeedleFolder { folder in
            let tokenizer = try Tokenizer(folder: folder)
            let characters = HaystackProse.all.utf8.count
            #expect(tokenizer.encode(HaystackProse.all).count * 3 < characters)
        }
    }

    @Test("a folder that cannot be made, and one without a needle model, are errors that say so")
    func badFolders() throws {
        #expect(throws: NeedleError.self) { try NeedleModel(seed: 0).write(to: "/proc/no/such/folder") }
        try withNeedleFolder { folder in
            try FileManager.default.removeItem(atPath: folder + "/needle.json")
            let error = #expect(throws: NeedleError.self) { _ = try Haystack.make(model: folder, tokens: 256, task: .needle) }
            #expect(error?.description.contains("make-needle") == true)
            guard case .notNeedle = error else { Issue.record("\(String(describing: error))"); return }
            try FileText.write("{\"format\": \"ringmaster-needle-1\", \"seed\": \"1\"}", path: folder + "/needle.json")
            #expect(throws: NeedleError.self) { _ = try Haystack.make(model: folder, tokens: 256, task: .needle) }
        }
    }

    @Test("the embedded licence is the project's")
    func licence() throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let file = try FileText.bytes(path: "/\(root)/LICENSE", limit: 1 << 20)
        func words(_ text: String) -> [Substring] { text.split(whereSeparator: \.isWhitespace) }
        #expect(words(HaystackProse.licence) == words(String(decoding: file, as: UTF8.self)))
    }
}
