// Bins: the same integers in whatever order tiles come and by whichever instruction set, and as near to the truth as f32 goes.
import Glibc
import RingKernels
import Testing

@Suite("Sums in bins")
struct AttentionBinsTests {
    /// What a tile has left in a row's state.
    private struct Partial {
        var max: Float, sum: Float, values: [Float]

        /// Fills one row of `state`.
        func fill(_ state: AttentionState) {
            for (column, value) in values.enumerated() { state.accumulator[0, column] = value }
            state.rowMax[0, 0] = max
            state.rowSum[0, 0] = sum
        }
    }

    private static let columns = 24

    /// Some partials whose maxima lie up to `spread` apart and whose values have exponents up to `range` apart. Some are empty, some zero.
    private func partials(_ count: Int, spread: Double, range: Double, using random: inout SplitMix) -> [Partial] {
        (0..<count).map { _ in
            if Int.random(in: 0..<8, using: &random) == 0 {
                return Partial(max: -.infinity, sum: 0, values: Array(repeating: 0, count: Self.columns))
            }
            let sum = Float.random(in: 1...1024, using: &random)
            let isZero = Int.random(in: 0..<9, using: &random) == 0
            let values = (0..<Self.columns).map { _ -> Float in
                isZero ? 0 : sum * Float.random(in: -1...1, using: &random) * Float(exp2(Double.random(in: -range...range, using: &random)))
            }
            return Partial(max: Float(Double.random(in: -spread...spread, using: &random)), sum: sum, values: values)
        }
    }

    /// The result of depositing `partials` in this order: `out` and, last, the log-sum-exp.
    private func result(_ partials: [Partial], _ kernels: Kernels, _ state: AttentionState, _ bins: AttentionBins) throws -> [Float] {
        bins.reset()
        for partial in partials {
            partial.fill(state)
            kernels.deposit(state, into: bins)
        }
        let end = try AttentionPartial.allocate(rows: 1, valueDim: Self.columns)
        _ = bins.finish(into: end)
        return end.out.array(ofRow: 0) + [end.logSumExp[0, 0]]
    }

    @Test("10,000 sets of tiles in random orders give the same bits by every instruction set")
    func orders() throws {
        var random = SplitMix(seed: 20_261_129)
        let all = try InstructionSet.supported.map { try Kernels($0) }
        let state = try AttentionState.allocate(rows: 1, valueDim: Self.columns)
        let bins = try AttentionBins.allocate(rows: 1, valueDim: Self.columns)
        for index in 0..<10_000 {
            // Windows are 32 binary places wide: from all tiles in one of them to each in one of its own.
            let spread = [0.5, 8, 40, 100, 3000, 1e9][index % 6]
            let some = partials(Int.random(in: 1...14, using: &random), spread: spread, range: index % 3 == 0 ? 50 : 1, using: &random)
            let first = try result(some, all[0], state, bins).map(\.bitPattern)
            for turn in 1...2 {
                let kernels = all[(index + turn) % all.count]
                let other = try result(some.shuffled(using: &random), kernels, state, bins).map(\.bitPattern)
                #expect(other == first, "seed 20261129, set \(index), \(kernels.instructionSet)")
            }
        }
    }

    @Test("the sum is that of the numbers themselves, rounded once, but for 2^-31 of a row's largest tile with each tile")
    func exactness() throws {
        var random = SplitMix(seed: 5)
        let kernels = try Kernels.selected()
        let state = try AttentionState.allocate(rows: 1, valueDim: Self.columns)
        let bins = try AttentionBins.allocate(rows: 1, valueDim: Self.columns)
        for index in 0..<3000 {
            let some = partials(
                Int.random(in: 1...200, using: &random), spread: [1, 30, 300][index % 3], range: index % 2 == 0 ? 1 : 20, using: &random)
            let got = try result(some, kernels, state, bins)
            let top = some.map { Double($0.max) }.max() ?? 0
            guard top > -.infinity else {
                #expect(got == Array(repeating: 0, count: Self.columns) + [-.infinity])
                continue
            }
            // 2^-1000 of a maximum counts for nothing here either.
            let weights = some.map { exp2(max(Double($0.max) - top, -1000)) }
            let whole = zip(some, weights).reduce(0.0) { $0 + Double($1.0.sum) * $1.1 }
            let largest = zip(some, weights).flatMap { tile, weight in tile.values.map { abs(Double($0)) * weight / whole } }.max() ?? 0
            for column in 0..<Self.columns {
                let exact = zip(some, weights).reduce(0.0) { $0 + Double($1.0.values[column]) * $1.1 } / whole
                let bar = abs(exact) * 0x1.01p-24 + Double(some.count) * largest * 0x1p-31 + 0x1p-149
                #expect(abs(Double(got[column]) - exact) <= bar, "seed 5, set \(index), column \(column): \(got[column]), \(exact)")
            }
            let lse = (top + log2(whole)) * 0x1.62e42fefa39efp-1
            #expect(abs(Double(got[Self.columns]) - lse) <= abs(lse) * 0x1.01p-24 + 1e-9, "seed 5, set \(index)")
        }
    }

