// Passing queries instead of keys, under random masks, shards and choices of queries, against the double-precision oracle, and every
// byte that moved against the definition.
import RingCore
import RingEngine
import RingKernels
import RingModels
import Testing

/// A problem, who owns what of it, and which queries are wanted.
private struct QueryCase: CustomStringConvertible {
    let mask: Mask, plan: ShardPlan, shape: AttentionSource.Shape, positions: [Int]?, roundRows: Int

    var description: String {
        "\(shape), \(mask), \(plan.world) ranks, queries \(positions.map { "\($0.count)" } ?? "all"), rounds of \(roundRows)"
    }

    init(index: Int, using generator: inout SeededGenerator) throws {
        let tokens = Int.random(in: 1...260, using: &generator)
        let world = 1 + index % 5
        let (long, short) = (Int.random(in: 1...tokens, using: &generator), Int.random(in: 1...(tokens / 5 + 1), using: &generator))
        let rules: [Mask.Rule] = [
            .causal, .full, .causal, .window(size: short, sinks: long % 7), .prefix(length: short), .chunked(length: long),
            .window(size: long, sinks: 0),
        ]
        let cut = Int.random(in: 0...tokens, using: &generator)
        let documents = cut > 0 && cut < tokens && index % 3 == 1 ? [cut, tokens - cut] : nil
        mask = try Mask(rules[index % rules.count], documents: documents, tokens: tokens)
        let element: ElementType = index % 4 == 0 ? .bf16 : .f32
        let dim = [32, 64, 128][index % 3]
        shape = AttentionSource.Shape(
            tokens: tokens, heads: 2, kvHeads: 1 + index % 2, headDim: dim, valueDim: index % 5 == 0 ? 40 : dim, element: element)
        if index % 2 == 0 {
            plan = try ShardPlan(mask.isFull ? .contiguous : .zigzag, tokens: tokens, over: WorldSize(world))
        } else {
            let cuts = (0..<Int.random(in: 0...9, using: &generator)).map { _ in Int.random(in: 0...tokens, using: &generator) }
            let edges = Array(Set(cuts + [0, tokens])).sorted()
            var shares = [[Share]](repeating: [], count: world)
            for (start, end) in zip(edges, edges.dropFirst()) {
                shares[Int.random(in: 0..<world, using: &generator)].append(Share(start: start, length: end - start, layers: 0))
            }
            plan = try ShardPlan(shares: shares, tokens: tokens)
        }
        switch Int.random(in: 0..<5, using: &generator) {
        case 0: positions = nil
        case 1: positions = Array(tokens - long..<tokens)
        case 2: positions = [long - 1]
        // Those of one rank, so that all the others have none.
        case 3: positions = plan.chunks(of: Rank(index % world)).flatMap { Array($0.range) }
        default: positions = (0..<tokens).filter { _ in Int.random(in: 0..<3, using: &generator) == 0 }
        }
        roundRows = index % 3 == 0 ? .max : Int.random(in: 1...20, using: &generator)
    }

    /// Positions of a rank's queries.
    func queries(of rank: Rank) -> [Int] { plan.owned(positions ?? Array(0..<shape.tokens), by: rank) }

    /// Bytes that come to `rank`, by the definition: rounds of whom it can serve, and a partial from whoever serves its own.
    func bytesReceived(by rank: Rank) -> Int {
        func sees(_ queries: ArraySlice<Int>, _ owner: Rank) -> Bool {
            plan.chunks(of: owner).contains { chunk in
                queries.contains { query in
                    let runs = mask.runs(of: query)
                    return runs.main.overlaps(chunk.range) || runs.sinks.overlaps(chunk.range)
                }
            }
        }
        func rounds(_ rank: Rank) -> [ArraySlice<Int>] {
            let all = queries(of: rank)
            return stride(from: 0, to: all.count, by: min(roundRows, max(all.count, 1))).map {
                all[$0..<min($0 + roundRows.clamped, all.count)]
            }
        }
        var bytes = 0
        for other in plan.world.ranks where other != rank {
            for round in rounds(other) where sees(round, rank) { bytes += 4 * round.count * shape.heads * shape.headDim }
            for round in rounds(rank) where sees(round, other) { bytes += 4 * round.count * shape.heads * (shape.valueDim + 1) }
        }
        return bytes
    }
}

extension Int {
    /// Small enough to be added to.
    fileprivate var clamped: Int { Swift.min(self, 1 << 40) }
}

@Suite("Rings that pass queries, against the double-precision oracle", .timeLimit(.minutes(4)))
struct QueryRingTests {
    static let seed: UInt64 = 4242

    private func options(_ test: QueryCase, threads: Int) -> InProcessRing.Options {
        var options = InProcessRing.Options(world: test.plan.world, mask: test.mask, element: test.shape.element)
        (options.plan, options.threads, options.schedule) = (test.plan, threads, .passQ)
        (options.positions, options.roundRowsMax) = (test.positions, test.roundRows)
        return options
    }

