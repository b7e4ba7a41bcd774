// The running state: many calls equal one, order does not matter, masked rows stay empty, decode is a call like others.
import RingKernels
import Testing

@Suite("Attention state")
struct AttentionStateTests {
    /// Attention by calls over the key ranges `cuts`, which start at block edges.
    private func accumulated(_ inputs: AttentionInputs, _ kernels: Kernels, ranges: [Range<Int>]) throws -> AttentionPartial {
        let shape = inputs.shape
        let state = try AttentionState.allocate(rows: shape.rows, valueDim: shape.valueDim)
        for range in ranges {
            let region = inputs.blocks.region[
                (range.lowerBound / 64 * inputs.blocks.layout.blockByteCount)..<inputs.blocks.region.byteCount]
            let part = KVBlocks(
                layout: inputs.blocks.layout, region: region, tokens: range.count, firstPosition: shape.keyPosition + range.lowerBound)
            kernels.attend(
                queries: inputs.q, firstPosition: shape.queryPosition, keys: part, kvHead: shape.kvHead, causal: shape.causal,
                scale: shape.scale, into: state, scratch: try AttentionScratch())
        }
        let partial = try AttentionPartial.allocate(rows: shape.rows, valueDim: shape.valueDim)
        #expect(state.finish(into: partial) == nil)
        return partial
    }

    @Test("many calls equal one call, in any order", arguments: InstructionSet.supported)
    func manyCalls(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for causal in [false, true] {
            for element in ElementType.allCases {
                let shape = AttentionCase(
                    rows: 29, keys: 1001, headDim: 64, valueDim: 72, element: element, causal: causal, queryPosition: 990, seed: 5)
                let inputs = try shape.inputs()
                let cuts = [0, 64, 128, 704, 960, 1001]
                let forward = zip(cuts, cuts.dropFirst()).map { $0..<$1 }
                for ranges in [forward, forward.reversed(), [forward[3], forward[0], forward[4], forward[2], forward[1]]] {
                    let error = inputs.worstError(try accumulated(inputs, kernels, ranges: ranges), rows: 0..<29)
                    let bar = errorBar(set, element)
                    #expect(error.out <= bar.out && error.logSumExp <= bar.logSumExp, "\(set) \(shape) \(ranges): \(error)")
                }
            }
        }
    }

    @Test("a call without keys or without rows changes nothing", arguments: InstructionSet.supported)
    func emptyCalls(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        let inputs = try AttentionCase(rows: 3, keys: 64).inputs()
        let state = try AttentionState.allocate(rows: 3, valueDim: 64)
        var none = inputs.blocks
        none.tokens = 0
        kernels.attend(
            queries: inputs.q, firstPosition: 0, keys: none, kvHead: 0, causal: false, scale: 1, into: state,
            scratch: try AttentionScratch())
        kernels.attend(
            queries: inputs.q.rows(0..<0), firstPosition: 0, keys: inputs.blocks, kvHead: 0, causal: false, scale: 1,
            into: state.rows(0..<0), scratch: try AttentionScratch())
        #expect((0..<3).allSatisfy { state.rowMax[0, $0] == -.infinity && state.rowSum[0, $0] == 0 })
    }

    @Test("rows that see no key give exactly (0, -inf), their neighbours do not notice", arguments: InstructionSet.supported)
    func maskedRows(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            // Rows 0...9 stand before the first key, row 10 at it: an edge within a strip.
            let shape = AttentionCase(rows: 20, keys: 65, element: element, causal: true, queryPosition: 90, keyPosition: 100)
            let inputs = try shape.inputs()
            let (partial, bad) = try inputs.partial(kernels)
            #expect(bad == nil)
            for row in 0..<10 {
                #expect(partial.logSumExp[0, row] == -.infinity)
                #expect(partial.out.array(ofRow: row).allSatisfy { $0 == 0 })
            }
            let error = inputs.worstError(partial, rows: 10..<20)
            #expect(error.out <= errorBar(set, element).out)
        }
    }

    @Test("decode of a group's heads equals prefill of the same rows", arguments: InstructionSet.supported)
    func decode(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            let inputs = try AttentionCase(rows: 64, keys: 1400, headDim: 128, valueDim: 128, element: element).inputs()
            let (prefill, _) = try inputs.partial(kernels)
            for heads in 1...8 {
                let state = try AttentionState.allocate(rows: heads, valueDim: 128)
                kernels.attend(
                    queries: inputs.q.rows(20..<20 + heads), firstPosition: 0, keys: inputs.blocks, kvHead: 1, causal: false,
                    scale: inputs.shape.scale, into: state, scratch: try AttentionScratch())
                let partial = try AttentionPartial.allocate(rows: heads, valueDim: 128)
                #expect(state.finish(into: partial) == nil)
                for row in 0..<heads {
                    for column in 0..<128 { #expect(abs(partial.out[row, column] - prefill.out[20 + row, column]) <= 2e-6) }
                }
            }
        }
    }

    @Test("results do not depend on what lies behind the last key", arguments: InstructionSet.supported)
    func staleTail(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            let long = try AttentionCase(rows: 9, keys: 256, element: element).inputs()
            var short = long.blocks
            short.tokens = 77  // tokens 77...127 of block 1 hold other keys
            let states = try (0..<2).map { _ in try AttentionState.allocate(rows: 9, valueDim: 64) }
            var clean = try KVBlocks.allocate(layout: short.layout, capacity: 77, firstPosition: 0)
            _ = clean.packKeys(long.k.rows(0..<77), head: 1, at: 0)
            _ = clean.packValues(long.v.rows(0..<77), head: 1, at: 0)
            clean.tokens = 77
            for (state, blocks) in zip(states, [short, clean]) {
                kernels.attend(
                    queries: long.q, firstPosition: 0, keys: blocks, kvHead: 1, causal: false, scale: 0.125, into: state,
                    scratch: try AttentionScratch())
            }
            for row in 0..<9 {
                #expect(states[0].accumulator.array(ofRow: row) == states[1].accumulator.array(ofRow: row))
                #expect(states[0].rowSum[0, row] == states[1].rowSum[0, row])
            }
        }
    }
}
