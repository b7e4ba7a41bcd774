// Which keys a query may see, as a value: packed documents, and a rule inside each. Every query sees at most two runs of keys, and
// neither end of either ever falls from one query to the next; that is all that the questions below rest on, so that each is
// answered exactly, for ranges of any size, with a few binary searches. Counting is in Mask+Pairs.swift.

/// Why no mask could be made.
public enum MaskError: Error, Hashable, Sendable, CustomStringConvertible {
    /// A length of the rule is not one that can be meant.
    case rule(String)
    /// The documents do not tile the context.
    case documents(String)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .rule(let why), .documents(let why): why
        }
    }
}

/// The visible (query, key) pairs of a context.
public struct Mask: Hashable, Sendable, CustomStringConvertible {
    /// What a query sees of its own document, whose first token is at `d`.
    public enum Rule: Hashable, Sendable {
        /// Keys at or before its own position.
        case causal
        /// Every key.
        case full
        /// The last `size` keys up to its own, and the first `sinks` of the document, none of them after its own.
        case window(size: Int, sinks: Int)
        /// Keys at or before its own position, and all of the document's first `length`.
        case prefix(length: Int)
        /// Keys at or before its own position in the same run of `length` tokens, counted from the document's start.
        case chunked(length: Int)
    }

    /// The runs of keys that one query sees: disjoint, ascending, not touching, the first often empty.
    public struct Runs: Hashable, Sendable {
        /// The document's first keys, where the window has moved on from them.
        public let sinks: Range<Int>
        /// The keys round the query itself; never empty.
        public let main: Range<Int>
    }

    /// Keys at or before the query's position.
    public static let causal = Mask(rule: .causal, edges: nil)
    /// Every key.
    public static let full = Mask(rule: .full, edges: nil)

    /// What a query sees of its document.
    public let rule: Rule
    /// Where documents begin, and where the last ends; `nil` is one document of any length.
    let edges: [Int]?

    private init(rule: Rule, edges: [Int]?) {
        self.rule = rule
        self.edges = edges
    }

    /// The mask of `rule` inside each of `documents`, lengths that add up to `tokens`; `nil` is a single document.
    public init(_ rule: Rule, documents: [Int]? = nil, tokens: Int) throws(MaskError) {
        try Self.check(rule)
        guard let documents else {
            self.init(rule: rule, edges: nil)
            return
        }
        guard !documents.isEmpty else { throw .documents("documents are named by their lengths, got none") }
        var edges = [0]
        edges.reserveCapacity(documents.count + 1)
        for (place, length) in documents.enumerated() {
            guard length >= 1 else { throw .documents("a document has at least 1 token, number \(place + 1) has \(length)") }
            let end = edges[place]
            guard length <= tokens - end else {
                throw .documents("the documents are longer than the context of \(tokens) tokens: number \(place + 1) begins at \(end)")
            }
            edges.append(end + length)
        }
        guard edges[documents.count] == tokens else {
            throw .documents("the documents have \(edges[documents.count]) tokens together, the context \(tokens)")
        }
        self.init(rule: rule, edges: edges)
    }

    private static func check(_ rule: Rule) throws(MaskError) {
        func bounded(_ name: String, _ value: Int, least: Int) throws(MaskError) {
            guard value >= least, value <= Limits.tokens else {
                throw .rule("\(name) is \(least) to \(Limits.tokens) tokens, got \(value)")
            }
        }
        switch rule {
        case .causal, .full: break
        case .window(let size, let sinks):
            try bounded("a window", size, least: 1)
            try bounded("a window's sinks", sinks, least: 0)
        case .prefix(let length): try bounded("a prefix", length, least: 1)
        case .chunked(let length): try bounded("a chunk of attention", length, least: 1)
        }
    }

    /// The lengths of the documents; `nil` where there is but one, of any length.
    public var documents: [Int]? { edges.map { edges in zip(edges, edges.dropFirst()).map { $1 - $0 } } }

    /// `causal`, `window 4096 + 4 sinks, 12 documents`.
    public var description: String {
        let text =
            switch rule {
            case .causal: "causal"
            case .full: "full"
            case .window(let size, let sinks): sinks > 0 ? "window \(size) + \(sinks) sinks" : "window \(size)"
            case .prefix(let length): "prefix \(length)"
            case .chunked(let length): "chunks of \(length)"
            }
        return edges.map { "\(text), \($0.count - 1) documents" } ?? text
    }

    /// Whether this is the causal mask over a single document, for which kernels and plans have a way of their own.
    public var isPlainCausal: Bool { rule == .causal && edges == nil }
    /// Whether every query sees every key.
    public var isFull: Bool { rule == .full && edges == nil }

    /// The document that holds `position`, O(log documents).
    func document(of position: Int) -> Range<Int> {
        guard let edges else { return 0..<Limits.tokens }
        let place = documentIndex(of: position, edges)
        return edges[place]..<edges[place + 1]
    }

    func documentIndex(of position: Int, _ edges: [Int]) -> Int {
        precondition(position >= 0 && position < edges[edges.count - 1], "position \(position) is outside the documents")
        return Self.first(in: 0..<edges.count) { edges[$0] > position } - 1
    }

