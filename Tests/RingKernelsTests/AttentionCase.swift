// One attention problem, its answer by a set of kernels and its answer by the double-precision oracle.
import RingKernels

/// A small seeded generator for shapes; the tensors come from `fillNormals`.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}

struct AttentionCase: CustomStringConvertible {
    var rows = 7, keys = 100, headDim = 64, valueDim = 64
    var element = ElementType.f32
    var causal = false
    var queryPosition = 0, keyPosition = 0
    var seed: UInt64 = 1
    var kvHeads = 2, kvHead = 1
    /// What each row sees, where neither `causal` nor everything says it.
    var spans: [Range<Int>]?

    var description: String {
        "rows \(rows) keys \(keys) d \(headDim) vd \(valueDim) \(element) causal \(causal) at \(queryPosition)/\(keyPosition) seed \(seed)"
            + (spans.map { " spans \($0)" } ?? "")
    }

    var scale: Float { Float(1 / Double(headDim).squareRoot()) }

    /// Keys that row `row` sees.
    func visible(_ row: Int) -> Range<Int> {
        spans?[row] ?? 0..<(causal ? min(max(queryPosition + row - keyPosition + 1, 0), keys) : keys)
    }

    /// Seeded inputs, and blocks that hold them; q, k and v as the blocks' element can represent them.
    func inputs() throws -> AttentionInputs {
        let scalar = try Kernels(.scalar)
        let q = try FloatRows.allocate(rows: rows, columns: headDim)
        let k = try FloatRows.allocate(rows: keys, columns: headDim)
        let v = try FloatRows.allocate(rows: keys, columns: valueDim)
        for (tensor, rows) in [q, k, v].enumerated() { scalar.fillNormals(rows, seed: seed, tensor: UInt64(tensor)) }
        return try AttentionInputs(self, q: q, k: k, v: v)
    }
}

struct AttentionInputs {
    let shape: AttentionCase
    let q: FloatRows, k: FloatRows, v: FloatRows
    let blocks: KVBlocks

    init(_ shape: AttentionCase, q: FloatRows, k: FloatRows, v: FloatRows) throws {
        let layout = try KVLayout(kvHeads: shape.kvHeads, headDim: shape.headDim, valueDim: shape.valueDim, element: shape.element)
        var blocks = try KVBlocks.allocate(layout: layout, capacity: shape.keys, firstPosition: shape.keyPosition)
        _ = blocks.packKeys(k, head: shape.kvHead, at: 0)
        _ = blocks.packValues(v, head: shape.kvHead, at: 0)
        blocks.tokens = shape.keys
        blocks.unpackKeys(into: k, head: shape.kvHead, from: 0)
        blocks.unpackValues(into: v, head: shape.kvHead, from: 0)
        if shape.element == .bf16 { q.roundToBF16() }
        self.shape = shape
        (self.q, self.k, self.v) = (q, k, v)
        self.blocks = blocks
    }

    /// Adds all keys of the blocks to `state`.
    func attend(_ kernels: Kernels, into state: AttentionState) throws {
        if let spans = shape.spans {
            return kernels.attend(
                queries: q, keys: blocks, kvHead: shape.kvHead, scale: shape.scale, into: state, scratch: try AttentionScratch()
            ) { spans[$0] }
        }
        kernels.attend(
            queries: q, firstPosition: shape.queryPosition, keys: blocks, kvHead: shape.kvHead, causal: shape.causal, scale: shape.scale,
            into: state, scratch: try AttentionScratch())
    }

    /// The partial by `kernels`, and what `finish` said.
    func partial(_ kernels: Kernels) throws -> (partial: AttentionPartial, badRow: Int?) {
        let state = try AttentionState.allocate(rows: shape.rows, valueDim: shape.valueDim)
        try attend(kernels, into: state)
        let partial = try AttentionPartial.allocate(rows: shape.rows, valueDim: shape.valueDim)
        let bad = state.finish(into: partial)
        return (partial, bad)
    }

    func oracle(row: Int) -> (out: [Double], logSumExp: Double) {
        var oracle = OracleRow(query: q.array(ofRow: row), valueDim: shape.valueDim, scale: Double(shape.scale))
        oracle.feed(keys: k.rows(shape.visible(row)), values: v.rows(shape.visible(row)))
        return oracle.result()
    }

    /// Largest error of a partial against the oracle: outputs relative to max |v|, log-sum-exps relative to max(1, |lse|).
    /// An empty row must be exactly (0, -inf), else the error is infinite.
    func worstError(_ partial: AttentionPartial, rows: some Sequence<Int>) -> (out: Double, logSumExp: Double) {
        var worst = (out: 0.0, logSumExp: 0.0)
        let magnitude = max(
            (0..<shape.keys).lazy.map { row in v.array(ofRow: row).lazy.map { Double(abs($0)) }.max() ?? 0 }.max() ?? 1, 1e-300)
        for row in rows {
            let expected = oracle(row: row)
            for column in 0..<shape.valueDim {
                worst.out = largest(worst.out, abs(Double(partial.out[row, column]) - expected.out[column]) / magnitude)
            }
            let logSumExp = Double(partial.logSumExp[0, row])
            let same = logSumExp == expected.logSumExp
            worst.logSumExp = largest(worst.logSumExp, same ? 0 : abs(logSumExp - expected.logSumExp) / max(1, abs(expected.logSumExp)))
        }
        return worst
    }
}

/// The larger one; NaN counts as infinite, so that no comparison passes it over.
func largest(_ a: Double, _ b: Double) -> Double { b.isNaN ? .infinity : max(a, b) }

/// Error bars relative to max |v|, against what the blocks hold. VDPBF16PS rounds the weights to bf16 (2^-9 each), tiles to two bf16
/// values (2^-16) but for f32; everybody else keeps them in f32.
func errorBar(_ set: InstructionSet, _ element: ElementType) -> (out: Double, logSumExp: Double) {
    if set == .amx, element != .f32 { return (0x1p-16, 2e-6) }
    return set == .avx512bf16 && element == .bf16 ? (0x1p-8, 4e-6) : (2e-6, 2e-6)
}
