// Random masks, and what they mean: each rule again in the plainest way, one pair at a time, to judge the closed forms by.
import RingCore

/// A mask with the numbers that it was made of.
struct MaskCase: CustomStringConvertible {
    let mask: Mask
    let tokens: Int
    /// By position, where its document begins, and the first position behind it.
    private let starts: [Int], ends: [Int]

    var description: String { "\(tokens) tokens, \(mask.rule), documents \(mask.documents ?? [])" }

    init(_ rule: Mask.Rule, documents: [Int]?, tokens: Int) throws {
        mask = try Mask(rule, documents: documents, tokens: tokens)
        self.tokens = tokens
        var (starts, ends): ([Int], [Int]) = ([], [])
        for length in documents ?? [tokens] {
            let start = starts.count
            starts += Array(repeating: start, count: length)
            ends += Array(repeating: start + length, count: length)
        }
        (self.starts, self.ends) = (starts, ends)
    }

    /// A mask over `tokens` tokens: every rule, one document or up to 12.
    init(tokens: Int, using generator: inout SeededGenerator) throws {
        var lengths: [Int]?
        if Bool.random(using: &generator) {
            let cuts = (0..<Int.random(in: 0...11, using: &generator)).map { _ in Int.random(in: 0...tokens, using: &generator) }
            let edges = Array(Set(cuts + [0, tokens])).sorted()
            lengths = zip(edges, edges.dropFirst()).map { $1 - $0 }
        }
        let length = Int.random(in: 1...max(1, tokens * 3 / 2), using: &generator)
        let short = Int.random(in: 1...max(1, tokens / 4), using: &generator)
        let rules: [Mask.Rule] = [
            .causal, .full, .window(size: short, sinks: 0), .window(size: short, sinks: Int.random(in: 0...9, using: &generator)),
            .window(size: length, sinks: Int.random(in: 0...length, using: &generator)), .prefix(length: length), .prefix(length: short),
            .chunked(length: short), .chunked(length: length),
        ]
        try self.init(rules[Int.random(in: rules.indices, using: &generator)], documents: lengths, tokens: tokens)
    }

    /// Whether `query` sees `key`, by definition.
    func sees(_ query: Int, _ key: Int) -> Bool {
        let start = starts[query]
        if key < start || key >= ends[query] { return false }
        switch mask.rule {
        case .causal: return key <= query
        case .full: return true
        case .window(let size, let sinks): return key <= query && (key > query - size || key < start + sinks)
        case .prefix(let length): return key <= query || key < start + length
        case .chunked(let length): return key <= query && (key - start) / length == (query - start) / length
        }
    }
}

extension ShardPlan {
    /// A plan of any kind: a layout, or a table of random pieces that have been through random numbers of layers.
    static func random(tokens: Int, world: Int, using generator: inout SeededGenerator) throws -> ShardPlan {
        if Bool.random(using: &generator) {
            return try ShardPlan(Bool.random(using: &generator) ? .zigzag : .contiguous, tokens: tokens, over: WorldSize(world))
        }
        let cuts = (0..<Int.random(in: 0...3 * world, using: &generator)).map { _ in Int.random(in: 0...tokens, using: &generator) }
        let edges = Array(Set(cuts + [0, tokens])).sorted()
        var shares = [[Share]](repeating: [], count: world)
        for (start, end) in zip(edges, edges.dropFirst()) {
            let rank = Int.random(in: 0..<world, using: &generator)
            shares[rank].append(Share(start: start, length: end - start, layers: Int.random(in: 0...1, using: &generator)))
        }
        return try ShardPlan(shares: shares, tokens: tokens)
    }
}
