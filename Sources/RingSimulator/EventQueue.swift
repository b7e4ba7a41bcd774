// What is to happen, in the order of virtual time; at one moment in the order in which it was put in.

/// A binary heap of small entries; what they stand for lies beside it and is not moved about.
struct EventQueue<Action> {
    private struct Entry {
        let time: Int64
        let order: UInt64
        let slot: Int

        func isBefore(_ other: Entry) -> Bool { time == other.time ? order < other.order : time < other.time }
    }

    private var heap: [Entry] = []
    private var actions: [Action?] = []
    private var free: [Int] = []
    private var order: UInt64 = 0

    var count: Int { heap.count }
    /// The most that were ever in it.
    private(set) var countMax = 0

    mutating func push(_ action: Action, at time: Int64) {
        let slot: Int
        if let reused = free.popLast() {
            slot = reused
            actions[slot] = action
        } else {
            slot = actions.count
            actions.append(action)
        }
        order += 1
        heap.append(Entry(time: time, order: order, slot: slot))
        countMax = max(countMax, heap.count)
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func pop() -> (time: Int64, action: Action)? {
        guard let first = heap.first, let last = heap.popLast() else { return nil }
        if !heap.isEmpty {
            heap[0] = last
            sink()
        }
        guard let action = actions[first.slot] else { preconditionFailure("slot \(first.slot) of the event queue is empty") }
        actions[first.slot] = nil
        free.append(first.slot)
        return (first.time, action)
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var least = parent
            let (left, right) = (2 * parent + 1, 2 * parent + 2)
            if left < heap.count, heap[left].isBefore(heap[least]) { least = left }
            if right < heap.count, heap[right].isBefore(heap[least]) { least = right }
            if least == parent { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}
