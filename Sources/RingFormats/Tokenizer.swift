// Text to token ids and back, for byte-level byte-pair tokenizers in Hugging Face's tokenizer.json (GPT-2, Llama 3, Qwen). The stages and
// their order are those of the tokenizers library: added tokens, normalisation, words, merges, post-processing. Ids agree with it on every
// input; where that library has tables of an old Unicode version, so have we.

/// A byte-level byte-pair tokenizer. Immutable; may be used from any thread.
public final class Tokenizer: Sendable {
    let vocabulary: BytePairVocabulary
    let normalises: Bool
    let scanners: [WordScanner]
    let addsPrefixSpace: Bool
    let rawMatcher: AddedTokenMatcher
    let normalisedMatcher: AddedTokenMatcher
    let prefix: [UInt32]
    let suffix: [UInt32]
    let table: TokenTable

    /// Reads `tokenizer.json` of a model folder.
    public convenience init(folder: String) throws(FormatError) { try self.init(path: joined(folder, "tokenizer.json")) }

    /// Reads a tokenizer file.
    public convenience init(path: String) throws(FormatError) {
        try self.init(json: JSONValue(path: path, limit: Limits.tokenizerBytes), file: path)
    }

    /// Checks and takes over a tokenizer; `file` names it in errors.
    public init(json: JSONValue, file: String) throws(FormatError) {
        let definition = try TokenizerFile(json, file: file)
        vocabulary = definition.vocabulary
        normalises = definition.normalises
        scanners = definition.scanners
        addsPrefixSpace = definition.addsPrefixSpace
        rawMatcher = definition.rawMatcher
        normalisedMatcher = definition.normalisedMatcher
        prefix = definition.prefix
        suffix = definition.suffix
        table = definition.table
    }

    /// The highest token id plus one. A model may have more rows than that.
    public var vocabularySize: Int { table.texts.count }

    /// The ids of a text. Added tokens are recognised wherever they stand in it; `addSpecialTokens` puts what the tokenizer's
    /// post-processor asks for (usually a begin token) around it.
    public func encode(_ text: String, addSpecialTokens: Bool = true) -> [UInt32] {
        encode(valid: Array(text.utf8), addSpecialTokens)
    }

    /// The ids of a text in UTF-8. What is not valid UTF-8 counts as U+FFFD, one for each maximal part of a broken sequence.
    public func encode(_ bytes: [UInt8], addSpecialTokens: Bool = true) -> [UInt32] {
        encode(valid: Array(String(decoding: bytes, as: UTF8.self).utf8), addSpecialTokens)
    }

    private func encode(valid bytes: [UInt8], _ addSpecialTokens: Bool) -> [UInt32] {
        var ids: [UInt32] = addSpecialTokens ? prefix : []
        ids.reserveCapacity(bytes.count / 3 + 8)
        var encoder = BytePairEncoder(vocabulary)
        for part in rawMatcher.parts(bytes, 0..<bytes.count) {
            switch part {
            case .token(let id): ids.append(id)
            case .text(let range):
                if normalises, let normal = CanonicalComposition.normalise(bytes, range) {
                    encodeNormalised(normal, 0..<normal.count, &encoder, &ids)
                } else {
                    encodeNormalised(bytes, range, &encoder, &ids)
                }
            }
        }
        if addSpecialTokens { ids.append(contentsOf: suffix) }
        return ids
    }

    private func encodeNormalised(_ bytes: [UInt8], _ range: Range<Int>, _ encoder: inout BytePairEncoder, _ ids: inout [UInt32]) {
        for part in normalisedMatcher.parts(bytes, range) {
            switch part {
            case .token(let id): ids.append(id)
            case .text(let range):
                if addsPrefixSpace, bytes[range.lowerBound] != 0x20 {
                    let spaced = [0x20] + bytes[range]
                    encodeWords(spaced, 0..<spaced.count, &encoder, &ids)
                } else {
                    encodeWords(bytes, range, &encoder, &ids)
                }
            }
        }
    }

    private func encodeWords(_ bytes: [UInt8], _ range: Range<Int>, _ encoder: inout BytePairEncoder, _ ids: inout [UInt32]) {
        guard let scanner = scanners.first else {
            encoder.append(bytes, range, to: &ids)
            return
        }
        let classes = characterClasses
        var start = range.lowerBound
        while start < range.upperBound {
            let end = scanner.wordEnd(bytes, from: start, to: range.upperBound, classes: classes)
            if scanners.count == 1 {
                encoder.append(bytes, start..<end, to: &ids)
            } else {
                encodePieces(bytes, start..<end, scanners.dropFirst(), classes, &encoder, &ids)
            }
            start = end
        }
    }

    /// The second and later cuts, each inside the words of the one before.
    private func encodePieces(
        _ bytes: [UInt8], _ range: Range<Int>, _ scanners: ArraySlice<WordScanner>, _ classes: [UInt8],
        _ encoder: inout BytePairEncoder, _ ids: inout [UInt32]
    ) {
        guard let scanner = scanners.first else {
            encoder.append(bytes, range, to: &ids)
            return
        }
        var start = range.lowerBound
        while start < range.upperBound {
            let end = scanner.wordEnd(bytes, from: start, to: range.upperBound, classes: classes)
            encodePieces(bytes, start..<end, scanners.dropFirst(), classes, &encoder, &ids)
            start = end
        }
    }
}
