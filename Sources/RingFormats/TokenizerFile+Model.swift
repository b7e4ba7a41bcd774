// The model part of tokenizer.json: vocabulary, merges, added tokens.

extension TokenizerFile {
    mutating func readModel(_ model: ConfigFields) throws(FormatError) {
        // Old files leave the type out; then only BPE has merges.
        let kind = try model.string("type") ?? (model.contains("merges") ? "BPE" : "none")
        guard kind == "BPE" else { throw unsupported("has a model of the kind \(quoted(kind))") }
        if try model.flag("byte_fallback", default: false) { throw unsupported("is a BPE model with byte_fallback (SentencePiece)") }
        for key in ["continuing_subword_prefix", "end_of_word_suffix", "unk_token"] where try model.string(key) ?? "" != "" {
            throw unsupported("is a BPE model with \(key)")
        }
        if try model.optionalNumber("dropout", in: 0...1) ?? 0 != 0 { throw unsupported("is a BPE model with dropout") }
        guard let entries = model["vocab"]?.objectValue else { throw model.wrong("vocab", model["vocab"], "an object of tokens and ids") }
        table.reserve(entries.count)
        for (text, value) in entries {
            guard let id = value.intValue, (0..<Limits.vocabulary).contains(id) else {
                throw malformed("gives the token \(quoted(text)) no id from 0 to \(Limits.vocabulary - 1)")
            }
            guard text.utf8.count <= Limits.tokenBytes * 2 else { throw malformed("has a token of \(text.utf8.count) bytes") }
            guard table.add(text, id: UInt32(id)) else { throw malformed("has two tokens with the id \(id)") }
        }
        try readByteTokens()
        try readMerges(model)
        if try model.flag("ignore_merges", default: false) {
            var words = ByteStringTable(capacity: entries.count)
            for (text, value) in entries {
                guard let bytes = ByteAlphabet.bytes(of: text), !bytes.isEmpty, let id = value.intValue else { continue }
                words.insert(bytes, 0..<bytes.count, UInt32(id))
            }
            vocabulary.wholeWords = words
        }
    }

    /// Every byte that occurs in UTF-8 must be a token, or some text would silently lose characters.
    private mutating func readByteTokens() throws(FormatError) {
        for byte in UInt8.min...UInt8.max {
            let text = String(ByteAlphabet.scalar(of: byte))
            let id = table.id(of: text)
            let canOccur = byte != 0xC0 && byte != 0xC1 && byte < 0xF5
            if id == nil, canOccur {
                throw unsupported("has no token for the byte 0x\(String(byte, radix: 16)), so it is no byte-level model")
            }
            vocabulary.byteTokens.append(id ?? BytePairVocabulary.noToken)
        }
    }

    private mutating func readMerges(_ model: ConfigFields) throws(FormatError) {
        guard let list = model["merges"]?.arrayValue else { throw model.wrong("merges", model["merges"], "a list of pairs") }
        guard list.count <= Limits.vocabulary else {
            throw FormatError.tooLarge("\(file) has \(list.count) merges: at most \(Limits.vocabulary) are read")
        }
        var merges = MergeTable(capacity: list.count)
        var rank: UInt32 = 0
        for entry in list {
            if let text = entry.stringValue, text.hasPrefix("#version") { continue }
            guard let (left, right) = Self.pair(entry) else {
                throw malformed("has a merge (number \(rank)) that is no pair of tokens")
            }
            guard let leftID = table.id(of: left), let rightID = table.id(of: right), let merged = table.id(of: left + right) else {
                throw malformed("merges \(quoted(left)) and \(quoted(right)), but they or their union are not in the vocabulary")
            }
            merges.insert(left: leftID, right: rightID, rank: rank, merged: merged)
            rank += 1
        }
        vocabulary.merges = merges
    }

    /// A merge is `["a", "b"]`, in older files `"a b"`.
    private static func pair(_ entry: JSONValue) -> (String, String)? {
        switch entry {
        case .array(let parts):
            guard parts.count == 2, let left = parts[0].stringValue, let right = parts[1].stringValue else { return nil }
            return (left, right)
        case .string(let text):
            let bytes = text.utf8
            guard let space = bytes.firstIndex(of: 0x20), let left = String(bytes[..<space]),
                let right = String(bytes[bytes.index(after: space)...]), !right.utf8.contains(0x20)
            else { return nil }
            return (left, right)
        default: return nil
        }
    }

    mutating func readAddedTokens(_ root: ConfigFields) throws(FormatError) {
        guard let list = root["added_tokens"] else { return }
        guard let entries = list.arrayValue else { throw root.wrong("added_tokens", list, "a list") }
        guard entries.count <= Limits.addedTokens else {
            throw FormatError.tooLarge("\(file) has \(entries.count) added tokens: at most \(Limits.addedTokens) are read")
        }
        var bytesLeft = Limits.addedTokenBytes
        for (index, entry) in entries.enumerated() {
            let fields = try ConfigFields(entry, file: file, prefix: "added_tokens[\(index)].")
            guard let content = try fields.string("content") else { throw fields.wrong("content", nil, "the text of the token") }
            let id = UInt32(try fields.integer("id", in: 0...Limits.vocabulary - 1))
            bytesLeft -= content.utf8.count
            guard content.utf8.count <= Limits.tokenBytes, bytesLeft >= 0 else {
                throw FormatError.tooLarge("\(file) has added tokens that are too long in all: \(Limits.addedTokenBytes) bytes are read")
            }
            let token = AddedToken(
                content, special: try fields.flag("special", default: false), normalized: try fields.flag("normalized", default: true),
                leftStrip: try fields.flag("lstrip", default: false), rightStrip: try fields.flag("rstrip", default: false),
                singleWord: try fields.flag("single_word", default: false))
            try add(token, id: id)
        }
    }

    private mutating func add(_ token: AddedToken, id: UInt32) throws(FormatError) {
        if let known = table.id(of: token.content) {
            guard known == id else { throw malformed("gives the token \(quoted(token.content)) the ids \(known) and \(id)") }
        } else {
            guard table.add(token.content, id: id) else {
                throw malformed("gives the id \(id) to \(quoted(token.content)) and to another token")
            }
        }
        if token.special { table.markSpecial(id) }
        var pattern = Array(token.content.utf8)
        if token.normalized, normalises { pattern = CanonicalComposition.normalise(pattern, 0..<pattern.count) ?? pattern }
        if token.normalized {
            normalisedMatcher.add(token, id: id, pattern: pattern)
        } else {
            rawMatcher.add(token, id: id, pattern: pattern)
        }
        table.setBytes(of: id, pattern)
    }
}
