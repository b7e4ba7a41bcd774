// The token ids of open jobs. Workers fetch only their own chunks, so that a prompt crosses the wire once in all.

import RingControl

/// One job's prompt, which comes in pieces, in order or not.
package struct StoredPrompt {
    package private(set) var ids: [UInt32]
    private var isPresent: [Range<Int>] = []

    package init(tokens: Int) { ids = [UInt32](repeating: 0, count: tokens) }

    package var isWhole: Bool { isPresent.count == 1 && isPresent[0] == ids.indices }
    var byteCount: Int { ids.count * 4 }

    /// Whether a piece of `count` tokens lies in the prompt at `start`.
    func fits(_ count: Int, at start: Int) -> Bool { start >= 0 && start <= ids.count && count <= ids.count - start && count > 0 }

    /// Stores a piece; pieces may overlap. False if it does not fit.
    package mutating func store(_ piece: [UInt32], at start: Int) -> Bool {
        guard fits(piece.count, at: start) else { return false }
        ids.replaceSubrange(start..<start + piece.count, with: piece)
        var merged = start..<start + piece.count
        isPresent.removeAll { range in
            guard range.lowerBound <= merged.upperBound && merged.lowerBound <= range.upperBound else { return false }
            merged = min(range.lowerBound, merged.lowerBound)..<max(range.upperBound, merged.upperBound)
            return true
        }
        isPresent.append(merged)
        return true
    }
}
