// Tokens that stand outside the byte-pair model: they are found in the text as they are, before it is cut into words.

/// One added token with the flags of tokenizer.json.
public struct AddedToken: Hashable, Sendable {
    /// The text that the token stands for.
    public var content: String
    /// Special tokens structure a text and can be left out when it is decoded.
    public var special: Bool
    /// Whether the token is looked for after normalisation instead of before.
    public var normalized: Bool
    /// Whether white space before the token belongs to it.
    public var leftStrip: Bool
    /// Whether white space after the token belongs to it.
    public var rightStrip: Bool
    /// Whether the token counts only between characters that are no word characters.
    public var singleWord: Bool

    /// An added token.
    public init(
        _ content: String, special: Bool, normalized: Bool = false, leftStrip: Bool = false, rightStrip: Bool = false,
        singleWord: Bool = false
    ) {
        self.content = content
        self.special = special
        self.normalized = normalized
        self.leftStrip = leftStrip
        self.rightStrip = rightStrip
        self.singleWord = singleWord
    }
}

/// A part of a text: either an added token or text between such.
enum TextPart: Hashable, Sendable {
    case text(Range<Int>)
    case token(UInt32)
}

/// Finds added tokens in a text: leftmost first, and of those that begin at one place the longest.
struct AddedTokenMatcher: Sendable {
    /// A byte-wise trie with first-child and next-sibling links; node 0 is the root.
    private struct Node {
        var byte: UInt8
        var firstChild: Int32 = -1
        var nextSibling: Int32 = -1
        var token: Int32 = -1
    }

    private var nodes = [Node(byte: 0)]
    private var tokens: [(token: AddedToken, id: UInt32)] = []
    private var starts = [Bool](repeating: false, count: 256)

    var isEmpty: Bool { tokens.isEmpty }

    /// Adds a token whose text is `pattern` (its content, normalised if it is looked for in normalised text).
    mutating func add(_ token: AddedToken, id: UInt32, pattern: [UInt8]) {
        guard let first = pattern.first else { return }
        starts[Int(first)] = true
        var node = 0
        for byte in pattern { node = child(of: node, byte) ?? addChild(to: node, byte) }
        nodes[node].token = Int32(tokens.count)
        tokens.append((token, id))
    }

    private func child(of node: Int, _ byte: UInt8) -> Int? {
        var candidate = Int(nodes[node].firstChild)
        while candidate >= 0 {
            if nodes[candidate].byte == byte { return candidate }
            candidate = Int(nodes[candidate].nextSibling)
        }
        return nil
    }

    private mutating func addChild(to node: Int, _ byte: UInt8) -> Int {
        nodes.append(Node(byte: byte, nextSibling: nodes[node].firstChild))
        nodes[node].firstChild = Int32(nodes.count - 1)
        return nodes.count - 1
    }

    /// Cuts `bytes[range]`, valid UTF-8, into tokens and the text between them, as `AddedVocabulary::find_matches` of tokenizers does,
    /// stripping included: a token that takes the white space after it does not hide a token that begins in that space.
    func parts(_ bytes: [UInt8], _ range: Range<Int>) -> [TextPart] {
        guard !range.isEmpty else { return [] }
        guard !tokens.isEmpty else { return [.text(range)] }
        var parts: [TextPart] = []
        var textStart = range.lowerBound
        var index = range.lowerBound
        while index < range.upperBound {
            guard starts[Int(bytes[index])], let match = match(bytes, index, range.upperBound) else {
                index += 1
                continue
            }
            index = match.end
            let token = tokens[match.token].token
            if token.singleWord, !standsAlone(bytes, match.start..<match.end, in: range) { continue }
            var start = match.start
            var end = match.end
            if token.leftStrip { start = max(spaceStart(bytes, before: start, from: range.lowerBound), textStart) }
            if token.rightStrip { end = spaceEnd(bytes, after: end, to: range.upperBound) }
            if textStart < start { parts.append(.text(textStart..<start)) }
            parts.append(.token(tokens[match.token].id))
            textStart = end
        }
        if textStart < range.upperBound { parts.append(.text(textStart..<range.upperBound)) }
        return parts
    }

    private func match(_ bytes: [UInt8], _ start: Int, _ end: Int) -> (start: Int, end: Int, token: Int)? {
        var found: (start: Int, end: Int, token: Int)?
        var node = 0
        var index = start
        while index < end, let next = child(of: node, bytes[index]) {
            node = next
            index += 1
            if nodes[node].token >= 0 { found = (start, index, Int(nodes[node].token)) }
        }
        return found
    }

    private func standsAlone(_ bytes: [UInt8], _ match: Range<Int>, in range: Range<Int>) -> Bool {
        func isWord(_ value: UInt32) -> Bool { Unicode.Scalar(value).map(isWordCharacter) ?? false }
        if match.lowerBound > range.lowerBound, isWord(scalarValue(bytes, before: match.lowerBound).value) { return false }
        if match.upperBound < range.upperBound, isWord(scalarValue(bytes, at: match.upperBound).value) { return false }
        return true
    }

    private func isSpace(_ value: UInt32) -> Bool { value < 0x40000 && characterClasses[Int(value)] == CharacterClass.space }

    private func spaceStart(_ bytes: [UInt8], before end: Int, from start: Int) -> Int {
        var index = end
        while index > start {
            let (value, length) = scalarValue(bytes, before: index)
            guard isSpace(value) else { break }
            index -= length
        }
        return index
    }

    private func spaceEnd(_ bytes: [UInt8], after start: Int, to end: Int) -> Int {
        var index = start
        while index < end {
            let (value, length) = scalarValue(bytes, at: index)
            guard isSpace(value) else { break }
            index += length
        }
        return index
    }
}
