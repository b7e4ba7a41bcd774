// Rows that each see a run of the keys of their own: windows, documents, prefixes, and what hostile edges make of them.
import RingKernels
import Testing

@Suite("Attention where each row sees a span of keys")
struct SpanTests {
    private func check(_ shape: AttentionCase, _ kernels: Kernels) throws {
        let inputs = try shape.inputs()
        let (partial, bad) = try inputs.partial(kernels)
        #expect(bad == nil, "\(kernels.instructionSet) \(shape)")
        let error = inputs.worstError(partial, rows: 0..<shape.rows)
        let bar = errorBar(kernels.instructionSet, shape.element)
        #expect(error.out <= bar.out && error.logSumExp <= bar.logSumExp, "\(kernels.instructionSet) \(shape): \(error)")
    }

    @Test("random spans whose ends never fall are within the error bar", arguments: InstructionSet.supported)
    func random(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        var random = SplitMix(seed: 20_261_129)
        for index in 0..<300 {
            var shape = AttentionCase()
            shape.rows = Int.random(in: 1...130, using: &random)
            shape.keys = Int.random(in: 1...900, using: &random)
            (shape.headDim, shape.valueDim) = ([8, 32, 64, 128][index % 4], [8, 40, 64, 128][index / 4 % 4])
            shape.element = ElementType.allCases[index % 2]
            let few = index % 5 == 0 ? min(shape.keys, 3) : shape.keys
            let firsts = (0..<shape.rows).map { _ in Int.random(in: 0...few, using: &random) }.sorted()
            let ends = (0..<shape.rows).map { _ in Int.random(in: 0...shape.keys, using: &random) }.sorted()
            shape.spans = zip(firsts, ends).map { min($0, $1)..<$1 }
            shape.seed = UInt64(index)
            try check(shape, kernels)
        }
    }

    @Test("a window slides over every edge of blocks and tiles", arguments: InstructionSet.supported)
    func windows(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for window in [1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 255, 256, 257, 400] {
            for element in ElementType.allCases {
                var shape = AttentionCase(rows: 600, keys: 600, headDim: 32, valueDim: 24, element: element)
                shape.spans = (0..<600).map { max(0, $0 + 1 - window)..<$0 + 1 }
                try check(shape, kernels)
            }
        }
    }

    @Test("rows that see nothing stand anywhere among rows that see something", arguments: InstructionSet.supported)
    func empty(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            var shape = AttentionCase(rows: 24, keys: 300, headDim: 64, valueDim: 64, element: element)
            shape.spans = (0..<24).map { row in row % 3 == 1 ? row * 10..<row * 10 : row * 10..<row * 10 + 1 + row % 5 }
            try check(shape, kernels)
            shape.spans = (0..<24).map { $0 < 12 ? 0..<0 : 300..<300 }
            try check(shape, kernels)
        }
    }

    @Test("keys outside every span may be anything at all", arguments: InstructionSet.supported)
    func untouched(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            // Rows 0...5 make one strip: key 100 is hidden from each of them, between two blocks that are not.
            var shape = AttentionCase(rows: 6, keys: 192, headDim: 64, valueDim: 64, element: element)
            shape.spans = (0..<6).map { $0 < 3 ? 0..<90 : 128..<192 }
            let plain = try shape.inputs()
            let (q, k, v) = try (plain.q, FloatRows.allocate(rows: 192, columns: 64), FloatRows.allocate(rows: 192, columns: 64))
            for row in 0..<192 {
                for column in 0..<64 { (k[row, column], v[row, column]) = (row == 100 ? 3e37 : plain.k[row, column], plain.v[row, column]) }
            }
            let huge = try AttentionInputs(shape, q: q, k: k, v: v)
            let (expected, got) = (try plain.partial(kernels), try huge.partial(kernels))
            #expect(got.badRow == nil)
            for row in 0..<6 {
                #expect(got.partial.out.array(ofRow: row) == expected.partial.out.array(ofRow: row), "\(set) \(element) row \(row)")
            }
        }
    }
}
