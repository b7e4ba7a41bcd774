// One token's attention against the oracle, the scalar twin and the many-row path, over the shapes that break kernels.
import RingKernels
import Testing

extension AttentionInputs {
    /// The partial by the path of one token, from a state that may hold keys already.
    fileprivate func decoded(_ kernels: Kernels, from state: AttentionState? = nil) throws -> (partial: AttentionPartial, badRow: Int?) {
        let state = try state ?? AttentionState.allocate(rows: shape.rows, valueDim: shape.valueDim)
        kernels.decode(queries: q, keys: blocks, kvHead: shape.kvHead, scale: shape.scale, into: state, scratch: try AttentionScratch())
        let partial = try AttentionPartial.allocate(rows: shape.rows, valueDim: shape.valueDim)
        return (partial, state.finish(into: partial))
    }
}

/// No path of one token rounds weights to bf16 but those that are `attend` itself, and that one is not among them.
private let bar = (out: 2e-6, logSumExp: 2e-6)

@Suite("Decoding against the oracle")
struct DecodeTests {
    private func check(_ shape: AttentionCase, _ kernels: Kernels) throws {
        let inputs = try shape.inputs()
        let (partial, bad) = try inputs.decoded(kernels)
        #expect(bad == nil, "\(kernels.instructionSet) \(shape)")
        let error = inputs.worstError(partial, rows: 0..<shape.rows)
        #expect(error.out <= bar.out && error.logSumExp <= bar.logSumExp, "\(kernels.instructionSet) \(shape): \(error)")
    }

    @Test("every number of rows has its micro-kernel, and a group above 16 rows is cut", arguments: InstructionSet.supported)
    func rows(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for rows in Array(1...17) + [32, 33, 71] {
            for element in ElementType.allCases {
                for keys in [1, 67, 192] {
                    try check(AttentionCase(rows: rows, keys: keys, headDim: 128, valueDim: 128, element: element, seed: 3), kernels)
                }
            }
        }
    }

    @Test("every value width has its columns", arguments: InstructionSet.supported)
    func columns(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for valueDim in stride(from: 8, through: 256, by: 8) {
            for rows in [1, 6, 7, 13] {
                for element in ElementType.allCases {
                    let headDim = (valueDim + 96) % 256 + 8
                    try check(
                        AttentionCase(rows: rows, keys: 131, headDim: min(headDim, 256), valueDim: valueDim, element: element, seed: 4),
                        kernels)
                }
            }
        }
    }

    @Test("every number of keys in the last block", arguments: InstructionSet.supported)
    func lastBlock(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for keys in Array(1...65) + [127, 128, 129, 255, 511, 1021] {
            for element in ElementType.allCases {
                try check(
                    AttentionCase(rows: keys % 16 + 1, keys: keys, headDim: 64, valueDim: 72, element: element, seed: UInt64(keys)), kernels
                )
            }
        }
    }

    @Test("any head of a block with several", arguments: InstructionSet.supported)
    func heads(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for head in 0..<3 {
            for element in ElementType.allCases {
                try check(AttentionCase(rows: 5, keys: 200, element: element, seed: 5, kvHeads: 3, kvHead: head), kernels)
            }
        }
    }

