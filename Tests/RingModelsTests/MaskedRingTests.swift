// The ring under every mask, dealt in every way, computed and judged by the definition: every row of every rank, in double precision,
// by a predicate that shares no code with the mask's own arithmetic; and every byte that moved, counted from the same predicate.
import Glibc
import RingCore
import RingKernels
import RingModels
import Testing

/// A mask, who owns what, and what the numbers of both mean in the plainest words.
private struct MaskedCase: CustomStringConvertible {
    let mask: Mask
    private(set) var plan: ShardPlan
    let element: ElementType, shape: AttentionSource.Shape
    private let starts: [Int], ends: [Int]

    var description: String { "\(shape), \(mask.rule), documents \(mask.documents ?? []), \(plan)" }

    init(index: Int, using generator: inout SeededGenerator) throws {
        let tokens = Int.random(in: 1...(index % 20 == 0 ? 1500 : 260), using: &generator)
        let world = Int.random(in: 1...6, using: &generator)
        var edges = [0, tokens]
        if Bool.random(using: &generator) {
            edges += (0..<Int.random(in: 0...9, using: &generator)).map { _ in Int.random(in: 0...tokens, using: &generator) }
        }
        edges = Array(Set(edges)).sorted()
        let lengths = zip(edges, edges.dropFirst()).map { $1 - $0 }
        let (long, short) = (Int.random(in: 1...tokens, using: &generator), Int.random(in: 1...(tokens / 5 + 1), using: &generator))
        let rules: [Mask.Rule] = [
            .causal, .full, .window(size: short, sinks: 0), .window(size: short, sinks: long % 7), .window(size: long, sinks: short),
            .prefix(length: short), .prefix(length: long), .chunked(length: short), .chunked(length: long),
        ]
        mask = try Mask(rules[index % rules.count], documents: lengths.count > 1 ? lengths : nil, tokens: tokens)
        plan = try Self.dealt(mask, tokens: tokens, world: world, kind: index % 4, using: &generator)
        // Ranks in groups of every size that fits.
        let sizes = (1...world).filter { world % $0 == 0 }
        plan.tour = RingTour(plan.world, groupSize: sizes[index % sizes.count]) ?? RingTour(plan.world)
        element = index % 3 == 0 ? .bf16 : .f32
        let dim = [32, 64, 128][index % 3]
        shape = AttentionSource.Shape(
            tokens: tokens, heads: 2, kvHeads: 1 + index % 2, headDim: dim, valueDim: index % 5 == 0 ? 40 : dim, element: element)
        starts = zip(edges, lengths).flatMap { start, length in Array(repeating: start, count: length) }
        ends = zip(edges, lengths).flatMap { start, length in Array(repeating: start + length, count: length) }
    }

    /// What the coordinator would deal, a layout, or pieces that fall anywhere.
    private static func dealt(
        _ mask: Mask, tokens: Int, world: Int, kind: Int, using generator: inout SeededGenerator
    ) throws -> ShardPlan {
        switch kind {
        case 0: return try ShardPlan(.zigzag, tokens: tokens, over: WorldSize(world))
        case 1:
            let speeds = (0..<world).map { _ in Double(Int.random(in: 1...4, using: &generator)) }
            return try ShardPlan(for: mask, tokens: tokens, over: WorldSize(world), speeds: speeds)
        case 2: return try ShardPlan(for: mask, tokens: tokens, over: WorldSize(world))
        default:
            let cuts = (0..<Int.random(in: 0...12, using: &generator)).map { _ in Int.random(in: 0...tokens, using: &generator) }
            let edges = Array(Set(cuts + [0, tokens])).sorted()
            var shares = [[Share]](repeating: [], count: world)
            for (start, end) in zip(edges, edges.dropFirst()) {
                shares[Int.random(in: 0..<world, using: &generator)].append(Share(start: start, length: end - start, layers: 0))
            }
            return try ShardPlan(shares: shares, tokens: tokens)
        }
    }

    func sees(_ query: Int, _ key: Int) -> Bool {
        guard key >= starts[query], key < ends[query] else { return false }
        let (q, k) = (query - starts[query], key - starts[query])
        switch mask.rule {
        case .full: return true
        case .causal: return k <= q
        case .window(let size, let sinks): return k <= q && (q - k < size || k < sinks)
        case .prefix(let length): return k <= q || k < length
        case .chunked(let length): return k <= q && k / length == q / length
        }
    }

