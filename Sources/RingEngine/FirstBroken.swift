// The first result that is not finite, found by several threads.
import RingCore
import Synchronization

/// The lowest row, and among its heads the lowest, that was found to be not finite.
final class FirstBroken: Sendable {
    private let found = Mutex<(row: Int, head: Int, peer: Rank)?>(nil)

    /// What was found first, in order of row and head.
    var first: (row: Int, head: Int, peer: Rank)? { found.withLock { $0 } }

    /// A row of `head` is not finite since the partial of `peer` was merged.
    func note(row: Int, head: Int, peer: Rank) {
        found.withLock { found in
            if let old = found, (old.row, old.head) <= (row, head) { return }
            found = (row, head, peer)
        }
    }
}
