// In which way the ranks of a ring come to see each other's keys: by sending keys and values round, or by sending queries out.

/// How one exact attention is shared out over a ring.
public enum Schedule: String, Hashable, Sendable, CaseIterable {
    /// Keys and values go round; each rank attends its own queries to all of them.
    case passKV = "pass-kv"
    /// Queries go to whoever holds keys that they see; partial results come back and are merged by the queries' owner.
    case passQ = "pass-q"
}

/// Queries of one rank at consecutive positions.
public struct QueryRun: Hashable, Sendable {
    /// Their positions.
    public let chunk: Chunk
    /// The first one's row among the rank's own queries.
    public let firstRow: Int

    /// Queries at `chunk`, the first of which is row `firstRow`.
    public init(chunk: Chunk, firstRow: Int) { (self.chunk, self.firstRow) = (chunk, firstRow) }

    /// `positions`, which ascend, as runs: query row i is at `positions[i]`.
    public static func runs(of positions: some RandomAccessCollection<Int>) -> [QueryRun] {
        var runs: [QueryRun] = []
        for (row, position) in positions.enumerated() {
            if let last = runs.last, last.chunk.end == position {
                runs[runs.count - 1] = QueryRun(
                    chunk: Chunk(start: last.chunk.start, length: last.chunk.length + 1), firstRow: last.firstRow)
            } else {
                runs.append(QueryRun(chunk: Chunk(start: position, length: 1), firstRow: row))
            }
        }
        return runs
    }
}

extension ShardPlan {
    /// By rank, its queries: those at `positions`, which ascend, or all of them where that is `nil`, without the chunks that `active`,
    /// by rank and place in the shard, has as false.
    public func queryRuns(at positions: [Int]?, active: [[Bool]]? = nil) -> [[QueryRun]] {
        world.ranks.map { rank in
            if let positions { return QueryRun.runs(of: owned(positions, by: rank)) }
            var (runs, row): ([QueryRun], Int) = ([], 0)
            for (place, chunk) in chunks(of: rank).enumerated() {
                if active?[rank.index][place] ?? true { runs.append(QueryRun(chunk: chunk, firstRow: row)) }
                row += chunk.length
            }
            return runs
        }
    }

    /// By rank and place in its shard, which chunks have queries where only those at `positions`, which ascend, are computed.
    public func active(at positions: [Int]) -> [[Bool]] {
        world.ranks.map { rank in
            chunks(of: rank).map { chunk in
                let first = Mask.first(in: 0..<positions.count) { positions[$0] >= chunk.start }
                return first < positions.count && positions[first] < chunk.end
            }
        }
    }
}
