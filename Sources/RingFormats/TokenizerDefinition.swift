// Writing tokenizer.json: for demonstration models and tests that need a real tokenizer without downloading one.

/// How a family cuts text into words before merging.
public enum PreTokenizerStyle: String, CaseIterable, Hashable, Sendable {
    /// GPT-2: the ByteLevel stage with its built-in expression.
    case gpt2
    /// Llama 3: numbers in groups of three.
    case llama3
    /// Qwen: single digits, text normalised to NFC first.
    case qwen

    var scanner: WordScanner {
        switch self {
        case .gpt2: .gpt2
        case .llama3: .gpt4(digits: 3)
        case .qwen: .gpt4(digits: 1)
        }
    }
}

/// A byte-level byte-pair tokenizer that is to be written.
public struct TokenizerDefinition: Sendable {
    /// Vocabulary and merges.
    public let model: BytePairModel
    /// How text is cut into words.
    public let style: PreTokenizerStyle
    /// Added tokens; their ids follow the model's, in order.
    public let addedTokens: [AddedToken]
    /// The added token that stands before every text, if one does.
    public let beginToken: String?

    /// A tokenizer. Contents of added tokens must be distinct, not empty, and no tokens of the model; `beginToken` must be one of them.
    public init(model: BytePairModel, style: PreTokenizerStyle, addedTokens: [AddedToken], beginToken: String? = nil) {
        self.model = model
        self.style = style
        self.addedTokens = addedTokens
        self.beginToken = beginToken
        precondition(beginToken == nil || id(of: beginToken ?? "") != nil, "the begin token is not among the added tokens")
    }

    /// The highest id plus one.
    public var vocabularySize: Int { model.pieces.count + addedTokens.count }

    /// The id of an added token.
    public func id(of content: String) -> UInt32? {
        addedTokens.firstIndex { $0.content.isExactly(content) }.map { UInt32(model.pieces.count + $0) }
    }

    /// A tokenizer.json that the tokenizers library and `Tokenizer` read.
    public func json() -> JSONValue {
        [
            "version": "1.0", "truncation": nil, "padding": nil, "added_tokens": .array(addedTokens.map(entry)),
            "normalizer": style == .qwen ? ["type": "NFC"] : nil, "pre_tokenizer": preTokenizer, "post_processor": postProcessor,
            "decoder": ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true], "model": modelJSON,
        ]
    }

    /// Writes the tokenizer.json.
    public func write(to path: String) throws(FormatError) { try FileText.write(json().text(pretty: true), path: path) }

    private func entry(_ token: AddedToken) -> JSONValue {
        [
            "id": .integer(Int64(id(of: token.content) ?? 0)), "content": .string(token.content), "single_word": .bool(token.singleWord),
            "lstrip": .bool(token.leftStrip), "rstrip": .bool(token.rightStrip), "normalized": .bool(token.normalized),
            "special": .bool(token.special),
        ]
    }

    private var preTokenizer: JSONValue {
        func byteLevel(_ usesRegex: Bool) -> JSONValue {
            ["type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": .bool(usesRegex)]
        }
        if style == .gpt2 { return byteLevel(true) }
        let pattern = style == .qwen ? WordScanner.qwenPattern : WordScanner.llama3Pattern
        let split: JSONValue = ["type": "Split", "pattern": ["Regex": .string(pattern)], "behavior": "Isolated", "invert": false]
        return ["type": "Sequence", "pretokenizers": [split, byteLevel(false)]]
    }

    private var postProcessor: JSONValue {
        guard let beginToken, let id = id(of: beginToken) else {
            return ["type": "ByteLevel", "add_prefix_space": true, "trim_offsets": false, "use_regex": true]
        }
        let name = JSONValue.string(beginToken)
        func piece(_ sequence: String, _ type: Int64) -> [JSONValue] {
            [
                ["SpecialToken": ["id": name, "type_id": .integer(type)]],
                ["Sequence": ["id": .string(sequence), "type_id": .integer(type)]],
            ]
        }
        let token: JSONValue = ["id": name, "ids": [.integer(Int64(id))], "tokens": [name]]
        return [
            "type": "TemplateProcessing", "single": .array(piece("A", 0)), "pair": .array(piece("A", 0) + piece("B", 1)),
            "special_tokens": .object([beginToken: token]),
        ]
    }

    private var modelJSON: JSONValue {
        let names = model.pieces.map { ByteAlphabet.text(of: $0) }
        var vocabulary = JSONObject()
        for (id, name) in names.enumerated() { vocabulary.append(name, .integer(Int64(id))) }
        let merges = model.merges.map { JSONValue.array([.string(names[Int($0.left)]), .string(names[Int($0.right)])]) }
        return [
            "type": "BPE", "dropout": nil, "unk_token": nil, "continuing_subword_prefix": nil, "end_of_word_suffix": nil,
            "fuse_unk": false, "byte_fallback": false, "ignore_merges": .bool(style == .llama3), "vocab": .object(vocabulary),
            "merges": .array(merges),
        ]
    }
}
