// A row's bits where rows stand alone: the same in any company. Ranks cut a context differently, and with it who is computed with whom.
import RingKernels
import Testing

@Suite("Rows that stand alone")
struct LoneRowTests {
    /// The bits of each row's state after its keys, computed in `groups` of neighbours.
    private func bits(_ inputs: AttentionInputs, _ groups: [Range<Int>], _ kernels: Kernels) throws -> [[UInt32]] {
        let shape = inputs.shape
        let state = try AttentionState.allocate(rows: shape.rows, valueDim: shape.valueDim)
        let scratch = try AttentionScratch()
        for group in groups {
            let (queries, part) = (inputs.q.rows(group), state.rows(group))
            if shape.spans != nil {
                kernels.attend(
                    queries: queries, keys: inputs.blocks, kvHead: shape.kvHead, scale: shape.scale, into: part, scratch: scratch
                ) {
                    shape.visible(group.lowerBound + $0)
                }
            } else {
                kernels.attend(
                    queries: queries, firstPosition: shape.queryPosition + group.lowerBound, keys: inputs.blocks, kvHead: shape.kvHead,
                    causal: shape.causal, scale: shape.scale, into: part, scratch: scratch)
            }
        }
        // Zeros of either sign are the same to the bins.
        return (0..<shape.rows).map { row in
            ([state.rowMax[0, row], state.rowSum[0, row]] + state.accumulator.array(ofRow: row)).map { ($0 + 0).bitPattern }
        }
    }

    /// `rows` cut at random into groups of neighbours, many of them small.
    private func groups(of rows: Int, using random: inout SplitMix) -> [Range<Int>] {
        var (groups, first): ([Range<Int>], Int) = ([], 0)
        while first < rows {
            let most = [1, 7, 40, 300].randomElement(using: &random) ?? 1
            let end = min(rows, first + Int.random(in: 1...most, using: &random))
            groups.append(first..<end)
            first = end
        }
        return groups
    }

    @Test("random neighbours, spans and sizes: no bit of a row changes", arguments: InstructionSet.supported)
    func company(set: InstructionSet) throws {
        var kernels = try Kernels(set)
        kernels.rowsStandAlone = true
        var random = SplitMix(seed: 77)
        for index in 0..<240 {
            var shape = AttentionCase()
            shape.rows = Int.random(in: 1...300, using: &random)
            shape.keys = Int.random(in: 1...1100, using: &random)
            (shape.headDim, shape.valueDim) = ([32, 40, 64, 128][index % 4], [32, 64, 72, 128][index / 4 % 4])
            shape.element = ElementType.allCases[index % ElementType.allCases.count]
            shape.seed = UInt64(index)
            switch index % 5 {
            case 0: break
            case 1, 2:
                shape.causal = true
                shape.queryPosition = Int.random(in: 0...shape.keys, using: &random)
            default:
                let firsts = (0..<shape.rows).map { _ in Int.random(in: 0...shape.keys, using: &random) }.sorted()
                let ends = (0..<shape.rows).map { _ in Int.random(in: 0...shape.keys, using: &random) }.sorted()
                shape.spans = zip(firsts, ends).map { min($0, $1)..<$1 }
            }
            let inputs = try shape.inputs()
            // Larger queries make scores, and maxima, that grow by much from block to block.
            for row in 0..<shape.rows where row % 3 == 0 {
                for column in 0..<shape.headDim { inputs.q[row, column] *= 16 }
            }
            let together = try bits(inputs, [0..<shape.rows], kernels)
            for _ in 0..<2 {
                let cut = groups(of: shape.rows, using: &random)
                let apart = try bits(inputs, cut, kernels)
                let row = (0..<shape.rows).first { together[$0] != apart[$0] }
                #expect(row == nil, "seed 77, \(index): \(set) \(shape), row \(row ?? 0) in groups \(cut)")
            }
        }
    }

    @Test("how it is said what a row sees makes no difference", arguments: InstructionSet.supported)
    func ways(set: InstructionSet) throws {
        var kernels = try Kernels(set)
        kernels.rowsStandAlone = true
        for element in ElementType.allCases {
            var shape = AttentionCase(rows: 300, keys: 1000, headDim: 64, valueDim: 64, element: element, causal: true)
            shape.queryPosition = 600
            let causal = try bits(try shape.inputs(), [0..<300], kernels)
            shape.spans = (0..<300).map { 0..<601 + $0 }
            #expect(try bits(try shape.inputs(), [0..<300], kernels) == causal, "\(set) \(element)")
            (shape.queryPosition, shape.spans) = (1000, nil)
            let after = try bits(try shape.inputs(), [0..<300], kernels)
            shape.causal = false
            #expect(try bits(try shape.inputs(), [0..<300], kernels) == after, "\(set) \(element)")
        }
    }
}
