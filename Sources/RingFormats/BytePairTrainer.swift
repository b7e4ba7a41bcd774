// A small byte-pair trainer for generated demonstration models: the plain algorithm of Sennrich et al. 2016 (arXiv:1508.07909) over word
// counts, with counts kept up to date instead of recomputed. The same text gives the same merges on every machine: ties go to the pair
// of lower ids, and no result depends on the order of a hash table.

/// Trains byte-level byte-pair models.
public enum BytePairTrainer {
    /// Up to `count` merges learnt from a text that is cut into words in the given style. Fewer if no pair occurs twice any more.
    public static func train(on text: String, merges count: Int, style: PreTokenizerStyle) -> BytePairModel {
        var state = TrainerState(words: words(of: text, style))
        var merges: [BytePairModel.Merge] = []
        while merges.count < count, let pair = state.takeBestPair() {
            let left = UInt32(truncatingIfNeeded: pair >> 32)
            let right = UInt32(truncatingIfNeeded: pair)
            guard state.defineToken(left, right) else { continue }
            state.apply(left, right, merged: UInt32(256 + merges.count))
            merges.append(.init(left: left, right: right))
        }
        return BytePairModel(merges: merges)
    }

    /// The distinct words in the order of their first occurrence, and how often each occurs.
    private static func words(of text: String, _ style: PreTokenizerStyle) -> [(symbols: [UInt32], count: Int)] {
        let bytes = Array(text.utf8)
        let classes = characterClasses
        var table = ByteStringTable()
        var words: [(symbols: [UInt32], count: Int)] = []
        var start = 0
        while start < bytes.count {
            let end = style.scanner.wordEnd(bytes, from: start, to: bytes.count, classes: classes)
            if let known = table.value(of: bytes, start..<end) {
                words[Int(known)].count += 1
            } else {
                table.insert(bytes, start..<end, UInt32(words.count))
                words.append((bytes[start..<end].map(UInt32.init), 1))
            }
            start = end
        }
        return words
    }
}

private struct TrainerState {
    private var words: [(symbols: [UInt32], count: Int)]
    private var pairCounts: [UInt64: Int] = [:]
    private var pairWords: [UInt64: [Int32]] = [:]  // words that hold or once held the pair
    private var heap: [(count: Int, pair: UInt64)] = []
    private var pieces = (0..<256).map { [UInt8($0)] }
    private var known = ByteStringTable()

    init(words: [(symbols: [UInt32], count: Int)]) {
        self.words = words
        var pairs: [UInt64] = []
        for index in words.indices { countPairs(of: index, sign: 1, touched: &pairs) }
        for pair in pairs { push(pair) }
    }

    private static func key(_ left: UInt32, _ right: UInt32) -> UInt64 { UInt64(left) << 32 | UInt64(right) }

    private mutating func countPairs(of index: Int, sign: Int, touched: inout [UInt64]) {
        let (symbols, count) = words[index]
        for position in symbols.indices.dropLast() {
            let pair = Self.key(symbols[position], symbols[position + 1])
            pairCounts[pair, default: 0] += sign * count
            touched.append(pair)
            if sign > 0, pairWords[pair]?.last != Int32(index) { pairWords[pair, default: []].append(Int32(index)) }
        }
    }

    /// The most frequent pair; pairs whose count has changed since they were queued are queued again under their present count.
    mutating func takeBestPair() -> UInt64? {
        while let (count, pair) = pop() {
            let present = pairCounts[pair] ?? 0
            if present == count { return count >= 2 ? pair : nil }
            if present > 0, present < count { push(pair) }
        }
        return nil
    }

    /// Makes the union of two tokens a token; false if another pair made the same bytes already.
    mutating func defineToken(_ left: UInt32, _ right: UInt32) -> Bool {
        let piece = pieces[Int(left)] + pieces[Int(right)]
        guard known.insert(piece, 0..<piece.count, UInt32(pieces.count)) else { return false }
        pieces.append(piece)
        return true
    }

    mutating func apply(_ left: UInt32, _ right: UInt32, merged: UInt32) {
        let pair = Self.key(left, right)
        var touched: [UInt64] = []
        for index in (pairWords.removeValue(forKey: pair) ?? []).map(Int.init) {
            var symbols: [UInt32] = []
            for symbol in words[index].symbols {
                // A merged symbol never equals `left`, so runs pair up from the left as they do in encoding.
                if symbol == right, symbols.last == left {
                    symbols[symbols.count - 1] = merged
                } else {
                    symbols.append(symbol)
                }
            }
            guard symbols.count < words[index].symbols.count else { continue }
            countPairs(of: index, sign: -1, touched: &touched)
            words[index].symbols = symbols
            countPairs(of: index, sign: 1, touched: &touched)
        }
        pairCounts[pair] = 0
        touched.sort()
        var previous: UInt64?
        for pair in touched where pair != previous {
            push(pair)
            previous = pair
        }
    }

    // MARK: a binary heap of (count, pair): highest count first, then the lower pair

    private static func precedes(_ one: (count: Int, pair: UInt64), _ other: (count: Int, pair: UInt64)) -> Bool {
        one.count != other.count ? one.count > other.count : one.pair < other.pair
    }

    private mutating func push(_ pair: UInt64) {
        guard let count = pairCounts[pair], count > 0 else { return }
        var index = heap.count
        heap.append((count, pair))
        while index > 0, Self.precedes(heap[index], heap[(index - 1) / 2]) {
            heap.swapAt(index, (index - 1) / 2)
            index = (index - 1) / 2
        }
    }

    private mutating func pop() -> (count: Int, pair: UInt64)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return first }
        heap[0] = last
        var index = 0
        while true {
            var best = index
            for child in [2 * index + 1, 2 * index + 2] where child < heap.count && Self.precedes(heap[child], heap[best]) { best = child }
            guard best != index else { return first }
            heap.swapAt(index, best)
            index = best
        }
    }
}
