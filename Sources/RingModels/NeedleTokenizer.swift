// The tokenizer of the needle model: a small byte-level vocabulary learned from the embedded prose, then one token per mark, key
// and value. Ordinary text of any kind can be encoded; only needle prompts use the rest.

import RingFormats

/// Makes the tokenizer of a needle model. The seed has no part in it: all needle models read text alike.
package enum NeedleTokenizer {
    /// Merges learned beyond the 256 bytes. More would shorten prompts further (about 3.2 characters a token now) and make
    /// both vocabulary matrices taller: 1,317 rows are 1 MB each in f32.
    package static let mergeCount = 576

    /// The definition and the ids that follow from it.
    package static func make() -> (definition: TokenizerDefinition, vocabulary: NeedleVocabulary) {
        let model = BytePairTrainer.train(on: HaystackProse.all, merges: mergeCount, style: .gpt2)
        let added = NeedleVocabulary.addedTexts.map { text in
            AddedToken(text, special: NeedleVocabulary.specialMarks.contains(text))
        }
        let definition = TokenizerDefinition(model: model, style: .gpt2, addedTokens: added)
        return (definition, NeedleVocabulary(pieceCount: 256 + model.merges.count))
    }

    /// tokenizer_config.json, for libraries that want to know the special tokens by role.
    package static func configuration(maximumPositions: Int) -> JSONValue {
        .object([
            "tokenizer_class": .string("PreTrainedTokenizerFast"),
            "bos_token": .string("<begin>"),
            "eos_token": .string("<end>"),
            "pad_token": .string("<pad>"),
            "clean_up_tokenization_spaces": .bool(false),
            "model_max_length": .integer(Int64(maximumPositions)),
        ])
    }
}
