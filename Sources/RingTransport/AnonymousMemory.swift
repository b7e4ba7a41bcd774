// Large page-aligned memory for KV blocks and receive buffers, outside malloc so that its size is what it says.
import CRingSystem

/// Zeroed anonymous memory, freed when the last reference goes. Pages are taken from the system when first touched.
///
/// Unchecked because it hands out a mutable pointer: the pointer itself never changes, and who writes where is agreed
/// between the owner, its threads and the transport at which the memory is registered.
@safe public final class AnonymousMemory: @unchecked Sendable {
    /// The bytes. Valid as long as this object.
    public let bytes: UnsafeMutableRawBufferPointer
    /// Length in bytes, as asked for.
    public var byteCount: Int { unsafe bytes.count }

    /// `byteCount` bytes (at least one), aligned to a page, or to 2 MiB with a wish for huge pages when there are at
    /// least 2 MiB and `hugePages` is true. Throws `.system` when the system has no such stretch of addresses.
    public init(byteCount: Int, hugePages: Bool = true) throws(TransportError) {
        precondition(byteCount > 0, "memory of \(byteCount) bytes")
        var error: Int32 = 0
        guard let base = unsafe ring_memory_map(byteCount, hugePages && byteCount >= 2 << 20, &error) else {
            throw .system("\(byteCount) bytes of memory cannot be mapped: \(systemText(error))")
        }
        unsafe bytes = UnsafeMutableRawBufferPointer(start: base, count: byteCount)
    }

    deinit {
        if let base = unsafe bytes.baseAddress { _ = unsafe ring_memory_unmap(base, bytes.count) }
    }

    /// Gives the pages back to the system; every byte reads as zero afterwards.
    public func discard() {
        if let base = unsafe bytes.baseAddress { _ = unsafe ring_memory_discard(base, bytes.count) }
    }
}
