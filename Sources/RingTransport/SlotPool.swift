// Fixed tables with lists through them: what a message needs while it is under way is taken from here, so that moving a
// message allocates nothing.

/// `capacity` slots, of which each is free, taken, or taken and on one list. Not thread-safe: one mover owns it.
@safe package struct SlotPool<Slot: BitwiseCopyable>: ~Copyable {
    package let capacity: Int
    private let slots: UnsafeMutablePointer<Slot>
    /// The slot after each on its list; -1 at a list's end.
    private let links: UnsafeMutablePointer<Int32>
    private let taken: UnsafeMutablePointer<Bool>
    private var firstFree: Int32 = -1
    /// Slots from here on were never taken; their memory was never touched.
    private var untouched = 0
    package private(set) var takenCount = 0

    package init(capacity: Int) {
        self.capacity = capacity
        unsafe slots = .allocate(capacity: capacity)
        unsafe links = .allocate(capacity: capacity)
        unsafe taken = .allocate(capacity: capacity)
    }

    deinit {
        unsafe slots.deallocate()
        unsafe links.deallocate()
        unsafe taken.deallocate()
    }

    /// A slot that holds `value`, or `nil` when none is free.
    package mutating func take(_ value: Slot) -> Int? {
        let index: Int
        if firstFree >= 0 {
            index = Int(firstFree)
            firstFree = unsafe links[index]
        } else if untouched < capacity {
            index = untouched
            untouched += 1
        } else {
            return nil
        }
        takenCount += 1
        unsafe slots[index] = value
        unsafe links[index] = -1
        unsafe taken[index] = true
        return index
    }

    /// True for a slot that was taken and not released.
    package func isTaken(_ index: Int) -> Bool { unsafe index >= 0 && index < untouched && taken[index] }

    /// Gives a slot back; it must be on no list.
    package mutating func release(_ index: Int) {
        precondition(isTaken(index), "slot \(index) is not taken")
        unsafe taken[index] = false
        unsafe links[index] = firstFree
        firstFree = Int32(index)
        takenCount -= 1
    }

    package subscript(index: Int) -> Slot {
        // Addressors rather than coroutines: nothing is copied and nothing runs after the access.
        unsafeAddress {
            precondition(isTaken(index), "slot \(index) is not taken")
            return unsafe UnsafePointer(slots + index)
        }
        unsafeMutableAddress {
            precondition(isTaken(index), "slot \(index) is not taken")
            return unsafe slots + index
        }
    }

    /// Puts a taken slot at the end of a list.
    package mutating func append(_ index: Int, to list: inout SlotList) {
        unsafe links[index] = -1
        if list.last >= 0 { unsafe links[Int(list.last)] = Int32(index) } else { list.first = Int32(index) }
        list.last = Int32(index)
        list.count += 1
    }

    /// Takes the first slot off a list.
    package mutating func removeFirst(of list: inout SlotList) -> Int? {
        guard list.first >= 0 else { return nil }
        let index = Int(list.first)
        list.first = unsafe links[index]
        if list.first < 0 { list.last = -1 }
        unsafe links[index] = -1
        list.count -= 1
        return index
    }

    /// Takes a slot off the list it is on. Linear in its place.
    package mutating func remove(_ index: Int, from list: inout SlotList) {
        var before: Int32 = -1
        var at = list.first
        while at >= 0 && Int(at) != index {
            before = at
            at = unsafe links[Int(at)]
        }
        guard at >= 0 else { preconditionFailure("slot \(index) is not on the list") }
        let after = unsafe links[index]
        if before >= 0 { unsafe links[Int(before)] = after } else { list.first = after }
        if after < 0 { list.last = before }
        unsafe links[index] = -1
        list.count -= 1
    }

    /// The slot after `index` on its list, or `nil`.
    package func next(after index: Int) -> Int? {
        let link = unsafe links[index]
        return link >= 0 ? Int(link) : nil
    }
}

/// A list through a `SlotPool`, first in, first out.
package struct SlotList: BitwiseCopyable {
    fileprivate(set) var first: Int32 = -1
    fileprivate(set) var last: Int32 = -1
    package fileprivate(set) var count = 0

    package init() {}

    package var isEmpty: Bool { first < 0 }
    /// The first slot, or `nil`.
    package var head: Int? { first >= 0 ? Int(first) : nil }
}