    @Test("a state that has seen keys goes on where it stood, and no keys change nothing", arguments: InstructionSet.supported)
    func goesOn(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            for rows in [1, 4, 8, 16] {
                let state = try AttentionState.allocate(rows: rows, valueDim: 64)
                let (first, second) = (
                    AttentionCase(rows: rows, keys: 130, element: element, seed: 6),
                    AttentionCase(rows: rows, keys: 70, element: element, seed: 7)
                )
                let (one, two) = (try first.inputs(), try second.inputs())
                // The same queries over both runs of keys.
                let other = try AttentionInputs(second, q: one.q, k: two.k, v: two.v)
                _ = try one.decoded(kernels, from: state)
                let (partial, bad) = try other.decoded(kernels, from: state)
                #expect(bad == nil)
                for row in 0..<rows {
                    var oracle = OracleRow(query: one.q.array(ofRow: row), valueDim: 64, scale: Double(first.scale))
                    oracle.feed(keys: one.k, values: one.v)
                    oracle.feed(keys: other.k, values: other.v)
                    let expected = oracle.result()
                    let gap = (0..<64).map { abs(Double(partial.out[row, $0]) - expected.out[$0]) }.reduce(0, largest)
                    #expect(gap <= 1e-5 && abs(Double(partial.logSumExp[0, row]) - expected.logSumExp) <= 1e-5, "\(set) \(element) \(rows)")
                }
                var none = one.blocks
                none.tokens = 0
                let before = (0..<rows).map { state.accumulator.array(ofRow: $0) }
                kernels.decode(queries: one.q, keys: none, kvHead: 1, scale: first.scale, into: state, scratch: try AttentionScratch())
                #expect((0..<rows).map { state.accumulator.array(ofRow: $0) } == before)
            }
        }
    }

    @Test("agrees with the path for many rows", arguments: InstructionSet.supported)
    func manyRows(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            let inputs = try AttentionCase(rows: 11, keys: 577, headDim: 128, valueDim: 96, element: element, seed: 8).inputs()
            let (one, many) = (try inputs.decoded(kernels).partial, try inputs.partial(kernels).partial)
            let allowed = errorBar(set, element).out * 4
            for row in 0..<11 {
                let gap = (0..<96).map { abs(Double(one.out[row, $0] - many.out[row, $0])) }.reduce(0, largest)
                #expect(gap <= allowed * 4, "\(set) \(element) row \(row)")
            }
        }
    }

    @Test("scores that rise by more than 88 a key rescale without overflow", arguments: InstructionSet.supported)
    func risingScores(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            for sign in [Float(1), -1] {
                let shape = AttentionCase(rows: 9, keys: 700, element: element)
                let drawn = try shape.inputs()
                for row in 0..<9 { drawn.q[row, 5] = 64 * sign }
                for key in 0..<700 { drawn.k[key, 5] = Float(key) * 16 }
                let inputs = try AttentionInputs(shape, q: drawn.q, k: drawn.k, v: drawn.v)
                let (partial, bad) = try inputs.decoded(kernels)
                #expect(bad == nil)
                let error = inputs.worstError(partial, rows: 0..<9)
                #expect(error.out <= 16e-6 && error.logSumExp <= 1e-5, "\(set) \(element): \(error)")
            }
        }
    }

    @Test("NaN and infinities in q, k or v are reported, never averaged away", arguments: InstructionSet.supported)
    func nonFinite(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            for poison in [Float.nan, .infinity, -.infinity] {
                for place in 0..<3 {
                    for keys in [1, 64, 577] {
                        let shape = AttentionCase(rows: 8, keys: keys, element: element, seed: 9)
                        let drawn = try shape.inputs()
                        switch place {
                        case 0: drawn.q[5, 3] = poison
                        case 1: drawn.k[keys / 2, 3] = poison
                        default: drawn.v[keys / 2, 3] = poison
                        }
                        let (_, bad) = try AttentionInputs(shape, q: drawn.q, k: drawn.k, v: drawn.v).decoded(kernels)
                        #expect(bad == (place == 0 ? 5 : 0), "\(set) \(element) \(poison) in \(["q", "k", "v"][place]) of \(keys) keys")
                    }
                }
            }
        }
    }

    @Test("the plain read loop reads every byte", arguments: [0, 1, 7, 511, 512, 513, 4096, 5003])
    func reading(count: Int) throws {
        let bytes = try ByteRegion.allocate(byteCount: count)
        let kernels = try Kernels.selected()
        #expect(kernels.read(bytes) == 0)
        for place in Set([0, count / 3, count / 2, count - 1]) where place >= 0 && place < count {
            bytes[place] = 1
            #expect(kernels.read(bytes) != 0, "byte \(place) of \(count)")
            bytes[place] = 0
        }
    }
}
