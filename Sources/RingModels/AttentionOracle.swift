// The judge: rows of an attention problem in double precision, straight from the definition, with no ring, no blocks and no
// running maximum that another rank could have seen.
import RingCore
import RingFormats
import RingKernels

/// One row of the result to be judged.
public struct OracleQuery: Hashable, Sendable {
    /// The query's position.
    public let position: Int
    /// The query head.
    public let head: Int

    /// The row of `head` at `position`.
    public init(position: Int, head: Int) {
        self.position = position
        self.head = head
    }
}

/// The right answer for one row.
public struct OracleAnswer: Sendable {
    /// [valueDim].
    public let out: [Double]
    /// Natural logarithm.
    public let lse: Double
}

/// Double-precision attention over an `AttentionSource`.
public enum AttentionOracle {
    static let chunkTokens = 4096

    /// The answers to `queries`, in order. Reads every key once: O(tokens x queries x headDim) time, one chunk of memory.
    /// `progress` gets tokens read.
    public static func answers(
        to queries: [OracleQuery], of source: AttentionSource, mask: Mask, scale: Double? = nil, progress: (Int) -> Void = { _ in }
    ) throws(ModelError) -> [OracleAnswer] {
        let shape = source.shape
        let factor = scale ?? 1 / Double(shape.headDim).squareRoot()
        var rows: [OracleRow] = []
        let (keys, values) = try buffers(shape)
        for query in queries {
            rows.append(OracleRow(query: try queryRow(query, source), valueDim: shape.valueDim, scale: factor))
        }
        let group = shape.heads / shape.kvHeads
        for first in stride(from: 0, to: shape.tokens, by: chunkTokens) {
            let count = min(chunkTokens, shape.tokens - first)
            do throws(FormatError) {
                try source.read(.key, first: first, into: keys.rows(0..<count))
                try source.read(.value, first: first, into: values.rows(0..<count))
            } catch { throw .format(error) }
            for (index, query) in queries.enumerated() {
                let (kvHead, seen) = (query.head / group, mask.runs(of: query.position))
                for run in [seen.sinks, seen.main] {
                    let visible = run.clamped(to: first..<first + count)
                    guard !visible.isEmpty else { continue }
                    let some = visible.lowerBound - first..<visible.upperBound - first
                    rows[index].feed(
                        keys: keys.rows(some).columns(kvHead * shape.headDim..<(kvHead + 1) * shape.headDim),
                        values: values.rows(some).columns(kvHead * shape.valueDim..<(kvHead + 1) * shape.valueDim))
                }
            }
            progress(first + count)
        }
        return rows.map { row in
            let result = row.result()
            return OracleAnswer(out: result.out, lse: result.logSumExp)
        }
    }

    private static func buffers(_ shape: AttentionSource.Shape) throws(ModelError) -> (keys: FloatRows, values: FloatRows) {
        do throws(KernelError) {
            return (
                try .allocate(rows: chunkTokens, columns: shape.width(of: .key)),
                try .allocate(rows: chunkTokens, columns: shape.width(of: .value))
            )
        } catch { throw .kernel(error) }
    }

    private static func queryRow(_ query: OracleQuery, _ source: AttentionSource) throws(ModelError) -> [Float] {
        let shape = source.shape
        let row: FloatRows
        do throws(KernelError) { row = try .allocate(rows: 1, columns: shape.width(of: .query)) } catch { throw .kernel(error) }
        do throws(FormatError) { try source.read(.query, first: query.position, into: row) } catch { throw .format(error) }
        return row.columns(query.head * shape.headDim..<(query.head + 1) * shape.headDim).array(ofRow: 0)
    }
}
