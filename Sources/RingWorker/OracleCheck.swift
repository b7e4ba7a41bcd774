// Rows of a result against exact attention in double precision, computed from the same inputs. The error is compared with
// a bar that follows from the arithmetic, so that "verified" means something at any size.

import Dispatch
import RingCore
import RingFormats
import RingKernels
import RingModels
import Synchronization

/// A check of some rows of an attention result.
public struct OracleCheck: Sendable {
    /// What came out.
    public struct Outcome: Sendable {
        /// Largest absolute difference of an output element from the oracle's.
        public fileprivate(set) var maxAbsError = 0.0
        /// Largest absolute difference of a log-sum-exp.
        public fileprivate(set) var maxAbsErrorLSE = 0.0
        /// Rows that were checked, heads not counted.
        public let rows: Int
        /// What `maxAbsError` may be.
        public fileprivate(set) var bar = 0.0
        /// Where keys and values were kept as int8: the largest difference from exact attention over the numbers that the bytes stand for,
        /// and what it may be. The bound on int8 allows for the worst, so this is what sees a fault of the ring.
        public fileprivate(set) var stored: (maxAbsError: Double, bar: Double)?

        /// Whether the result holds. NaN does not.
        public var holds: Bool { maxAbsError <= bar && (stored.map { $0.maxAbsError <= $0.bar } ?? true) }
    }

    /// Where the inputs come from.
    public let source: AttentionSource
    /// Which keys a query sees.
    public let mask: Mask
    /// Factor on q.k.
    public let scale: Double
    /// How keys and values were kept.
    public let kvElement: ElementType
    /// Where that is int8: what it may change, as the workers have said.
    public let errorBound: Double

    /// A check of attention over `source`; `scale` is 1 / sqrt(headDim) when `nil`.
    public init(source: AttentionSource, mask: Mask, scale: Double?, kvElement: ElementType, errorBound: Double = 0) {
        self.errorBound = errorBound
        self.source = source
        self.mask = mask
        self.scale = scale ?? 1 / Double(source.shape.headDim).squareRoot()
        self.kvElement = kvElement
    }

    /// Tokens whose keys and values are measured at a time.
    private static let sliceTokens = 1024

    /// Compares `rows` of a result: `result(row)` gives out [heads * valueDim] and lse [heads]. The oracle reads every key
    /// once a core: O(tokens x rows x heads) operations in all.
    public func run(
        rows: [Int], result: (_ row: Int) throws(FormatError) -> (out: [Float], lse: [Float])
    ) throws(ExecutionError) -> Outcome {
        let queries = rows.flatMap { row in (0..<source.shape.heads).map { OracleQuery(position: row, head: $0) } }
        let exact = try answers(queries, over: source)
        let stored = kvElement == .int8 ? try answers(queries, over: source.kept(as: .int8)) : nil
        var outcome = Outcome(rows: rows.count)
        do throws(FormatError) {
            let bar = try bar(rows: rows)
            outcome.bar = bar + (kvElement == .int8 ? errorBound : 0)
            var storedError = 0.0
            for (place, row) in rows.enumerated() {
                let (out, lse) = try result(row)
                for head in 0..<source.shape.heads {
                    let answer = place * source.shape.heads + head
                    let part = out[head * source.shape.valueDim..<(head + 1) * source.shape.valueDim]
                    Self.raise(&outcome.maxAbsError, to: Self.largest(part, exact[answer]))
                    Self.raise(&outcome.maxAbsErrorLSE, to: abs(Double(lse[head]) - exact[answer].lse))
                    if let stored { Self.raise(&storedError, to: Self.largest(part, stored[answer])) }
                }
            }
            if stored != nil { outcome.stored = (storedError, bar) }
        } catch { throw ExecutionParts.error(error) }
        return outcome
    }

