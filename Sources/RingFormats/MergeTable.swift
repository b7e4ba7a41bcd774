// The merges of a byte-pair model: which two adjacent tokens become which one, and how early.

/// Pair of token ids -> (rank, merged id). A lower rank is merged first.
struct MergeTable: Sendable {
    private var keys: [UInt64]  // left << 32 | right
    private var results: [UInt64]  // rank << 32 | merged id
    private(set) var count = 0
    private static let free = UInt64.max  // ids stay below Limits.vocabulary, so no pair looks like this
    /// Rank of what does not merge.
    static let none = UInt64.max

    init(capacity: Int) {
        var size = 64
        while size < capacity * 2 { size *= 2 }
        keys = [UInt64](repeating: Self.free, count: size)
        results = [UInt64](repeating: Self.none, count: size)
    }

    /// Later definitions of a pair replace earlier ones, as in tokenizers. At most `capacity` distinct pairs.
    mutating func insert(left: UInt32, right: UInt32, rank: UInt32, merged: UInt32) {
        let key = UInt64(left) << 32 | UInt64(right)
        let slot = slot(of: key)
        if keys[slot] == Self.free {
            count += 1
            precondition(count * 2 <= keys.count, "merge table is full")
        }
        keys[slot] = key
        results[slot] = UInt64(rank) << 32 | UInt64(merged)
    }

    /// `rank << 32 | merged id`, or `none`: comparing these compares ranks.
    @inline(__always)
    func result(_ left: UInt32, _ right: UInt32) -> UInt64 {
        results[slot(of: UInt64(left) << 32 | UInt64(right))]
    }

    @inline(__always)
    private func slot(of key: UInt64) -> Int {
        let mask = keys.count - 1
        var slot = Int(truncatingIfNeeded: ByteStringTable.mix(key)) & mask
        while keys[slot] != key, keys[slot] != Self.free { slot = (slot + 1) & mask }
        return slot
    }
}
