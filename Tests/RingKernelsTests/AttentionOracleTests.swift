// Every table against the double-precision oracle and against the scalar twin, over the shapes that break kernels.
import RingKernels
import Testing

private let dimensions = [8, 16, 24, 32, 40, 64, 72, 128, 136, 192, 200, 256]
private let rowCounts = Array(1...13) + [23, 24, 25, 95, 96, 97]
private let keyCounts = [1, 2, 15, 16, 17, 63, 64, 65, 127, 128, 129, 255, 256, 257, 509, 511, 512, 513, 1021]

@Suite("Attention against the oracle")
struct AttentionOracleTests {
    private func check(_ shape: AttentionCase, _ kernels: Kernels) throws {
        let inputs = try shape.inputs()
        let (partial, bad) = try inputs.partial(kernels)
        #expect(bad == nil, "\(kernels.instructionSet) \(shape)")
        let error = inputs.worstError(partial, rows: 0..<shape.rows)
        let bar = errorBar(kernels.instructionSet, shape.element)
        #expect(error.out <= bar.out && error.logSumExp <= bar.logSumExp, "\(kernels.instructionSet) \(shape): \(error)")
    }

    @Test("random shapes, causal and full, are within the error bar", arguments: InstructionSet.supported)
    func randomShapes(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        var random = SplitMix(seed: 20_261_128)
        for index in 0..<200 {
            var shape = AttentionCase()
            shape.rows = rowCounts.randomElement(using: &random) ?? 1
            shape.keys = keyCounts.randomElement(using: &random) ?? 1
            shape.headDim = dimensions.randomElement(using: &random) ?? 32
            shape.valueDim = dimensions.randomElement(using: &random) ?? 32
            shape.element = ElementType.allCases[index % 2]
            shape.causal = index % 3 != 0
            shape.keyPosition = Int.random(in: 0...2000, using: &random)
            shape.queryPosition = max(0, shape.keyPosition + Int.random(in: -100...shape.keys + 10, using: &random))
            shape.seed = UInt64(index)
            try check(shape, kernels)
        }
    }

    @Test("every number of rows and of columns has its micro-kernel", arguments: InstructionSet.supported)
    func everyMicroKernel(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for rows in 1...7 {
            for valueDim in stride(from: 8, through: 128, by: 8) {
                for element in ElementType.allCases {
                    try check(
                        AttentionCase(rows: rows, keys: 67, headDim: valueDim % 48 + 8, valueDim: valueDim, element: element), kernels)
                }
            }
        }
    }

    @Test("the diagonal may lie anywhere", arguments: InstructionSet.supported)
    func diagonal(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for offset in [-97, -13, -6, -1, 0, 1, 57, 63, 64, 65, 249, 255, 256, 257, 505, 511, 512, 513, 600] {
            for element in ElementType.allCases {
                var shape = AttentionCase(rows: 13, keys: 577, headDim: 32, valueDim: 40, element: element, causal: true)
                (shape.keyPosition, shape.queryPosition) = (1000, 1000 + offset)
                try check(shape, kernels)
            }
        }
    }

    @Test("a square causal problem over several tiles is within the error bar", arguments: InstructionSet.supported)
    func square(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            let shape = AttentionCase(rows: 1201, keys: 1201, headDim: 64, valueDim: 64, element: element, causal: true)
            let inputs = try shape.inputs()
            let (partial, bad) = try inputs.partial(kernels)
            #expect(bad == nil)
            let error = inputs.worstError(partial, rows: stride(from: 0, to: 1201, by: 7))
            let bar = errorBar(set, element)
            #expect(error.out <= bar.out && error.logSumExp <= bar.logSumExp, "\(set) \(shape): \(error)")
        }
    }

    @Test("vector tables agree with the scalar twin", arguments: InstructionSet.supported.filter { $0 != .scalar })
    func twins(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        let scalar = try Kernels(.scalar)
        for element in ElementType.allCases {
            let inputs = try AttentionCase(
                rows: 97, keys: 1021, headDim: 128, valueDim: 72, element: element, causal: true, queryPosition: 800
            ).inputs()
            let (mine, _) = try inputs.partial(kernels)
            let (reference, _) = try inputs.partial(scalar)
            let bar = errorBar(set, element)
            var worst = 0.0
            for row in 0..<97 {
                for column in 0..<72 { worst = largest(worst, Double(abs(mine.out[row, column] - reference.out[row, column]))) }
                worst = largest(worst, Double(abs(mine.logSumExp[0, row] - reference.logSumExp[0, row])))
            }
            #expect(worst <= 5 * bar.out, "\(set) \(element): \(worst)")
        }
    }

    @Test("a million keys in 16 calls stay within 2e-6 of max |v|", arguments: InstructionSet.supported)
    func million(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        let shape = AttentionCase(rows: 2, keys: 65_536, headDim: 64, valueDim: 64, kvHeads: 1, kvHead: 0)
        let state = try AttentionState.allocate(rows: shape.rows, valueDim: shape.valueDim)
        let query = try shape.inputs().q
        var oracles = (0..<2).map { OracleRow(query: query.array(ofRow: $0), valueDim: 64, scale: Double(shape.scale)) }
        var magnitude = 0.0
        for part in 0..<16 {
            var hop = shape
            hop.seed = UInt64(100 + part)
            let drawn = try hop.inputs()
            let inputs = try AttentionInputs(hop, q: query, k: drawn.k, v: drawn.v)
            try inputs.attend(kernels, into: state)
            for index in oracles.indices { oracles[index].feed(keys: inputs.k, values: inputs.v) }
            for row in stride(from: 0, to: hop.keys, by: 101) {
                magnitude = max(magnitude, Double(inputs.v.array(ofRow: row).map(abs).max() ?? 0))
            }
        }
        let partial = try AttentionPartial.allocate(rows: 2, valueDim: 64)
        #expect(state.finish(into: partial) == nil)
        for (row, oracle) in oracles.enumerated() {
            let expected = oracle.result()
            let worst = (0..<64).reduce(0.0) { largest($0, abs(Double(partial.out[row, $1]) - expected.out[$1])) }
            #expect(worst <= 2e-6 * magnitude, "\(set) row \(row): \(worst)")
            #expect(abs(Double(partial.logSumExp[0, row]) - expected.logSumExp) <= 3e-5, "\(set) row \(row)")
        }
    }
}
