// The merge of partials: a commutative monoid up to rounding, exact at its identity, safe at any gap.
import RingKernels
import Testing

@Suite("Merge of partials")
struct PartialTests {
    private func partial(_ rows: [(out: Float, logSumExp: Float)], valueDim: Int = 32) throws -> AttentionPartial {
        let partial = try AttentionPartial.allocate(rows: rows.count, valueDim: valueDim)
        for (row, value) in rows.enumerated() {
            for column in 0..<valueDim { partial.out[row, column] = value.out }
            partial.logSumExp[0, row] = value.logSumExp
        }
        return partial
    }

    @Test("two empties merge to the empty, and an empty changes no bit")
    func identity() throws {
        let merged = try partial([(0, -.infinity), (0.3, 1.7), (0, -.infinity), (-0.1, -900)])
        let other = try partial([(0, -.infinity), (0, -.infinity), (0.7, 40.1), (0, -.infinity)])
        #expect(merged.merge(other) == nil)
        #expect((0..<4).map { merged.out[$0, 31] } == [0, 0.3, 0.7, -0.1])
        #expect((0..<4).map { merged.logSumExp[0, $0] } == [-.infinity, 1.7, 40.1, -900])
    }

    @Test("gaps far above 88 neither overflow nor lose the larger side", arguments: [88.5, 89, 200, 5000, 1e30] as [Float])
    func gaps(gap: Float) throws {
        let merged = try partial([(1, 0), (1, gap)])
        let other = try partial([(2, gap), (2, 0)])
        #expect(merged.merge(other) == nil)
        #expect(merged.out[0, 0] == 2 && merged.out[1, 0] == 1)
        #expect(merged.logSumExp[0, 0] == gap && merged.logSumExp[0, 1] == gap)
    }

    @Test("equal weights average, log-sum-exp grows by ln 2")
    func average() throws {
        let merged = try partial([(1, 3)])
        #expect(merged.merge(try partial([(2, 3)])) == nil)
        #expect(merged.out[0, 7] == 1.5)
        #expect(abs(merged.logSumExp[0, 0] - 3.693_147_2) < 1e-6)
    }

    @Test("NaN or +inf in a log-sum-exp, or an output that is not finite, names its row")
    func damaged() throws {
        for damage in [Float.nan, .infinity] {
            for side in 0..<2 {
                let sides = try [partial([(1, 0), (1, 0)]), partial([(1, 0), (1, 0)])]
                sides[side].logSumExp[0, 1] = damage
                #expect(sides[0].merge(sides[1]) == 1)
            }
            let empty = try partial([(0, -.infinity)])
            #expect(empty.merge(try partial([(1, damage)])) == 0)
            let sides = try [partial([(1, 0)]), partial([(damage, 0)])]
            #expect(sides[0].merge(sides[1]) == 0)
        }
    }

    @Test("partials of disjoint keys merge to the oracle's answer over all keys, in any order")
    func disjoint() throws {
        let kernels = try Kernels.selected()
        let inputs = try AttentionCase(rows: 31, keys: 640, headDim: 64, valueDim: 64, causal: true, queryPosition: 500).inputs()
        let cuts = [0, 64, 256, 320, 576, 640]
        let parts = try zip(cuts, cuts.dropFirst()).map { first, end -> AttentionPartial in
            let size = inputs.blocks.layout.blockByteCount
            let blocks = KVBlocks(
                layout: inputs.blocks.layout, region: inputs.blocks.region[first / 64 * size..<end / 64 * size], tokens: end - first,
                firstPosition: first)
            let state = try AttentionState.allocate(rows: 31, valueDim: 64)
            kernels.attend(
                queries: inputs.q, firstPosition: 500, keys: blocks, kvHead: 1, causal: true, scale: inputs.shape.scale, into: state,
                scratch: try AttentionScratch())
            let partial = try AttentionPartial.allocate(rows: 31, valueDim: 64)
            #expect(state.finish(into: partial) == nil)
            return partial
        }
        for order in [[0, 1, 2, 3, 4], [4, 3, 2, 1, 0], [2, 4, 0, 3, 1]] {
            let merged = try AttentionPartial.allocate(rows: 31, valueDim: 64)
            for index in order { #expect(merged.merge(parts[index]) == nil) }
            let error = inputs.worstError(merged, rows: 0..<31)
            #expect(error.out <= 2e-6 && error.logSumExp <= 2e-6, "\(order): \(error)")
        }
    }

    @Test("finish may write over the accumulator")
    func inPlace() throws {
        let inputs = try AttentionCase(rows: 5, keys: 70).inputs()
        let kernels = try Kernels.selected()
        let (expected, _) = try inputs.partial(kernels)
        let state = try AttentionState.allocate(rows: 5, valueDim: 64)
        try inputs.attend(kernels, into: state)
        let partial = AttentionPartial(out: state.accumulator, logSumExp: state.rowSum)
        #expect(state.finish(into: partial) == nil)
        for row in 0..<5 { #expect(partial.out.array(ofRow: row) == expected.out.array(ofRow: row)) }
    }
}
