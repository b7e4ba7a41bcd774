// The memory that the two ranks of a pair share: a ring of bytes for each direction, and what each says to the other about
// them. Nothing that is read from it is believed: the other side may write anything at any time.
import CRingSystem
import Glibc

/// The layout:
///
///     0x100  caller's tail: bytes that it has written to ring 0, ever     0x180  listener's head: bytes it has read of them
///     0x200  listener's tail, ring 1                                      0x280  caller's head
///     0x300  caller's wake                                                0x380  listener's wake
///     0x1000 ring 0, then ring 1, `ringBytes` each
///
/// All words are 8 bytes, native order: both sides are on one machine. Each has two cache lines to itself, because
/// processors fetch lines in pairs.
@safe package final class SharedSegment {
    /// Bytes of one direction's ring: four slices, so that one is written while another is read; two of these stay in an
    /// ordinary second-level cache. A multiple of 64.
    package static let ringBytes = 1 << 20
    package static let byteCount = 4096 + 2 * ringBytes

    /// One direction, as this side sees it.
    @safe package struct Direction {
        package let tail: UnsafeMutablePointer<UInt64>
        package let head: UnsafeMutablePointer<UInt64>
        package let bytes: UnsafeMutableRawPointer
    }

    /// What this side writes and what it reads.
    package let outgoing: Direction
    package let incoming: Direction
    /// What this side wants to be woken for, and what the other does.
    package let ownWake: UnsafeMutablePointer<UInt64>
    package let peerWake: UnsafeMutablePointer<UInt64>
    private let base: UnsafeMutableRawPointer

    /// Maps a descriptor that has been checked, and leaves it open.
    init(_ descriptor: Int32, isDialer: Bool) throws(LaneFailure) {
        var error: Int32 = 0
        guard let base = unsafe ring_shared_map(descriptor, Self.byteCount, &error) else {
            throw LaneFailure("\(Self.byteCount) bytes of shared memory cannot be mapped: \(systemText(error))")
        }
        func word(_ offset: Int) -> UnsafeMutablePointer<UInt64> { unsafe (base + offset).assumingMemoryBound(to: UInt64.self) }
        let rings = unsafe [
            Direction(tail: word(0x100), head: word(0x180), bytes: base + 4096),
            Direction(tail: word(0x200), head: word(0x280), bytes: base + 4096 + Self.ringBytes),
        ]
        unsafe self.base = base
        (outgoing, incoming) = isDialer ? (rings[0], rings[1]) : (rings[1], rings[0])
        unsafe (ownWake, peerWake) = isDialer ? (word(0x300), word(0x380)) : (word(0x380), word(0x300))
    }

    deinit { _ = unsafe ring_memory_unmap(base, Self.byteCount) }
}
