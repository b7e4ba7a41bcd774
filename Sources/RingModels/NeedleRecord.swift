// needle.json: what a haystack must know of its model without reading weights. The permutation could be read off the
// feed-forward, but a file that says it makes prompts checkable by hand.

import RingFormats

/// The secret of a written needle model and the way to its tokens.
package struct NeedleRecord: Sendable {
    /// Name of the file in the model's folder.
    package static let fileName = "needle.json"
    private static let format = "ringmaster-needle-1"

    /// The seed that the model was made from.
    package let seed: UInt64
    /// The permutation of the feed-forward.
    package let secret: NeedleSecret
    /// The ids.
    package let vocabulary: NeedleVocabulary

    /// The record of the model of `seed`.
    package init(seed: UInt64, vocabulary: NeedleVocabulary) {
        self.seed = seed
        self.vocabulary = vocabulary
        secret = NeedleSecret(seed: seed)
    }

    /// Reads `folder`/needle.json. A folder without it is no needle model; one with a damaged file is an error of its own.
    package init(folder: String, tokenizer: Tokenizer) throws(NeedleError) {
        let path = folder + "/" + Self.fileName
        let advice = "make one with `ringmaster model make-needle --output DIR`"
        let json: JSONValue
        do {
            json = try JSONValue(path: path)
        } catch .unreadable {
            throw .notNeedle("\(folder) holds no needle model (\(Self.fileName) cannot be read): \(advice)")
        } catch {
            throw .format(error)
        }
        func numbers(_ key: String) -> [Int] { json[key]?.arrayValue?.compactMap(\.intValue) ?? [] }
        guard json["format"]?.stringValue == Self.format, let seed = json["seed"]?.stringValue.flatMap({ UInt64($0) }),
            let secret = NeedleSecret(high: numbers("high_digit_images"), low: numbers("low_digit_images")),
            let pieceCount = json["piece_count"]?.intValue
        else { throw .notNeedle("\(path) is not a record of a needle model: \(advice)") }
        self.seed = seed
        self.secret = secret
        vocabulary = NeedleVocabulary(pieceCount: pieceCount)
        // A tokenizer of another model would encode the facts to something else, and every answer would be wrong.
        for (offset, text) in NeedleVocabulary.addedTexts.enumerated() where tokenizer.id(of: text) != UInt32(pieceCount + offset) {
            throw .notNeedle("tokenizer.json in \(folder) does not give \(text) the id \(pieceCount + offset): \(advice)")
        }
    }

    /// The content of the file.
    package func json() -> JSONValue {
        .object([
            "format": .string(Self.format),
            // A string, because a seed may exceed what JSON readers take for an integer.
            "seed": .string(String(seed)),
            "piece_count": .integer(Int64(vocabulary.pieceCount)),
            "high_digit_images": .array(secret.high.map { .integer(Int64($0)) }),
            "low_digit_images": .array(secret.low.map { .integer(Int64($0)) }),
        ])
    }
}
