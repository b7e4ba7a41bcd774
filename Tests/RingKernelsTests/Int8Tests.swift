// int8 keys and values: what they cost in bytes, and that no output is further from exact attention than the scales promise. That the
// kernels compute right with what the blocks hold is with the other element types, in the suites over ElementType.allCases.
import RingKernels
import Testing

@Suite("int8 keys and values")
struct Int8Tests {
    /// The largest share of its bound that a row's error takes: `kernels` over int8 blocks against the oracle over what was packed.
    private func boundFraction(
        _ shape: AttentionCase, _ kernels: Kernels, decode: Bool,
        edit: (_ q: FloatRows, _ k: FloatRows, _ v: FloatRows) -> Void = { _, _, _ in }
    ) throws -> Double {
        let drawn = try shape.inputs()
        let scalar = try Kernels(.scalar)
        for (tensor, rows) in [drawn.q, drawn.k, drawn.v].enumerated() {
            scalar.fillNormals(rows, seed: shape.seed, tensor: UInt64(tensor))
        }
        edit(drawn.q, drawn.k, drawn.v)
        let (k, v) = (
            try FloatRows.allocate(rows: shape.keys, columns: shape.headDim),
            try FloatRows.allocate(rows: shape.keys, columns: shape.valueDim)
        )
        k.copy(from: drawn.k)
        v.copy(from: drawn.v)
        let inputs = try AttentionInputs(shape, q: drawn.q, k: drawn.k, v: drawn.v)  // which rounds the rows that it is given
        let state = try AttentionState.allocate(rows: shape.rows, valueDim: shape.valueDim)
        if decode {
            kernels.decode(
                queries: inputs.q, keys: inputs.blocks, kvHead: shape.kvHead, scale: shape.scale, into: state,
                scratch: try AttentionScratch())
        } else {
            try inputs.attend(kernels, into: state)
        }
        let partial = try AttentionPartial.allocate(rows: shape.rows, valueDim: shape.valueDim)
        #expect(state.finish(into: partial) == nil)
        let steps = try #require(inputs.blocks.quantisation(head: shape.kvHead))
        let arithmetic = errorBar(kernels.instructionSet, .int8).out * 127 * steps.valueStep
        return (0..<shape.rows).reduce(0) { worst, row in
            let query = inputs.q.array(ofRow: row)
            var oracle = OracleRow(query: query, valueDim: shape.valueDim, scale: Double(shape.scale))
            oracle.feed(keys: k.rows(shape.visible(row)), values: v.rows(shape.visible(row)))
            let exact = oracle.result().out
            let error = exact.indices.map { abs(exact[$0] - Double(partial.out[row, $0])) }.reduce(0, largest)
            return largest(worst, error / (steps.errorBound(query: query, scale: Double(shape.scale)) + arithmetic))
        }
    }

    @Test("no row's error exceeds its bound, over random shapes and magnitudes", arguments: InstructionSet.supported)
    func bound(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        var random = SplitMix(seed: 20_261_129)
        var worst = 0.0
        for index in 0..<60 {
            var shape = AttentionCase(element: .int8, causal: index % 3 == 1, seed: UInt64(index))
            shape.rows = [1, 5, 16, 33, 97].randomElement(using: &random) ?? 1
            shape.keys = [1, 17, 64, 65, 300, 777].randomElement(using: &random) ?? 1
            shape.headDim = [8, 64, 96, 128].randomElement(using: &random) ?? 64
            shape.valueDim = [8, 48, 128].randomElement(using: &random) ?? 48
            shape.queryPosition = shape.keys
            let magnitude = Float([0.01, 0.3, 1, 4].randomElement(using: &random) ?? 1)
            let fraction = try boundFraction(shape, kernels, decode: index % 2 == 0 && !shape.causal) { q, _, v in
                for row in 0..<q.rows { for column in 0..<q.columns { q[row, column] *= magnitude } }
                for row in 0..<v.rows { v[row, 0] *= magnitude * 10 }
            }
            #expect(fraction <= 1, "\(set) \(shape): \(fraction) of the bound")
            worst = max(worst, fraction)
        }
        #expect(worst > 0.05, "the bound says little: \(worst) of it at most")
    }

    @Test("the bound is met where rounding and queries conspire", arguments: InstructionSet.supported)
    func tight(set: InstructionSet) throws {
        // Two keys, half a step from where they are stored in every dimension but the one that sets the step, one up and one down, and a
        // query along the difference: the scores move apart by all that the bound allows for.
        let shape = AttentionCase(rows: 1, keys: 2, headDim: 64, valueDim: 8, element: .int8)
        let fraction = try boundFraction(shape, try Kernels(set), decode: true) { q, k, v in
            for dim in 0..<64 {
                q[0, dim] = dim == 0 ? 0 : 0.05
                for key in 0..<2 { k[key, dim] = dim == 0 ? 127 : (key == 0 ? 0.499 : -0.499) }
            }
            for column in 0..<8 { (v[0, column], v[1, column]) = (127, -127) }
        }
        #expect(fraction > 0.9 && fraction <= 1, "\(set): \(fraction) of the bound")
    }

    @Test("a token costs at most 0.52 of its bf16 bytes at 128 dimensions")
    func bytes() throws {
        let (bytes, pairs) = (
            try KVLayout(kvHeads: 8, headDim: 128, valueDim: 128, element: .int8),
            try KVLayout(kvHeads: 8, headDim: 128, valueDim: 128, element: .bf16)
        )
        #expect(bytes.tokenByteCount == 8 * (256 + 8) && Double(bytes.tokenByteCount) <= 0.52 * Double(pairs.tokenByteCount))
    }

    @Test("steps are those of the coarsest token, and not a number after a row that is not finite")
    func steps() throws {
        let layout = try KVLayout(kvHeads: 2, headDim: 16, valueDim: 24, element: .int8)
        var blocks = try KVBlocks.allocate(layout: layout, capacity: 200, firstPosition: 0)
        let (k, v) = (try FloatRows.allocate(rows: 130, columns: 16), try FloatRows.allocate(rows: 130, columns: 24))
        for row in 0..<130 { (k[row, row % 16], v[row, row % 24]) = (Float(row), -Float(2 * row)) }
        #expect(blocks.packKeys(k, head: 1, at: 0) == nil && blocks.packValues(v, head: 1, at: 0) == nil)
        blocks.tokens = 100
        #expect(blocks.quantisation(head: 1) == KVQuantisation(keyStep: Double(Float(99) / 127), valueStep: Double(Float(198) / 127)))
        #expect(blocks.quantisation(head: 0) == KVQuantisation(keyStep: 0, valueStep: 0))
        v[70, 3] = .infinity
        #expect(blocks.packValues(v, head: 1, at: 0) == 70)
        #expect(blocks.quantisation(head: 1)?.valueStep.isNaN == true)
        let f32 = try KVLayout(kvHeads: 1, headDim: 16, valueDim: 24, element: .f32)
        #expect(try KVBlocks.allocate(layout: f32, capacity: 1, firstPosition: 0).quantisation(head: 0) == nil)
    }
}
