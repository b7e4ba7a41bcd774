// Inputs that break softmax kernels: huge logits, gaps beyond exp's range, subnormals, NaN and infinities.
import RingKernels
import Testing

@Suite("Attention on hostile inputs")
struct AttentionHostileTests {
    /// Inputs with one query row's and some keys' values replaced before packing.
    private func inputs(_ shape: AttentionCase, edit: (AttentionInputs) -> Void) throws -> AttentionInputs {
        let drawn = try shape.inputs()
        edit(drawn)
        return try AttentionInputs(shape, q: drawn.q, k: drawn.k, v: drawn.v)
    }

    @Test("one huge logit takes all the weight", arguments: InstructionSet.supported)
    func hugeLogit(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            for position in [0, 63, 64, 300, 576] {
                let inputs = try inputs(AttentionCase(rows: 13, keys: 577, element: element)) { drawn in
                    for row in 0..<13 { drawn.q[row, 0] = 1000 }
                    drawn.k[position, 0] = 1000
                }
                let (partial, bad) = try inputs.partial(kernels)
                #expect(bad == nil)
                // The largest weight is 2^(what rounding the maximum left), 1 within 1%; bf16 rounds it, the sum keeps it.
                let bar = max(errorBar(set, element).out, 4e-7)
                for row in 0..<13 {
                    let gap = (0..<64).map { Double(abs(partial.out[row, $0] - inputs.v[position, $0])) }.reduce(0, largest)
                    #expect(gap <= 4 * bar, "\(set) \(element) row \(row)")
                    #expect(abs(partial.logSumExp[0, row] - 125_000) < 20)
                }
            }
        }
    }

    @Test("scores that rise by more than 88 a key rescale without overflow", arguments: InstructionSet.supported)
    func risingScores(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            for sign in [Float(1), -1] {
                let inputs = try inputs(AttentionCase(rows: 7, keys: 700, element: element)) { drawn in
                    for row in 0..<7 { drawn.q[row, 5] = 64 * sign }
                    for key in 0..<700 { drawn.k[key, 5] = Float(key) * 16 }
                }
                let (partial, bad) = try inputs.partial(kernels)
                #expect(bad == nil)
                let error = inputs.worstError(partial, rows: 0..<7)
                #expect(error.out <= errorBar(set, element).out * 8 && error.logSumExp <= 1e-5, "\(set) \(element): \(error)")
            }
        }
    }

    @Test("weights of earlier blocks count as much after the maximum has grown in each block", arguments: InstructionSet.supported)
    func growingMaximum(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            // By block of 64 keys the scores grow by 9 powers of two, or by 4: what was weighed before is 1/512 or 1/16 of what comes, far
            // above the error bar, and shrinks while it waits in the same key tile.
            // 32 rows are one strip of the tile kernel, which then meets one block after the other.
            for (growth, rows) in [(Float(50), 40), (22, 40), (50, 32), (22, 32)] {
                let inputs = try inputs(AttentionCase(rows: rows, keys: 700, element: element, seed: 3)) { drawn in
                    for row in 0..<rows { for column in 0..<64 { drawn.q[row, column] = column == 5 ? growth : 0 } }
                    for key in 0..<700 { drawn.k[key, 5] = Float(key / 64) }
                }
                let (partial, bad) = try inputs.partial(kernels)
                #expect(bad == nil)
                let error = inputs.worstError(partial, rows: 0..<rows)
                let bar = errorBar(set, element)
                #expect(error.out <= bar.out && error.logSumExp <= bar.logSumExp, "\(set) \(element) \(growth): \(error)")
            }
        }
    }

    @Test("subnormal inputs give finite results near the oracle", arguments: InstructionSet.supported)
    func subnormals(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            let inputs = try inputs(AttentionCase(rows: 7, keys: 130, element: element)) { drawn in
                for key in 0..<130 {
                    for column in 0..<64 {
                        drawn.k[key, column] *= 0x1p-130
                        drawn.v[key, column] *= column < 32 ? 0x1p-130 : 1
                    }
                }
            }
            let (partial, bad) = try inputs.partial(kernels)
            #expect(bad == nil)
            let error = inputs.worstError(partial, rows: 0..<7)
            #expect(error.out <= errorBar(set, element).out && error.logSumExp <= 2e-6, "\(set) \(element): \(error)")
        }
    }

    @Test("NaN and infinities in q, k or v are reported, never averaged away", arguments: InstructionSet.supported)
    func nonFinite(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        for element in ElementType.allCases {
            for poison in [Float.nan, .infinity, -.infinity] {
                for place in 0..<3 {
                    for keys in [1, 64, 577] {
                        let inputs = try inputs(AttentionCase(rows: 8, keys: keys, element: element, seed: 9)) { drawn in
                            switch place {
                            case 0: drawn.q[5, 3] = poison
                            case 1: drawn.k[keys / 2, 3] = poison
                            default: drawn.v[keys / 2, 3] = poison
                            }
                        }
                        let (partial, bad) = try inputs.partial(kernels)
                        #expect(bad == (place == 0 ? 5 : 0), "\(set) \(element) \(poison) in \(["q", "k", "v"][place]) of \(keys) keys")
                        let row = place == 0 ? 5 : 7
                        let seen = partial.out.array(ofRow: row) + [partial.logSumExp[0, row]]
                        #expect(seen.contains { !$0.isFinite }, "row \(row) hides \(poison)")
                    }
                }
            }
        }
    }

    @Test("a NaN behind the causal edge does not reach rows that cannot see its tile", arguments: InstructionSet.supported)
    func unseenNaN(set: InstructionSet) throws {
        let kernels = try Kernels(set)
        let inputs = try inputs(AttentionCase(rows: 6, keys: 640, causal: true, queryPosition: 100)) { drawn in
            drawn.k[600, 0] = .nan
            drawn.v[600, 0] = .nan
        }
        let (partial, bad) = try inputs.partial(kernels)
        #expect(bad == nil)
        #expect(partial.out.firstNonFiniteRow == nil)
    }
}
