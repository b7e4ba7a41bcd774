// The ring against the oracle: every row of every rank, over the sizes that break things.
import RingCore
import RingEngine
import RingKernels
import RingModels
import Testing

@Suite("Ring attention against the double-precision oracle")
struct InProcessRingTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var tokens: Int, world: Int, heads: Int, kvHeads: Int, headDim: Int, valueDim: Int, mask: Mask
        var testDescription: String { "S \(tokens) N \(world) H \(heads):\(kvHeads) d \(headDim):\(valueDim) \(mask)" }
    }

    static let cases: [Case] = {
        var list: [Case] = []
        for world in [1, 2, 3, 5] {
            for tokens in [1, 2, world, 2 * world - 1, 2 * world + 1, 67, 64 * 2 * world, 521] {
                list.append(Case(tokens: tokens, world: world, heads: 2, kvHeads: 1, headDim: 32, valueDim: 40, mask: .causal))
            }
            list.append(Case(tokens: 331, world: world, heads: 4, kvHeads: 4, headDim: 64, valueDim: 64, mask: .full))
            list.append(Case(tokens: 700, world: world, heads: 6, kvHeads: 2, headDim: 128, valueDim: 32, mask: .causal))
        }
        return list
    }()

    /// The largest errors of `out`, as a share of max|v|, and of `lse`, over every row. A NaN is an infinite error.
    private func worstError(
        _ test: Case, element: ElementType, seed: UInt64, fault: RingFault? = nil
    ) throws -> (out: Double, lse: Double) {
        let kernels = try Kernels.selected()
        let shape = AttentionSource.Shape(
            tokens: test.tokens, heads: test.heads, kvHeads: test.kvHeads, headDim: test.headDim, valueDim: test.valueDim, element: element)
        let source = AttentionSource(seed: seed, shape: shape, kernels: kernels)
        var options = InProcessRing.Options(world: WorldSize(test.world), mask: test.mask, element: element)
        options.threads = test.tokens % 2 + 1
        options.fault = fault
        let result = try InProcessRing.attend(source, options, kernels: kernels)
        let queries = (0..<test.tokens).flatMap { position in (0..<test.heads).map { OracleQuery(position: position, head: $0) } }
        let answers = try AttentionOracle.answers(to: queries, of: source, mask: test.mask)
        let values = try FloatRows.allocate(rows: test.tokens, columns: shape.width(of: .value))
        try source.read(.value, first: 0, into: values)
        let largest = (0..<test.tokens).flatMap { values.array(ofRow: $0) }.map { Double(abs($0)) }.max() ?? 0
        var worst = (out: 0.0, lse: 0.0)
        func raise(_ maximum: inout Double, to value: Double) { if !(value <= maximum) { maximum = value.isNaN ? .infinity : value } }
        for (query, answer) in zip(queries, answers) {
            raise(&worst.lse, to: abs(Double(result.lse[query.position, query.head]) - answer.lse))
            for column in 0..<test.valueDim {
                let error = abs(Double(result.out[query.position, query.head * test.valueDim + column]) - answer.out[column])
                raise(&worst.out, to: error / largest)
            }
        }
        return worst
    }

    @Test("f32: every row within 2e-6 of max|v|", arguments: cases)
    func singlePrecision(test: Case) throws {
        let worst = try worstError(test, element: .f32, seed: 11)
        #expect(worst.out <= 2e-6, "\(test.testDescription) seed 11: \(worst)")
        // A log-sum-exp is below 16 here: four units in its last place.
        #expect(worst.lse <= 4e-6, "\(test.testDescription) seed 11: \(worst)")
    }

    @Test("bf16: against the same bf16 inputs, no worse than twice one rank")
    func halfPrecision() throws {
        for (tokens, mask) in [(521, Mask.causal), (331, .full)] {
            var test = Case(tokens: tokens, world: 1, heads: 4, kvHeads: 2, headDim: 64, valueDim: 64, mask: mask)
            let alone = try worstError(test, element: .bf16, seed: 5).out
            #expect(alone < 0.02)
            for world in [2, 3, 4] {
                test.world = world
                #expect(try worstError(test, element: .bf16, seed: 5).out <= 2 * alone, "world \(world)")
            }
        }
    }

    @Test("a broken ring is seen", arguments: [RingFault.Action.drop, .twice, .unweighted])
    func faults(action: RingFault.Action) throws {
        let test = Case(tokens: 521, world: 3, heads: 2, kvHeads: 1, headDim: 32, valueDim: 32, mask: .causal)
        #expect(try worstError(test, element: .f32, seed: 3, fault: RingFault(action, kvOwner: Rank(1))).out > 1e-3)
    }
}
