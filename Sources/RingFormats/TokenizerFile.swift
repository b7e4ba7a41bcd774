// tokenizer.json, decoded: each stage is recognised by its exact kind or refused with its name. Guessing would give tokens that are
// nearly right, which is worse than none.

struct TokenizerFile {
    let file: String
    var vocabulary: BytePairVocabulary
    var normalises = false
    var scanners: [WordScanner] = []
    var addsPrefixSpace = false
    var rawMatcher = AddedTokenMatcher()
    var normalisedMatcher = AddedTokenMatcher()
    var prefix: [UInt32] = []
    var suffix: [UInt32] = []
    var table = TokenTable()

    init(_ json: JSONValue, file: String) throws(FormatError) {
        self.file = file
        let root = try ConfigFields(json, file: file)
        guard let modelJSON = root["model"] else { throw root.wrong("model", nil, "the vocabulary and merges of a BPE model") }
        let model = try ConfigFields(modelJSON, file: file, prefix: "model.")
        vocabulary = BytePairVocabulary(byteTokens: [], merges: MergeTable(capacity: 0), wholeWords: ByteStringTable())
        try readModel(model)
        if let normalizer = root["normalizer"] { try readNormalizer(normalizer, depth: 0) }
        try readPreTokenizer(root)
        try readDecoder(root)
        try readAddedTokens(root)
        if let processor = root["post_processor"] { try readPostProcessor(processor, depth: 0) }
    }

    func malformed(_ what: String) -> FormatError { .malformed("\(file) \(what): the tokenizer is damaged, fetch it again") }

    func unsupported(_ what: String) -> FormatError {
        .unsupported("\(file) \(what), which is not supported: byte-level BPE tokenizers as of GPT-2, Llama 3 and Qwen are")
    }

    /// The `type` of a stage.
    static func kind(_ stage: JSONValue) -> String { stage["type"]?.stringValue ?? stage.kindName }

    // MARK: stages before the model

    private mutating func readNormalizer(_ stage: JSONValue, depth: Int) throws(FormatError) {
        switch Self.kind(stage) {
        case "NFC": normalises = true
        case "Sequence":
            guard let parts = stage["normalizers"]?.arrayValue, depth < 8 else {
                throw malformed("has a normalizer Sequence without parts")
            }
            for part in parts { try readNormalizer(part, depth: depth + 1) }
        case let other: throw unsupported("has a normalizer of the kind \(quoted(other))")
        }
    }

    private mutating func readPreTokenizer(_ root: ConfigFields) throws(FormatError) {
        guard let stage = root["pre_tokenizer"] else { throw unsupported("has no pre_tokenizer") }
        var stages = [stage]
        if Self.kind(stage) == "Sequence" {
            guard let parts = stage["pretokenizers"]?.arrayValue else { throw malformed("has a pre_tokenizer Sequence without parts") }
            stages = parts
        }
        guard stages.count <= 4, let last = stages.popLast() else { throw unsupported("has a pre_tokenizer of \(stages.count) stages") }
        for stage in stages { scanners.append(try split(stage)) }
        guard Self.kind(last) == "ByteLevel" else {
            throw unsupported("has a pre_tokenizer that ends with \(quoted(Self.kind(last))) instead of ByteLevel")
        }
        let fields = try ConfigFields(last, file: file, prefix: "pre_tokenizer.")
        addsPrefixSpace = try fields.flag("add_prefix_space", default: true)
        if addsPrefixSpace, !scanners.isEmpty { throw unsupported("puts a space before every word of a Split (add_prefix_space)") }
        if try fields.flag("use_regex", default: true) { scanners.append(.gpt2) }
    }

    private func split(_ stage: JSONValue) throws(FormatError) -> WordScanner {
        guard Self.kind(stage) == "Split" else { throw unsupported("has a pre_tokenizer stage of the kind \(quoted(Self.kind(stage)))") }
        guard let pattern = stage["pattern"]?["Regex"]?.stringValue else { throw unsupported("has a Split without a regular expression") }
        guard let scanner = WordScanner(pattern: pattern) else {
            throw unsupported("cuts words by the regular expression \(quoted(pattern, limit: 200))")
        }
        // The known patterns match every character, so keeping the matches and cutting around them are the same.
        let behaviour = stage["behavior"]?.stringValue ?? ""
        let inverted = stage["invert"]?.boolValue ?? false
        guard (behaviour == "Isolated" && !inverted) || (behaviour == "Removed" && inverted) else {
            throw unsupported("has a Split with the behavior \(quoted(behaviour))\(inverted ? ", inverted" : "")")
        }
        return scanner
    }

    private func readDecoder(_ root: ConfigFields) throws(FormatError) {
        guard var stage = root["decoder"] else { throw unsupported("has no decoder") }
        if Self.kind(stage) == "Sequence", let parts = stage["decoders"]?.arrayValue, parts.count == 1 { stage = parts[0] }
        guard Self.kind(stage) == "ByteLevel" else { throw unsupported("has a decoder of the kind \(quoted(Self.kind(stage)))") }
    }

    // MARK: stages after the model

    private mutating func readPostProcessor(_ stage: JSONValue, depth: Int) throws(FormatError) {
        switch Self.kind(stage) {
        case "ByteLevel": break  // moves offsets, not ids
        case "TemplateProcessing": try readTemplate(stage)
        case "Sequence":
            guard let parts = stage["processors"]?.arrayValue, depth < 8 else {
                throw malformed("has a post_processor Sequence without parts")
            }
            for part in parts { try readPostProcessor(part, depth: depth + 1) }
        case let other: throw unsupported("has a post_processor of the kind \(quoted(other))")
        }
    }

    /// The `single` template: tokens before and after the text, which must occur exactly once.
    private mutating func readTemplate(_ stage: JSONValue) throws(FormatError) {
        guard let template = stage["single"]?.arrayValue else { throw malformed("has a TemplateProcessing without a template") }
        var before: [UInt32] = []
        var after: [UInt32] = []
        var hasText = false
        for piece in template {
            if let sequence = piece["Sequence"] {
                guard sequence["id"]?.stringValue == "A", !hasText else {
                    throw malformed("has a template that does not hold its text once")
                }
                hasText = true
            } else if let name = piece["SpecialToken"]?["id"]?.stringValue {
                let ids = try templateTokens(name, stage)
                if hasText { after += ids } else { before += ids }
            } else {
                throw malformed("has a template piece that is neither Sequence nor SpecialToken")
            }
        }
        guard hasText else { throw malformed("has a template that does not hold its text once") }
        prefix = before + prefix
        suffix += after
    }

    private func templateTokens(_ name: String, _ stage: JSONValue) throws(FormatError) -> [UInt32] {
        guard let listed = stage["special_tokens"]?[name]?["ids"]?.arrayValue, listed.count <= 64 else {
            throw malformed("has a template with the token \(quoted(name)) but no ids for it")
        }
        var ids: [UInt32] = []
        for value in listed {
            guard let id = value.intValue.flatMap({ UInt32(exactly: $0) }), table.text(of: id) != nil else {
                throw malformed("has a template with the token \(quoted(name)) whose id is not in the vocabulary")
            }
            ids.append(id)
        }
        return ids
    }
}
