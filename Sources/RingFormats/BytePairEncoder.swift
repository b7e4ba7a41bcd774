// Words to token ids: start from single bytes and merge the adjacent pair of lowest rank, leftmost first, until nothing merges
// (Sennrich et al. 2016, arXiv:1508.07909). Short words by repeated scans, which need no bookkeeping; long ones by a heap, so that a
// megabyte of one letter costs n log n. Words that come again are remembered for the length of one call.

/// What a byte-pair model consists of.
struct BytePairVocabulary: Sendable {
    /// Token of each single byte; `noToken` for bytes that cannot occur in UTF-8.
    var byteTokens: [UInt32]
    var merges: MergeTable
    /// Whole words that are tokens whatever the merges say (`ignore_merges`), empty without that flag.
    var wholeWords: ByteStringTable
    static let noToken = UInt32.max
}

struct BytePairEncoder {
    private let vocabulary: BytePairVocabulary
    private var cache = ByteStringTable()
    private var cachedTokens: [UInt32] = []
    private var cachedEnds: [Int] = [0]
    private var symbols: [UInt32] = []
    private var results: [UInt64] = []
    private static let scanLimit = 48

    init(_ vocabulary: BytePairVocabulary) { self.vocabulary = vocabulary }

    /// Appends the tokens of the word `bytes[range]`.
    mutating func append(_ bytes: [UInt8], _ range: Range<Int>, to tokens: inout [UInt32]) {
        let isCacheable = range.count <= Limits.cachedWordBytes
        if isCacheable, let entry = cache.value(of: bytes, range) {
            for index in cachedEnds[Int(entry)]..<cachedEnds[Int(entry) + 1] { tokens.append(cachedTokens[index]) }
            return
        }
        let start = tokens.count
        encode(bytes, range, to: &tokens)
        guard isCacheable, cache.count < Limits.cachedWords else { return }
        cache.insert(bytes, range, UInt32(cache.count))
        cachedTokens.append(contentsOf: tokens[start...])
        cachedEnds.append(cachedTokens.count)
    }

    private mutating func encode(_ bytes: [UInt8], _ range: Range<Int>, to tokens: inout [UInt32]) {
        if vocabulary.wholeWords.count > 0, let whole = vocabulary.wholeWords.value(of: bytes, range) {
            tokens.append(whole)
            return
        }
        symbols.removeAll(keepingCapacity: true)
        for index in range { symbols.append(vocabulary.byteTokens[Int(bytes[index])]) }
        if symbols.count <= Self.scanLimit {
            mergeByScanning()
            tokens.append(contentsOf: symbols)
        } else {
            mergeByHeap(&tokens)
        }
    }

    private mutating func mergeByScanning() {
        results.removeAll(keepingCapacity: true)
        for index in symbols.indices.dropLast() { results.append(vocabulary.merges.result(symbols[index], symbols[index + 1])) }
        while true {
            var best = MergeTable.none
            var position = 0
            // Ranks are unique per pair, so the first of equal results is the leftmost occurrence of the pair.
            for index in results.indices where results[index] < best {
                best = results[index]
                position = index
            }
            guard best != MergeTable.none else { return }
            symbols[position] = UInt32(truncatingIfNeeded: best)
            symbols.remove(at: position + 1)
            results.remove(at: position)
            if position < results.count { results[position] = vocabulary.merges.result(symbols[position], symbols[position + 1]) }
            if position > 0 { results[position - 1] = vocabulary.merges.result(symbols[position - 1], symbols[position]) }
        }
    }

    /// A doubly linked list over `symbols` and a heap of candidates (rank, position); candidates that no longer hold are skipped.
    private mutating func mergeByHeap(_ tokens: inout [UInt32]) {
        let count = symbols.count
        var next = (0..<count).map { $0 + 1 }  // `count` ends the list
        var previous = (0..<count).map { $0 - 1 }
        var heap = MergeHeap(capacity: count)
        let merges = vocabulary.merges
        for index in 0..<count - 1 {
            let result = merges.result(symbols[index], symbols[index + 1])
            if result != MergeTable.none { heap.push(.init(result: result, position: index)) }
        }
        while let candidate = heap.pop() {
            let position = candidate.position
            let right = next[position]
            // A swallowed symbol has `next` of -1; a pair that has changed since has another result.
            guard right >= 0, right < count, merges.result(symbols[position], symbols[right]) == candidate.result else { continue }
            symbols[position] = UInt32(truncatingIfNeeded: candidate.result)
            let after = next[right]
            next[position] = after
            next[right] = -1
            if after < count {
                previous[after] = position
                let result = merges.result(symbols[position], symbols[after])
                if result != MergeTable.none { heap.push(.init(result: result, position: position)) }
            }
            let before = previous[position]
            if before >= 0 {
                let result = merges.result(symbols[before], symbols[position])
                if result != MergeTable.none { heap.push(.init(result: result, position: before)) }
            }
        }
        var index = 0
        while index < count {
            tokens.append(symbols[index])
            index = next[index]
        }
    }
}

/// A binary heap of merge candidates: lowest rank first, then leftmost.
private struct MergeHeap {
    struct Candidate {
        var result: UInt64
        var position: Int

        func precedes(_ other: Candidate) -> Bool {
            result != other.result ? result < other.result : position < other.position
        }
    }

    private var items: [Candidate] = []

    init(capacity: Int) { items.reserveCapacity(capacity) }

    mutating func push(_ item: Candidate) {
        var index = items.count
        items.append(item)
        while index > 0 {
            let parent = (index - 1) / 2
            guard item.precedes(items[parent]) else { break }
            items[index] = items[parent]
            index = parent
        }
        items[index] = item
    }

    mutating func pop() -> Candidate? {
        guard let first = items.first, let last = items.popLast() else { return nil }
        guard !items.isEmpty else { return first }
        var index = 0
        while true {
            var child = 2 * index + 1
            guard child < items.count else { break }
            if child + 1 < items.count, items[child + 1].precedes(items[child]) { child += 1 }
            guard items[child].precedes(last) else { break }
            items[index] = items[child]
            index = child
        }
        items[index] = last
        return first
    }
}
