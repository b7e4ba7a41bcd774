// How large rounds of queries are, and what their buffers take: every rank cuts the same, so it follows from what all know.

/// Sizes of the rounds in which queries are passed.
public enum QueryRounds {
    /// Rounds of each kind that are held at once: one fills while the other is worked on.
    public static let slots = 2
    /// Bytes in one round of queries, and of the partial that comes back. Smaller rounds read the keys more often, larger ones overlap less and
    /// take more memory.
    public static let roundBytes = 4 << 20
    /// Bytes in which a rank keeps partials of its own queries until they are merged: with many ranks rounds get smaller, not memory larger.
    public static let partialsBytes = 128 << 20

    /// Rows of a round where no rank has more than `rowsMax` queries.
    public static func rows(rowsMax: Int, heads: Int, headDim: Int, valueDim: Int, world: WorldSize) -> Int {
        let bytes = min(roundBytes, partialsBytes / (slots * max(world.count - 1, 1)))
        let most = max(bytes / (4 * heads * max(headDim, valueDim + 1)), 1)
        // Whole tasks, so that no round ends with a small one.
        let whole = most > Limits.taskRows ? most / Limits.taskRows * Limits.taskRows : most
        return max(min(whole, rowsMax), 1)
    }

    /// Bytes of a round of queries and of its partial, each a whole number of cache lines.
    public static func sizes(rows: Int, heads: Int, headDim: Int, valueDim: Int) -> (queries: Int, partial: Int) {
        func whole(_ floats: Int) -> Int { (4 * floats + 63) / 64 * 64 }
        return (whole(rows * heads * headDim), whole(rows * heads * (valueDim + 1)))
    }

    /// Bytes of all buffers of a rank, the running state of a round included.
    public static func byteCount(rows: Int, heads: Int, headDim: Int, valueDim: Int, world: WorldSize) -> Int {
        let (queries, partial) = sizes(rows: rows, heads: heads, headDim: headDim, valueDim: valueDim)
        return slots * (queries + partial * world.count) + 4 * rows * heads * (valueDim + 2)
    }
}