    @Test("maxima of any size that scores can have, in any order, and rows that nothing has come to")
    func extremes() throws {
        let state = try AttentionState.allocate(rows: 1, valueDim: Self.columns)
        let bins = try AttentionBins.allocate(rows: 1, valueDim: Self.columns)
        func tile(_ max: Float, _ value: Float) -> Partial {
            Partial(max: max, sum: 2, values: Array(repeating: value, count: Self.columns))
        }
        let empty = Partial(max: -.infinity, sum: 0, values: Array(repeating: 0, count: Self.columns))
        for kernels in try InstructionSet.supported.map({ try Kernels($0) }) {
            #expect(try result([], kernels, state, bins) == Array(repeating: 0, count: Self.columns) + [-.infinity])
            #expect(try result([empty, empty], kernels, state, bins) == Array(repeating: 0, count: Self.columns) + [-.infinity])
            for far: Float in [1e3, 1e6, 1e12, 1e18] {
                let (low, high) = (tile(-far, 6), tile(far, 4))
                let forwards = try result([low, empty, high], kernels, state, bins)
                #expect(forwards == (try result([high, low], kernels, state, bins)))
                #expect(forwards.dropLast() == Array(repeating: 2, count: Self.columns)[...])
                #expect(abs(forwards[Self.columns] / Float(Double(far) * 0x1.62e42fefa39efp-1) - 1) < 1e-2)
                #expect(try result([low], kernels, state, bins).dropLast() == Array(repeating: 3, count: Self.columns)[...])
            }
            // Values near both ends of f32, alone and against each other.
            #expect(try result([tile(0, 2e38), tile(0, 1e-38)], kernels, state, bins)[0] == 5e37)
            #expect(try result([tile(0, 0x1p-140)], kernels, state, bins)[0] == 0x1p-141)
        }
    }

    @Test("what is not finite is reported, whatever comes before or after it")
    func notFinite() throws {
        let kernels = try Kernels.selected()
        let state = try AttentionState.allocate(rows: 3, valueDim: Self.columns)
        let good = Partial(max: 1, sum: 2, values: Array(repeating: 1, count: Self.columns))
        for (max, sum, value) in [
            (Float.nan, 1, 1), (.infinity, 1, 1), (1, .nan, 1), (1, .infinity, 1), (1, 1, .nan), (1, 1, -.infinity), (-.infinity, .nan, 0),
            (1e20, 1, 1), (1, 0, 1), (-.infinity, 0, 1),
        ] as [(Float, Float, Float)] {
            for place in 0..<3 {
                let bins = try AttentionBins.allocate(rows: 3, valueDim: Self.columns)
                for turn in 0..<3 {
                    for row in 0..<3 { good.fill(state.rows(row..<row + 1)) }
                    if turn == place {
                        Partial(max: max, sum: sum, values: [value] + Array(repeating: 0, count: Self.columns - 1)).fill(state.rows(1..<2))
                    }
                    kernels.deposit(state, into: bins)
                }
                let end = try AttentionPartial.allocate(rows: 3, valueDim: Self.columns)
                #expect(bins.finish(into: end) == 1, "\(max) \(sum) \(value) at \(place)")
                #expect(end.logSumExp[0, 1].isNaN && end.out[0, 0] == 0.5 && end.out[2, 0] == 0.5)
            }
        }
    }
}