    /// The largest difference of an element.
    private static func largest(_ out: ArraySlice<Float>, _ exact: OracleAnswer) -> Double {
        var largest = 0.0
        for (got, wanted) in zip(out, exact.out) { raise(&largest, to: abs(Double(got) - wanted)) }
        return largest
    }

    /// A maximum that a NaN cannot slip past.
    private static func raise(_ maximum: inout Double, to value: Double) {
        if !(value <= maximum) { maximum = value }
    }

    /// The oracle's answers, the queries shared out among the cores.
    private func answers(_ queries: [OracleQuery], over source: AttentionSource) throws(ExecutionError) -> [OracleAnswer] {
        let parts = max(1, min(MachineFacts().cpus, queries.count))
        let edges = (0...parts).map { queries.count * $0 / parts }
        let found = Mutex([[OracleAnswer]](repeating: [], count: parts))
        let failure = Mutex<ModelError?>(nil)
        DispatchQueue.concurrentPerform(iterations: parts) { part in
            do throws(ModelError) {
                let mine = Array(queries[edges[part]..<edges[part + 1]])
                let answers = try AttentionOracle.answers(to: mine, of: source, mask: mask, scale: scale)
                found.withLock { $0[part] = answers }
            } catch {
                failure.withLock { $0 = $0 ?? error }
            }
        }
        if let error = failure.withLock({ $0 }) { throw ExecutionParts.error(error) }
        return found.withLock { $0.flatMap { $0 } }
    }

    /// f32: 2e-6 of the largest value for scores as standard normals have them (below 16); a score's rounding error, and with
    /// it a weight's, grows with the score. bf16: a weight is rounded to 8 bits, 2^-7 of the largest value with what the sum
    /// adds; f32 inputs kept as bf16 are rounded before that, which moves scores by up to 2^-8 of their largest. int8: as f32 against what
    /// the bytes stand for, with tiles 2^-16, whichever the workers have; a weight times a step that is no normal number counts as zero, which
    /// is 2^-119 of a key at most.
    private func bar(rows: [Int]) throws(FormatError) -> Double {
        let tokens = min(rows.map { mask.runs(of: $0).main.upperBound }.max() ?? 0, source.shape.tokens)
        var (value, key, query) = (0.0, 0.0, 0.0)
        for first in stride(from: 0, to: tokens, by: Self.sliceTokens) {
            let count = min(Self.sliceTokens, tokens - first)
            let values = try read(.value, first: first, count: count)
            values.withSpan { span in
                for place in span.indices { value = max(value, Double(span[place].magnitude)) }
            }
            key = max(key, longest(try read(.key, first: first, count: count)))
        }
        for row in rows { query = max(query, longest(try read(.query, first: row, count: 1))) }
        let scores = key * query * scale
        if kvElement == .int8 { return value * 0x1p-16 * max(1, scores / 16) + Double(tokens) * 0x1p-119 }
        if kvElement == .f32 { return value * 2e-6 * max(1, scores / 16) }
        return value * 0x1p-7 * max(1, source.shape.element == .bf16 ? scores / 16 : scores)
    }

    private func read(_ tensor: AttentionSource.Tensor, first: Int, count: Int) throws(FormatError) -> FloatRows {
        let rows: FloatRows
        do throws(KernelError) {
            rows = try FloatRows.allocate(rows: count, columns: source.shape.width(of: tensor))
        } catch { throw .tooLarge("\(error)") }
        try source.read(tensor, first: first, into: rows)
        return rows
    }

    /// The largest norm among the vectors of `headDim` elements in `rows`.
    private func longest(_ rows: FloatRows) -> Double {
        let width = source.shape.headDim
        var longest = 0.0
        rows.withSpan { span in
            for start in stride(from: 0, to: span.count, by: width) {
                var sum = 0.0
                for place in start..<start + width { sum += Double(span[place]) * Double(span[place]) }
                longest = max(longest, sum)
            }
        }
        return longest.squareRoot()
    }
}
