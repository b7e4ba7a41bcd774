// Deterministic attention: the same bytes of `out` and `lse` from any number of ranks and threads, dealt in any way, under every mask;
// and still the right ones.
import RingCore
import RingEngine
import RingKernels
import RingModels
import RingTransport
import Synchronization
import Testing

@Suite("The same bits")
struct SameBitsTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var tokens: Int, mask: Mask, element: ElementType = .f32, headDim = 64, valueDim = 64, kvHeads = 1
        var testDescription: String { "S \(tokens) \(mask) \(element) d \(headDim):\(valueDim)" }

        func source(_ kernels: Kernels) -> AttentionSource {
            let shape = AttentionSource.Shape(
                tokens: tokens, heads: 2, kvHeads: kvHeads, headDim: headDim, valueDim: valueDim, element: element == .bf16 ? .bf16 : .f32)
            return AttentionSource(seed: 4, shape: shape, kernels: kernels)
        }
    }

    static let cases: [Case] = {
        var list: [Case] = []
        for element in [ElementType.f32, .bf16] {
            list += [
                Case(tokens: 2111, mask: .causal, element: element), Case(tokens: 1537, mask: .full, element: element),
                Case(tokens: 1100, mask: .causal, element: element, headDim: 40, valueDim: 72, kvHeads: 2),
            ]
            let rules: [(Mask.Rule, [Int]?)] = [
                (.window(size: 300, sinks: 5), nil), (.causal, [1, 700, 3, 1000, 407]), (.prefix(length: 700), nil),
                (.window(size: 90, sinks: 0), [900, 1211]), (.chunked(length: 321), nil), (.full, [600, 1511]),
            ]
            for (rule, documents) in rules {
                guard let mask = try? Mask(rule, documents: documents, tokens: 2111) else { preconditionFailure("a mask of 2111 tokens") }
                list.append(Case(tokens: 2111, mask: mask, element: element))
            }
        }
        return list + [Case(tokens: 1, mask: .causal), Case(tokens: 257, mask: .causal), Case(tokens: 700, mask: .causal, element: .int8)]
    }()

    /// The bits of all rows of a result.
    private func bits(_ result: AttentionResult) -> [[UInt32]] {
        (0..<result.out.rows).map { (result.out.array(ofRow: $0) + result.lse.array(ofRow: $0)).map(\.bitPattern) }
    }

    private func bits(
        _ test: Case, _ world: Int, threads: Int = 1, plan: ShardPlan? = nil, positions: [Int]? = nil, kernels: Kernels
    ) throws -> [[UInt32]] {
        var options = InProcessRing.Options(world: WorldSize(world), mask: test.mask, element: test.element)
        (options.deterministic, options.threads, options.positions) = (true, threads, positions)
        options.plan = try plan ?? ShardPlan(for: test.mask, tokens: test.tokens, over: WorldSize(world), grain: 256)
        return bits(try InProcessRing.attend(test.source(kernels), options, kernels: kernels))
    }

    @Test("1, 2, 3, 4, 8 and 16 ranks, one thread or two", arguments: cases)
    func worlds(test: Case) throws {
        let kernels = try Kernels.selected()
        let one = try bits(test, 1, kernels: kernels)
        for (world, threads) in [(1, 2), (2, 1), (3, 2), (4, 1), (8, 2), (16, 1)] {
            let other = try bits(test, world, threads: threads, kernels: kernels)
            let row = one.indices.first { one[$0] != other[$0] }
            #expect(row == nil, "seed 4, \(test.testDescription): \(world) ranks of \(threads) threads, row \(row ?? 0)")
        }
    }

    @Test("every instruction set keeps the promise, each with bits of its own", arguments: InstructionSet.supported)
    func sets(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            let test = Case(tokens: 900, mask: try Mask(.window(size: 333, sinks: 9), tokens: 900), element: element, headDim: 32)
            #expect(try bits(test, 1, kernels: kernels) == bits(test, 3, threads: 2, kernels: kernels), "\(set) \(element)")
        }
    }

    @Test("tiles come in any order: ranks swapped, tiles dealt at random, widths as speeds say")
    func orders() throws {
        let kernels = try Kernels.selected()
        var generator = SeededGenerator(seed: 9)
        for index in 0..<24 {
            let mask = try [Mask.causal, .full, Mask(.window(size: 500, sinks: 3), tokens: 2500)][index % 3]
            let test = Case(tokens: 2500, mask: mask, element: [.f32, .bf16][index % 2])
            let world = Int.random(in: 2...6, using: &generator)
            // The tiles of long contexts too.
            let grain = [256, 1024, 256][index % 3]
            var shares = [[Share]](repeating: [], count: world)
            for start in stride(from: 0, to: 2500, by: grain) {
                shares[Int.random(in: 0..<world, using: &generator)].append(
                    Share(start: start, length: min(grain, 2500 - start), layers: 0))
            }
            let random = try ShardPlan(shares: shares, tokens: 2500, grain: grain)
            let speeds = (0..<world).map { _ in Double.random(in: 0.2...3, using: &generator) }
            let unequal = try ShardPlan(for: mask, tokens: 2500, over: WorldSize(world), speeds: speeds, grain: grain)
            let alone = try ShardPlan(.contiguous, tokens: 2500, over: WorldSize(1), grain: grain)
            let one = try bits(test, 1, plan: alone, kernels: kernels)
            #expect(try bits(test, world, plan: random, kernels: kernels) == one, "seed 9, case \(index), \(random)")
            #expect(try bits(test, world, threads: 2, plan: unequal, kernels: kernels) == one, "seed 9, case \(index), \(unequal)")
        }
    }

    /// The bits of out and lse of one rank after another, by an engine whose messages are late as `faults` say.
    private func late(_ test: Case, _ world: Int, _ faults: [TransportFault], _ kernels: Kernels) throws -> [[UInt32]] {
        let (source, plan) = (test.source(kernels), try ShardPlan(.zigzag, tokens: test.tokens, over: WorldSize(world), grain: 256))
        let rows = Mutex([[UInt32]](repeating: [], count: test.tokens))
        let failures = Mutex<[String]>([])
        try InProcessRanks.run(plan.world, faults: faults) { rank, wire in
            do {
                var wire = wire
                let shape = try AttentionRank<InProcessRanks.Wire>.shape(source.shape, plan: plan, element: test.element, scale: nil)
                let memory = try EngineMemory(shape, for: &wire, threads: 1)
                let pool = try ComputePool.make(threads: 1)
                defer { pool.shutdown() }
                let engine = RingEngine(memory, wire: wire, pool: pool, kernels: kernels)
                let buffers = try AttentionBuffers(source.shape, of: rank, under: plan)
                var attention = AttentionRank(source, mask: test.mask, engine: engine, buffers: buffers)
                try attention.load()
                _ = try attention.attend()
                try attention.collect { (position, out, lse) in
                    rows.withLock { rows in
                        for row in 0..<out.rows {
                            rows[position + row] = (out.array(ofRow: row) + lse.array(ofRow: row)).map(\.bitPattern)
                        }
                    }
                }
                try attention.engine.barrier()
                attention.engine.close()
            } catch { failures.withLock { $0.append("\(error)") } }
        }
        #expect(failures.withLock { $0 }.isEmpty)
        return rows.withLock { $0 }
    }

    @Test("messages that come late, at random, change no bit")
    func lateness() throws {
        let kernels = try Kernels.selected()
        let test = Case(tokens: 2111, mask: .causal)
        let one = try bits(test, 1, kernels: kernels)
        var generator = SeededGenerator(seed: 31)
        for world in [2, 3, 5] {
            let faults = (0..<world).flatMap { source in
                (0..<world).filter { $0 != source }.flatMap { destination in
                    (0..<3).map { message in
                        TransportFault(
                            .delay(seconds: Double.random(in: 0...0.03, using: &generator)), message: message, from: Rank(source),
                            to: Rank(destination))
                    }
                }
            }
            #expect(try late(test, world, faults, kernels) == one, "seed 31, \(world) ranks")
        }
    }

    @Test("bins cost what is said: 16 bytes a value and 32 a row, where a running state has 4 and 8")
    func memory() throws {
        let shape = AttentionSource.Shape(tokens: 1000, heads: 3, kvHeads: 1, headDim: 64, valueDim: 40, element: .f32)
        let queries = 4 * 100 * 3 * 64
        func bytes(_ grain: Int?) throws -> Int {
            AttentionBuffers.byteCount(
                shape, tokens: 100, under: try ShardPlan(.zigzag, tokens: 1000, over: WorldSize(2), grain: grain))
        }
        #expect(try bytes(256) == queries + 100 * 3 * (16 * 40 + 32))
        #expect(try bytes(nil) == queries + 100 * 3 * (4 * 40 + 8))
    }

    @Test("a few rows alone have the bits that they have among all")
    func someRows() throws {
        let kernels = try Kernels.selected()
        for element in [ElementType.f32, .bf16] {
            let test = Case(tokens: 2111, mask: .causal, element: element)
            let (all, positions) = (try bits(test, 1, kernels: kernels), [0, 5, 6, 7, 255, 256, 1000, 1700, 2109, 2110])
            for world in [1, 3, 5] {
                let some = try bits(test, world, positions: positions, kernels: kernels)
                for row in positions { #expect(some[row] == all[row], "\(element), \(world) ranks, row \(row)") }
            }
            let turn = try ShardPlan(past: 2000, tokens: 2111, by: .contiguous, over: WorldSize(3), grain: 256)
            let new = try bits(test, 3, plan: turn, positions: Array(2000..<2111), kernels: kernels)
            #expect(Array(new[2000...]) == Array(all[2000...]))
        }
    }

    @Test("rows are as near to double precision as without the promise")
    func accuracy() throws {
        let kernels = try Kernels.selected()
        for test in [Case(tokens: 2111, mask: .causal), Case(tokens: 1100, mask: .full, headDim: 128, valueDim: 40)] {
            let source = test.source(kernels)
            func worst(deterministic: Bool) throws -> Double {
                var options = InProcessRing.Options(world: WorldSize(3), mask: test.mask, element: test.element)
                options.deterministic = deterministic
                let result = try InProcessRing.attend(source, options, kernels: kernels)
                let queries = stride(from: 0, to: test.tokens, by: 7).map { OracleQuery(position: $0, head: $0 % 2) }
                var worst = 0.0
                for (query, answer) in zip(queries, try AttentionOracle.answers(to: queries, of: source, mask: test.mask)) {
                    #expect(abs(Double(result.lse[query.position, query.head]) - answer.lse) <= 4e-6)
                    for column in 0..<test.valueDim {
                        worst = max(
                            worst, abs(Double(result.out[query.position, query.head * test.valueDim + column]) - answer.out[column]))
                    }
                }
                return worst
            }
            // Values of standard normals reach 4 and more here; f32's bar is 2e-6 of the largest.
            let (same, usual) = (try worst(deterministic: true), try worst(deterministic: false))
            #expect(same <= 8e-6 && same <= 1.5 * usual, "\(test.testDescription): \(same), \(usual)")
        }
    }

    @Test("a broken ring is seen: a lost shard changes bits, and one attended to twice")
    func faults() throws {
        let kernels = try Kernels.selected()
        let test = Case(tokens: 900, mask: .causal)
        let right = try bits(test, 3, kernels: kernels)
        for action in [RingFault.Action.drop, .twice] {
            var options = InProcessRing.Options(world: WorldSize(3), mask: test.mask, element: test.element)
            options.deterministic = true
            options.fault = RingFault(action, kvOwner: Rank(1))
            #expect(bits(try InProcessRing.attend(test.source(kernels), options, kernels: kernels)) != right, "\(action)")
        }
    }
}
