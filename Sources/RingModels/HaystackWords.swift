// The hay: texts cut into words that may be put one after another, or end anywhere, without any word's token ids changing. That
// is what lets a prompt have an exact number of tokens and a fact an exact position, and still be plain text.

import RingFormats

/// A word with the white space before it, and its token ids.
package struct HaystackWord: Sendable {
    /// ` word` or, at the beginning of a paragraph, a line break and the word.
    package let text: String
    /// What the tokenizer makes of it, whatever stands before or after.
    package let ids: [UInt32]
}

/// The words of some texts, paragraph by paragraph.
package struct HaystackWords: Sendable {
    /// Longer runs are cut: a text without spaces must not become one word of a thousand tokens.
    package static let scalarsPerWord = 24

    /// Each different word once.
    package private(set) var words: [HaystackWord] = []
    /// For each paragraph the numbers of its words.
    package private(set) var paragraphs: [[Int]] = []
    /// Words of a single token, with which any gap can be filled.
    package private(set) var short: [Int] = []
    private var numbers: [String: Int?] = [:]

    /// The words of `texts`. Words that contain one of the model's own tokens (a text about needle models may) are left out.
    package init(_ texts: [String], tokenizer: Tokenizer, vocabulary: NeedleVocabulary) throws(NeedleError) {
        for text in texts { add(text, tokenizer, vocabulary) }
        if paragraphs.isEmpty { throw .request("the given texts hold no words: give a text with some prose in it, or none at all") }
        if short.isEmpty {
            // A text in a script that the vocabulary never saw: fill gaps with words that it did see.
            let known = paragraphs
            add(HaystackProse.project, tokenizer, vocabulary)
            paragraphs = known
        }
        if short.isEmpty { throw .notNeedle("the tokenizer knows no word as one token: make the model again") }
        numbers = [:]
    }

    /// Words are separated by exactly one space or line break. Under the GPT-2 pattern white space always begins a new piece, a
    /// single white space never joins the piece before it, and so the ids of a row of words are those of its parts.
    private mutating func add(_ text: String, _ tokenizer: Tokenizer, _ vocabulary: NeedleVocabulary) {
        var paragraph: [Int] = []
        // The empty line at the end closes the last paragraph.
        let lines: [Substring] = text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline) + [Substring()]
        for line in lines {
            let runs = line.unicodeScalars.split { $0.properties.isWhitespace }
            if runs.isEmpty && !paragraph.isEmpty {
                paragraphs.append(paragraph)
                paragraph = []
            }
            for run in runs {
                for piece in Self.pieces(of: run) {
                    let word = (paragraph.isEmpty ? "\n" : " ") + piece
                    if let number = number(of: word, tokenizer, vocabulary) { paragraph.append(number) }
                }
            }
        }
    }

    private static func pieces(of run: Substring.UnicodeScalarView) -> [String] {
        var pieces: [String] = []
        var rest = run
        while !rest.isEmpty {
            pieces.append(String(rest.prefix(scalarsPerWord)))
            rest = rest.dropFirst(scalarsPerWord)
        }
        return pieces
    }

    private mutating func number(of word: String, _ tokenizer: Tokenizer, _ vocabulary: NeedleVocabulary) -> Int? {
        if let known = numbers[word] { return known }
        let ids = tokenizer.encode(word, addSpecialTokens: false)
        guard !ids.isEmpty, ids.allSatisfy({ $0 < vocabulary.pieceCount }) else {
            numbers[word] = .some(nil)
            return nil
        }
        numbers[word] = words.count
        if ids.count == 1 { short.append(words.count) }
        words.append(HaystackWord(text: word, ids: ids))
        return words.count - 1
    }
}

/// Endless hay: all paragraphs in random order, then all of them again in another.
package struct HaystackStream: Sendable {
    private let source: HaystackWords
    private var random: NeedleRandom
    private var order: [Int] = []
    private var place = 0
    private var word = 0

    /// The hay of `seed`.
    package init(_ source: HaystackWords, seed: UInt64) {
        self.source = source
        random = NeedleRandom(seed: seed, stream: .paragraphs)
    }

    /// The word that comes next; it stays until `advance()`.
    package mutating func peek() -> HaystackWord {
        if place == order.count {
            order = random.shuffled(Array(source.paragraphs.indices))
            place = 0
        }
        return source.words[source.paragraphs[order[place]][word]]
    }

    /// Goes on to the next word.
    package mutating func advance() {
        word += 1
        if word == source.paragraphs[order[place]].count { (place, word) = (place + 1, 0) }
    }
}