    /// The largest errors of `out`, as a share of max|v|, and of `lse`, over all wanted rows.
    private func worst(_ result: AttentionResult, _ test: QueryCase, _ source: AttentionSource) throws -> (out: Double, lse: Double) {
        let wanted = test.positions ?? Array(0..<test.shape.tokens)
        let queries = wanted.flatMap { position in (0..<test.shape.heads).map { OracleQuery(position: position, head: $0) } }
        let answers = try AttentionOracle.answers(to: queries, of: source, mask: test.mask)
        let values = try FloatRows.allocate(rows: test.shape.tokens, columns: test.shape.width(of: .value))
        try source.read(.value, first: 0, into: values)
        let largest = (0..<test.shape.tokens).flatMap { values.array(ofRow: $0) }.map { Double(abs($0)) }.max() ?? 0
        var worst = (out: 0.0, lse: 0.0)
        func raise(_ maximum: inout Double, to value: Double) { if !(value <= maximum) { maximum = value.isNaN ? .infinity : value } }
        for (query, answer) in zip(queries, answers) {
            raise(&worst.lse, to: abs(Double(result.lse[query.position, query.head]) - answer.lse))
            for column in 0..<test.shape.valueDim {
                let out = Double(result.out[query.position, query.head * test.shape.valueDim + column])
                raise(&worst.out, to: abs(out - answer.out[column]) / largest)
            }
        }
        return worst
    }

    @Test("300 random masks, shards and queries: every wanted row is right, and not a byte more than needed has moved")
    func random() throws {
        let kernels = try Kernels.selected()
        var generator = SeededGenerator(seed: Self.seed)
        for index in 0..<300 {
            let test = try QueryCase(index: index, using: &generator)
            let story = "case \(index), seed \(Self.seed): \(test)"
            let source = AttentionSource(seed: UInt64(index), shape: test.shape, kernels: kernels)
            let result = try InProcessRing.attend(source, options(test, threads: 1 + index % 2), kernels: kernels)
            let errors = try worst(result, test, source)
            let isSingle = test.shape.element == .f32
            #expect(errors.out <= (isSingle ? 2e-6 : 0.02) && errors.lse <= (isSingle ? 4e-6 : 0.02), "\(story): \(errors)")
            let needed = test.plan.world.ranks.map { test.bytesReceived(by: $0) }
            #expect(result.reports.map(\.bytesReceived) == needed, "\(story)")
            #expect(result.reports.reduce(0) { $0 + $1.bytesSent } == needed.reduce(0, +), "\(story)")
            for report in result.reports {
                #expect(report.steps.map(\.step) == Array(0..<test.plan.world.count), "\(story)")
                #expect(report.steps.reduce(0) { $0 + $1.bytesReceived } == report.bytesReceived, "\(story)")
                #expect(report.steps.reduce(0) { $0 + $1.bytesSent } == report.bytesSent, "\(story)")
            }
        }
    }

    @Test("both schedules count the same pairs, and a run again has the same bits")
    func repeats() throws {
        let kernels = try Kernels.selected()
        var generator = SeededGenerator(seed: 9)
        for index in [3, 13, 28, 41] {
            let test = try QueryCase(index: index, using: &generator)
            let source = AttentionSource(seed: 1, shape: test.shape, kernels: kernels)
            var options = options(test, threads: 2)
            let first = try InProcessRing.attend(source, options, kernels: kernels)
            for _ in 0..<4 {
                let again = try InProcessRing.attend(source, options, kernels: kernels)
                for row in 0..<test.shape.tokens {
                    #expect(first.out.array(ofRow: row) == again.out.array(ofRow: row), "row \(row) of \(test)")
                    #expect(first.lse.array(ofRow: row) == again.lse.array(ofRow: row), "row \(row) of \(test)")
                }
            }
            options.schedule = .passKV
            let other = try InProcessRing.attend(source, options, kernels: kernels)
            #expect(first.reports.reduce(0) { $0 + $1.pairs } == other.reports.reduce(0) { $0 + $1.pairs }, "\(test)")
        }
    }

    @Test("a rank whose keys are left out is seen")
    func dropped() throws {
        let kernels = try Kernels.selected()
        let shape = AttentionSource.Shape(tokens: 300, heads: 2, kvHeads: 1, headDim: 64, valueDim: 64, element: .f32)
        let source = AttentionSource(seed: 6, shape: shape, kernels: kernels)
        var options = InProcessRing.Options(world: WorldSize(3), mask: .causal, element: .f32)
        options.schedule = .passQ
        let right = try InProcessRing.attend(source, options, kernels: kernels)
        options.fault = RingFault(.drop, kvOwner: Rank(1))
        let wrong = try InProcessRing.attend(source, options, kernels: kernels)
        let differing = (0..<300).filter { row in
            zip(right.out.array(ofRow: row), wrong.out.array(ofRow: row)).contains { abs($0 - $1) > 1e-3 }
        }
        #expect(differing.count > 100)
    }
}
