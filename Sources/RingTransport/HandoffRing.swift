// A bounded queue from one thread to one other thread, without locks and without allocation: posts go down by one,
// completions come up by another.
import Synchronization

/// One producer, one consumer. `head` and `tail` only grow; a slot is `index & mask`.
///
/// Unchecked because of the raw slots: the producer writes a slot before it publishes `tail`, the consumer reads it
/// before it publishes `head`, so no slot is touched by both at once.
@safe package final class HandoffRing<Element: BitwiseCopyable>: @unchecked Sendable {
    private let slots: UnsafeMutablePointer<Element>
    private let mask: Int
    private let head = Atomic<Int>(0)
    private let tail = Atomic<Int>(0)

    /// Room for at least `capacity` elements.
    package init(capacity: Int) {
        var size = 1
        while size < capacity { size *= 2 }
        mask = size - 1
        unsafe slots = .allocate(capacity: size)
    }

    deinit { unsafe slots.deallocate() }

    /// False when the ring is full.
    package func push(_ element: Element) -> Bool {
        let end = tail.load(ordering: .relaxed)
        if end - head.load(ordering: .acquiring) > mask { return false }
        unsafe slots[end & mask] = element
        tail.store(end + 1, ordering: .releasing)
        return true
    }

    /// `nil` when the ring is empty.
    package func pop() -> Element? {
        let start = head.load(ordering: .relaxed)
        if start == tail.load(ordering: .acquiring) { return nil }
        let element = unsafe slots[start & mask]
        head.store(start + 1, ordering: .releasing)
        return element
    }

    package var isEmpty: Bool { head.load(ordering: .relaxed) == tail.load(ordering: .acquiring) }
}
