// A byte-pair model as data: what the trainer makes and tokenizer.json is written from.

/// A byte-level byte-pair model. Ids 0 to 255 are the bytes in the order of their values; id 256 + m is what merge m makes.
public struct BytePairModel: Hashable, Sendable {
    /// Two adjacent tokens that become one.
    public struct Merge: Hashable, Sendable {
        /// Id of the token on the left.
        public let left: UInt32
        /// Id of the token on the right.
        public let right: UInt32

        /// A merge of two earlier tokens.
        public init(left: UInt32, right: UInt32) {
            self.left = left
            self.right = right
        }
    }

    /// The merges, first to last.
    public let merges: [Merge]
    /// The bytes of each token by id.
    public let pieces: [[UInt8]]

    /// A model of the given merges, each of tokens that exist by then. No two tokens may stand for the same bytes.
    public init(merges: [Merge]) {
        var pieces = (0..<256).map { [UInt8($0)] }
        var known = ByteStringTable(capacity: merges.count)
        for merge in merges {
            precondition(Int(max(merge.left, merge.right)) < pieces.count, "a merge of tokens that do not exist yet")
            let piece = pieces[Int(merge.left)] + pieces[Int(merge.right)]
            let isNew = known.insert(piece, 0..<piece.count, UInt32(pieces.count))
            precondition(isNew, "two merges make the same token")
            pieces.append(piece)
        }
        self.merges = merges
        self.pieces = pieces
    }
}
