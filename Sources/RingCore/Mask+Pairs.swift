// How many pairs are visible: what work costs, what balance means, and how far a pass has come. In closed form for each document
// that holds both queries and keys; two disjoint ranges have at most one in common.

extension Mask {
    /// Visible pairs of `queries` and `keys`, exactly. O(documents that lie in both).
    public func pairs(queries: Range<Int>, keys: Range<Int>) -> Int {
        if queries.isEmpty || keys.isEmpty { return 0 }
        guard let edges else { return pairs(queries: queries, keys: keys, documentEnd: Limits.tokens) }
        let first = documentIndex(of: max(queries.lowerBound, keys.lowerBound), edges)
        // The first document of the later range may reach back to the earlier one; none before it holds both.
        let last = documentIndex(of: min(queries.upperBound, keys.upperBound) - 1, edges)
        if last < first { return 0 }
        var sum = 0
        for place in first...last {
            let (start, end) = (edges[place], edges[place + 1])
            let (mine, theirs) = (queries.clamped(to: start..<end), keys.clamped(to: start..<end))
            if mine.isEmpty || theirs.isEmpty { continue }
            sum += pairs(
                queries: mine.lowerBound - start..<mine.upperBound - start, keys: theirs.lowerBound - start..<theirs.upperBound - start,
                documentEnd: end - start)
        }
        return sum
    }

    /// Inside one document, positions counted from its start.
    private func pairs(queries: Range<Int>, keys: Range<Int>, documentEnd: Int) -> Int {
        let before = Visibility.causalPairs(queries: queries, keys: keys)
        switch rule {
        case .causal: return before
        case .full: return queries.count * keys.count
        case .window(let size, let sinks):
            // Hidden again: what lies `size` or more behind the query and is no sink.
            let left = queries.lowerBound - size..<queries.upperBound - size
            return before - Visibility.causalPairs(queries: left, keys: keys.clamped(to: sinks..<max(sinks, documentEnd)))
        case .prefix(let length):
            let shared = keys.clamped(to: 0..<length)
            return before + queries.count * shared.count - Visibility.causalPairs(queries: queries, keys: shared)
        case .chunked(let length): return chunkedPairs(queries: queries, keys: keys, length: length)
        }
    }

    /// Runs of `length` that lie whole in both ranges have a triangle each; the few that do not are counted one by one.
    private func chunkedPairs(queries: Range<Int>, keys: Range<Int>, length: Int) -> Int {
        func pairs(ofRun run: Int) -> Int {
            let tokens = run * length..<(run + 1) * length
            return Visibility.causalPairs(queries: queries.clamped(to: tokens), keys: keys.clamped(to: tokens))
        }
        let first = max(queries.lowerBound, keys.lowerBound) / length
        let last = (min(queries.upperBound, keys.upperBound) - 1) / length
        if last < first { return 0 }
        // Both ranges may begin in the first run and end in the last, at different places; what is between is whole in both.
        if last - first < 2 { return (first...last).reduce(0) { $0 + pairs(ofRun: $1) } }
        return pairs(ofRun: first) + pairs(ofRun: last) + (last - first - 1) * (length * (length + 1) / 2)
    }
}
