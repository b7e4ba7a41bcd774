// A handful of slice offsets inside a slot of a table: which slices of one message are damaged or must go out again.

/// Up to `TransportLimits.retransmissions` + 1 offsets, in order of insertion.
package struct OffsetSet: BitwiseCopyable {
    private var offsets = InlineArray<4, Int>(repeating: 0)
    package private(set) var count = 0

    package init() {}

    package var isEmpty: Bool { count == 0 }

    package func contains(_ offset: Int) -> Bool {
        for index in 0..<count where offsets[index] == offset { return true }
        return false
    }

    package mutating func append(_ offset: Int) {
        precondition(count < offsets.count, "more offsets than retransmissions")
        offsets[count] = offset
        count += 1
    }

    package mutating func removeFirst() -> Int {
        precondition(count > 0, "no offset to remove")
        let first = offsets[0]
        remove(first)
        return first
    }

    /// Removes one occurrence.
    package mutating func remove(_ offset: Int) {
        var place = 0
        while place < count && offsets[place] != offset { place += 1 }
        if place == count { return }
        count -= 1
        for index in place..<count { offsets[index] = offsets[index + 1] }
    }
}