    /// Blocks that must come to `rank`: those of others of which any own query sees something.
    func blocksNeeded(by rank: Rank) -> Int {
        let queries = plan.chunks(of: rank).flatMap { Array($0.range) }
        var count = 0
        for chunk in plan.world.ranks.filter({ $0 != rank }).flatMap({ plan.chunks(of: $0) }) {
            let seen = chunk.range.filter { key in queries.contains { sees($0, key) } }
            count += Set(seen.map { ($0 - chunk.start) / Limits.tileTokens }).count
        }
        return count
    }
}

@Suite("Masked rings against the definition", .timeLimit(.minutes(4)))
struct MaskedRingTests {
    static let seed: UInt64 = 77

    /// Out and log-sum-exp of one row, by the definition.
    private func exact(_ test: MaskedCase, _ query: Int, head: Int, _ q: FloatRows, _ k: FloatRows, _ v: FloatRows) -> ([Double], Double) {
        let (dim, valueDim, kvHead) = (test.shape.headDim, test.shape.valueDim, head / (test.shape.heads / test.shape.kvHeads))
        let keys = (0..<test.shape.tokens).filter { test.sees(query, $0) }
        let scores = keys.map { key -> Double in
            var product = 0.0
            for place in 0..<dim { product += Double(q[query, head * dim + place]) * Double(k[key, kvHead * dim + place]) }
            return product / Double(dim).squareRoot()
        }
        let top = scores.max() ?? 0
        let weights = scores.map { exp($0 - top) }
        let sum = weights.reduce(0, +)
        let out = (0..<valueDim).map { column -> Double in
            var total = 0.0
            for (key, weight) in zip(keys, weights) { total += weight * Double(v[key, kvHead * valueDim + column]) }
            return total / sum
        }
        return (out, top + log(sum))
    }

    @Test("400 random masks, shapes and shards: every row is right, and not a byte more than needed has moved")
    func random() throws {
        let kernels = try Kernels.selected()
        var generator = SeededGenerator(seed: Self.seed)
        for index in 0..<400 {
            let test = try MaskedCase(index: index, using: &generator)
            let story = "case \(index), seed \(Self.seed): \(test)"
            let source = AttentionSource(seed: UInt64(index), shape: test.shape, kernels: kernels)
            var options = InProcessRing.Options(world: test.plan.world, mask: test.mask, element: test.element)
            (options.plan, options.threads) = (test.plan, 1 + index % 2)
            let result = try InProcessRing.attend(source, options, kernels: kernels)
            let tokens = test.shape.tokens
            let rows = try (
                FloatRows.allocate(rows: tokens, columns: test.shape.width(of: .query)),
                FloatRows.allocate(rows: tokens, columns: test.shape.width(of: .key)),
                FloatRows.allocate(rows: tokens, columns: test.shape.width(of: .value))
            )
            try source.read(.query, first: 0, into: rows.0)
            try source.read(.key, first: 0, into: rows.1)
            try source.read(.value, first: 0, into: rows.2)
            let largest = (0..<tokens).flatMap { rows.2.array(ofRow: $0) }.map { Double(abs($0)) }.max() ?? 0
            let bar = test.element == .f32 ? 2e-6 : 0.02
            var worst = (out: 0.0, lse: 0.0)
            // Every row of the small contexts; of the large ones every seventh, which is no multiple of anything here.
            for query in stride(from: 0, to: tokens, by: tokens > 300 ? 7 : 1) {
                for head in 0..<2 {
                    let (out, lse) = exact(test, query, head: head, rows.0, rows.1, rows.2)
                    worst.lse = max(worst.lse, finite(abs(Double(result.lse[query, head]) - lse)))
                    for column in 0..<test.shape.valueDim {
                        let error = abs(Double(result.out[query, head * test.shape.valueDim + column]) - out[column])
                        worst.out = max(worst.out, finite(error / largest))
                    }
                }
            }
            #expect(worst.out <= bar && worst.lse <= (test.element == .f32 ? 4e-6 : 0.02), "\(story): \(worst)")
            let block = try KVLayout(
                kvHeads: test.shape.kvHeads, headDim: test.shape.headDim, valueDim: test.shape.valueDim, element: test.element
            ).blockByteCount
            let needed = test.plan.world.ranks.map { test.blocksNeeded(by: $0) * block }
            #expect(result.reports.map(\.bytesReceived) == needed, "\(story)")
            #expect(result.reports.reduce(0) { $0 + $1.bytesSent } == needed.reduce(0, +), "\(story)")
        }
    }

    private func finite(_ error: Double) -> Double { error.isNaN ? .infinity : error }
}