    /// What the query at `position` sees. From one query to the next no end of either run falls.
    public func runs(of position: Int) -> Runs {
        let document = document(of: position)
        let (start, here) = (document.lowerBound, position + 1)
        switch rule {
        case .causal: return Runs(sinks: start..<start, main: start..<here)
        case .full: return Runs(sinks: start..<start, main: document)
        case .window(let size, let sinks):
            let first = max(start, here - size)
            // Sinks that the window reaches are part of it.
            if first <= start + sinks { return Runs(sinks: start..<start, main: start..<here) }
            return Runs(sinks: start..<start + sinks, main: first..<here)
        case .prefix(let length): return Runs(sinks: start..<start, main: start..<max(here, min(start + length, document.upperBound)))
        case .chunked(let length): return Runs(sinks: start..<start, main: start + (position - start) / length * length..<here)
        }
    }

    /// Whether rows can see a run of sinks apart from their main run.
    public var hasSinks: Bool {
        if case .window(_, let sinks) = rule { return sinks > 0 }
        return false
    }

    /// How much of `keys` is visible to `queries`, exactly. Empty ranges see nothing.
    public func visibility(of keys: Range<Int>, to queries: Range<Int>) -> Visibility {
        if span(of: keys, seenBy: queries).isEmpty { return .none }
        return isWholly(visible: keys, to: queries) ? .all : .partial
    }

    /// The keys from the first to the last of `keys` that some query of `queries` sees; empty if none does. Keys between may be unseen.
    public func span(of keys: Range<Int>, seenBy queries: Range<Int>) -> Range<Int> {
        let nothing = keys.lowerBound..<keys.lowerBound
        if keys.isEmpty || queries.isEmpty { return nothing }
        let main = span(of: keys, seenBy: queries) { runs(of: $0).main } ?? nothing
        // Where the sinks of a query are empty, its main run begins at the same key, so that the union is exact.
        guard hasSinks, let sinks = span(of: keys, seenBy: queries, run: { runs(of: $0).sinks }), !sinks.isEmpty else { return main }
        return main.isEmpty ? sinks : min(main.lowerBound, sinks.lowerBound)..<max(main.upperBound, sinks.upperBound)
    }

    /// The keys of `keys` that some query of `queries` sees, exactly: at most two runs, ascending and not touching.
    func runs(of keys: Range<Int>, seenBy queries: Range<Int>) -> [Range<Int>] {
        if keys.isEmpty || queries.isEmpty { return [] }
        // From one query to the next the main run goes on where it was, or begins where it ended: together they are one run.
        let main = span(of: keys, seenBy: queries) { runs(of: $0).main }.flatMap { $0.isEmpty ? nil : $0 }
        guard hasSinks else { return main.map { [$0] } ?? [] }
        // Queries of a later document begin at its first key, so that its sinks lie in their main runs.
        let first = queries.clamped(to: document(of: queries.lowerBound))
        let sinks = span(of: keys, seenBy: first) { runs(of: $0).sinks }.flatMap { $0.isEmpty ? nil : $0 }
        guard let main, let sinks else { return [main ?? sinks].compactMap { $0 } }
        return sinks.upperBound < main.lowerBound ? [sinks, main] : [min(sinks.lowerBound, main.lowerBound)..<main.upperBound]
    }

    private func span(of keys: Range<Int>, seenBy queries: Range<Int>, run: (Int) -> Range<Int>) -> Range<Int>? {
        let first = Self.first(in: queries) { run($0).upperBound > keys.lowerBound }
        let end = Self.first(in: queries) { run($0).lowerBound >= keys.upperBound }
        guard first < end else { return nil }
        return max(keys.lowerBound, run(first).lowerBound)..<min(keys.upperBound, run(end - 1).upperBound)
    }

    /// The queries for which one run holds all keys are a range, since its ends never fall; all see all iff the two ranges cover them.
    private func isWholly(visible keys: Range<Int>, to queries: Range<Int>) -> Bool {
        func covered(_ run: (Int) -> Range<Int>) -> Range<Int> {
            let first = Self.first(in: queries) { run($0).upperBound >= keys.upperBound }
            return first..<max(first, Self.first(in: queries) { run($0).lowerBound > keys.lowerBound })
        }
        let main = covered { runs(of: $0).main }
        if main == queries { return true }
        guard hasSinks else { return false }
        let sinks = covered { runs(of: $0).sinks }
        let (one, other) = main.lowerBound <= sinks.lowerBound ? (main, sinks) : (sinks, main)
        return one.lowerBound == queries.lowerBound && other.lowerBound <= one.upperBound
            && max(one.upperBound, other.upperBound) == queries.upperBound
    }

    /// The first of `range` that is `true`, or its end; `isTrue` must not go back to false.
    static func first(in range: Range<Int>, where isTrue: (Int) -> Bool) -> Int {
        var (low, high) = (range.lowerBound, range.upperBound)
        while low < high {
            let middle = low + (high - low) / 2
            if isTrue(middle) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
