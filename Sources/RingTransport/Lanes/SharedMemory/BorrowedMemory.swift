// Our side as the reader of one pair: memory of the peer's that is mapped here, to be read only. Nothing that the peer says about it
// is believed: its descriptor is checked before it is mapped, and each place against what was mapped.
import CRingSystem

/// What one peer lets us read. The I/O thread alone uses it.
@safe package final class BorrowedMemory {
    @safe private struct Mapping {
        var key: UInt32
        var base: UnsafeMutableRawPointer
        /// Addresses that are taken.
        var mapped: Int
        /// The bytes that were lent.
        var range: Range<Int>
    }
    private var mappings: [Mapping] = []
    private var mappedBytes = 0
    /// Bytes that were read since the pages were last let go of.
    private var readBytes = 0

    package init() {}

    deinit { for mapping in mappings { _ = unsafe ring_memory_unmap(mapping.base, mapping.mapped) } }

    /// Maps what the peer lends; closes the descriptor. What cannot be mapped, or is not what it should be, is passed over: messages
    /// out of it come through the ring.
    package func take(_ notice: LoanNotice, _ descriptor: Int32) {
        defer { _ = ring_socket_close(descriptor) }
        var (byteCount, error) = (0, Int32(0))
        guard mappings.count < TransportLimits.lentRegions, !mappings.contains(where: { $0.key == notice.key }),
            unsafe ring_shareable_check(descriptor, notice.offset + notice.count, &byteCount) == 0,
            byteCount <= TransportLimits.lentBytes - mappedBytes,
            let base = unsafe ring_shareable_map(descriptor, byteCount, false, &error)
        else { return }
        mappedBytes += byteCount
        unsafe mappings.append(
            Mapping(key: notice.key, base: base, mapped: byteCount, range: notice.offset..<notice.offset + notice.count))
    }

    /// The `byteCount` bytes at `offset` behind `place`, if they lie in memory that was lent.
    package func start(of place: RemotePlace, _ offset: Int, _ byteCount: Int) -> UnsafeRawPointer? {
        guard let mapping = mappings.first(where: { $0.key == place.key }), let first = Int(exactly: place.place) else { return nil }
        let count = mapping.range.count
        guard offset >= 0, byteCount >= 0, first <= count, offset <= count - first, byteCount <= count - first - offset else { return nil }
        return unsafe UnsafeRawPointer(mapping.base + mapping.range.lowerBound + first + offset)
    }

    /// So many bytes have been read. From time to time the pages are let go of, which then count as the peer's alone: a process's own
    /// memory is what it is judged by.
    package func didRead(_ byteCount: Int) {
        readBytes += byteCount
        guard readBytes > TransportLimits.borrowedBytes else { return }
        readBytes = 0
        for mapping in mappings { _ = unsafe ring_memory_discard(mapping.base, mapping.mapped) }
    }

    /// The peer has forgotten a region; nothing that it said about it comes later.
    package func giveBack(_ key: UInt32) {
        guard let index = mappings.firstIndex(where: { $0.key == key }) else { return }
        let mapping = mappings.remove(at: index)
        mappedBytes -= mapping.mapped
        _ = unsafe ring_memory_unmap(mapping.base, mapping.mapped)
    }

    package var count: Int { mappings.count }
}
