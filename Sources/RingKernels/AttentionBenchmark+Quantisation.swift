// What int8 storage costs in a benchmark's answers: some rows against the double-precision oracle over the numbers that were packed, beside
// the bound that follows from the scales.

extension AttentionBenchmark {
    /// The error of int8 keys and values in some rows of the first head.
    public struct Quantisation: Hashable, Sendable {
        /// The largest error of an output element in the rows that were looked at.
        public let errorMax: Double
        /// The smallest bound of those rows (`KVQuantisation.errorBound`).
        public let errorBound: Double
        /// The largest error as a share of its own row's bound; above 1 something is broken.
        public let boundFraction: Double
        /// How many rows were looked at.
        public let rows: Int
    }
}

extension BenchmarkWork {
    private static let rowsChecked = 8

    /// Checks rows of the first head, spread over the context, after a run. Nil unless the blocks are int8.
    func quantisation() throws(KernelError) -> AttentionBenchmark.Quantisation? {
        guard let steps = keys.quantisation(head: 0) else { return nil }
        let keyRows = try FloatRows.allocate(rows: shape.tokens, columns: shape.headDim)
        let valueRows = try FloatRows.allocate(rows: shape.tokens, columns: shape.valueDim)
        Self.draw(keyRows, valueRows, head: 0, try Kernels(.scalar))
        let partial = try AttentionPartial.allocate(rows: shape.tokens, valueDim: shape.valueDim)
        _ = states[0].finish(into: partial)
        let scale = Double(Float(1 / Double(shape.headDim).squareRoot()))
        var (errorMax, errorBound, fraction) = (0.0, Double.infinity, 0.0)
        let count = min(Self.rowsChecked, shape.tokens)
        for index in 1...count {
            let row = shape.tokens * index / count - 1
            let query = queries[0].array(ofRow: row)
            var oracle = OracleRow(query: query, valueDim: shape.valueDim, scale: scale)
            let seen = 0..<(shape.causal ? row + 1 : shape.tokens)
            oracle.feed(keys: keyRows.rows(seen), values: valueRows.rows(seen))
            let exact = oracle.result().out
            let error = exact.indices.map { abs(exact[$0] - Double(partial.out[row, $0])) }.max() ?? 0
            let bound = steps.errorBound(query: query, scale: scale)
            errorMax = max(errorMax, error)
            errorBound = min(errorBound, bound)
            fraction = max(fraction, error / bound)
        }
        return AttentionBenchmark.Quantisation(errorMax: errorMax, errorBound: errorBound, boundFraction: fraction, rows: count)
    }
}
