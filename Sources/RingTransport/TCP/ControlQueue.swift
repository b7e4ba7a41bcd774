// Frames without payload that wait to be written, as bytes: consents, acknowledgements and the like go out many at a time.
import CRingSystem
import RingCore

/// A ring of encoded frame headers, written by one thread and drained by the same one.
@safe struct ControlQueue: ~Copyable {
    private let bytes: UnsafeMutablePointer<UInt8>
    private let capacity: Int
    /// Byte positions that only grow; the place in the ring is the remainder.
    private var head = 0
    private var tail = 0

    init(frames: Int) {
        capacity = frames * FrameHeader.byteCount
        unsafe bytes = .allocate(capacity: capacity)
    }

    deinit { unsafe bytes.deallocate() }

    var isEmpty: Bool { head == tail }
    /// What waits.
    var byteCount: Int { tail - head }

    /// False when the queue is full.
    mutating func append(_ header: FrameHeader) -> Bool {
        if tail - head > capacity - FrameHeader.byteCount { return false }
        // Frames start at multiples of 64 and the capacity is one, so a frame never wraps.
        var span = unsafe MutableSpan(_unsafeStart: bytes + tail % capacity, count: FrameHeader.byteCount)
        header.encode(into: &span)
        tail += FrameHeader.byteCount
        return true
    }

    /// Fills up to two runs with what waits and returns how many.
    func runs(into runs: UnsafeMutablePointer<ring_bytes>) -> Int {
        if isEmpty { return 0 }
        let start = head % capacity
        let count = tail - head
        let first = min(count, capacity - start)
        unsafe runs[0] = ring_bytes(base: bytes + start, count: first)
        if first == count { return 1 }
        unsafe runs[1] = ring_bytes(base: bytes, count: count - first)
        return 2
    }

    /// Takes up to `count` written bytes off and returns how many it took.
    mutating func consume(_ count: Int) -> Int {
        let taken = min(count, tail - head)
        head += taken
        return taken
    }
}
