// Large page-aligned memory for KV blocks and receive buffers, outside malloc so that its size is what it says.
import CRingSystem
import Glibc
import Synchronization

/// Zeroed anonymous memory, freed when the last reference goes. Pages are taken from the system when first touched.
///
/// Unchecked because it hands out a mutable pointer: the pointer itself never changes, and who writes where is agreed
/// between the owner, its threads and the transport at which the memory is registered.
@safe public final class AnonymousMemory: @unchecked Sendable {
    /// The bytes. Valid as long as this object.
    public let bytes: UnsafeMutableRawBufferPointer
    /// Length in bytes, as asked for.
    public var byteCount: Int { unsafe bytes.count }
    /// True when another process can be let read it: then a rank on the same host takes messages straight out of it, if it is
    /// registered together with its owner (`register(_:keeping:)`).
    public var isShareable: Bool { descriptor >= 0 }

    /// The memfd that it is; negative when it is private.
    package let descriptor: Int32
    /// Addresses that are taken: whole huge pages, where there shall be some.
    private let mappedByteCount: Int
    /// Units of 2 MiB that need not be looked at again; empty where small pages will do.
    private let settled: Mutex<[Bool]>

    private static let hugePageBytes = 2 << 20

    /// `byteCount` bytes (at least one), aligned to a page, or to 2 MiB with a wish for huge pages when there are at
    /// least 2 MiB and `hugePages` is true. Shareable where the system allows it, if that `isShareable` is true; else private all
    /// the same. Throws `.system` when the system has no such stretch of addresses.
    public init(byteCount: Int, hugePages: Bool = true, isShareable: Bool = false) throws(TransportError) {
        precondition(byteCount > 0, "memory of \(byteCount) bytes")
        let isHuge = hugePages && byteCount >= Self.hugePageBytes
        var error: Int32 = 0
        if isShareable, byteCount < Int.max / 2 {
            let unit = isHuge ? Self.hugePageBytes : Int(ring_page_size())
            let whole = (byteCount + unit - 1) / unit * unit
            let descriptor = ring_shareable_create(whole)
            if descriptor >= 0 {
                guard let base = unsafe ring_shareable_map(descriptor, whole, true, &error) else {
                    _ = ring_socket_close(descriptor)
                    throw .system("\(byteCount) bytes of memory cannot be mapped: \(systemText(error))")
                }
                (self.descriptor, mappedByteCount) = (descriptor, whole)
                let units = isHuge && ring_huge_pages_are_allowed() ? whole / Self.hugePageBytes : 0
                settled = Mutex(Array(repeating: false, count: units))
                unsafe bytes = UnsafeMutableRawBufferPointer(start: base, count: byteCount)
                return
            }
        }
        guard let base = unsafe ring_memory_map(byteCount, isHuge, &error) else {
            throw .system("\(byteCount) bytes of memory cannot be mapped: \(systemText(error))")
        }
        (descriptor, mappedByteCount) = (-1, byteCount)
        settled = Mutex([])
        unsafe bytes = UnsafeMutableRawBufferPointer(start: base, count: byteCount)
    }

    deinit {
        if let base = unsafe bytes.baseAddress { _ = unsafe ring_memory_unmap(base, mappedByteCount) }
        if descriptor >= 0 { _ = ring_socket_close(descriptor) }
    }

    /// Gives the pages back to the system; every byte reads as zero afterwards.
    public func discard() {
        guard let base = unsafe bytes.baseAddress else { return }
        _ = unsafe isShareable ? ring_shareable_discard(base, mappedByteCount) : ring_memory_discard(base, bytes.count)
        settled.withLock { units in for unit in units.indices { units[unit] = false } }
    }

    /// Lays `range` on huge pages, before it is written for the first time: private memory gets them by itself when it is touched,
    /// shareable memory does so only where the administrator has changed a setting (`transparent_hugepage/shmem_enabled`). Takes the
    /// pages from the system, on the caller's NUMA node. What cannot be had is not said: small pages are merely slower.
    public func settle(_ range: Range<Int>) {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "bytes \(range) of \(byteCount)")
        guard isShareable, !range.isEmpty, let base = unsafe bytes.baseAddress else { return }
        settled.withLock { units in
            if units.isEmpty { return }
            for unit in range.lowerBound / Self.hugePageBytes...(range.upperBound - 1) / Self.hugePageBytes where !units[unit] {
                let error = unsafe ring_shareable_settle(base + unit * Self.hugePageBytes, Self.hugePageBytes)
                units[unit] = true
                // A kernel before 6.1 knows no such request, and will not learn it.
                if error == EINVAL { return units = [] }
            }
        }
    }

    /// What memory that peers on this host may read can be had as.
    public enum Lending: Sendable {
        /// Not at all: messages between workers of this host are copied twice.
        case impossible
        /// On small pages: kernels that read it wait for page walks.
        case smallPages
        /// On huge pages, like other memory.
        case hugePages
    }

    /// Tries it out on 2 MiB.
    public static func lending() -> Lending {
        guard let memory = try? AnonymousMemory(byteCount: hugePageBytes, isShareable: true), memory.isShareable,
            let base = unsafe memory.bytes.baseAddress
        else { return .impossible }
        guard ring_huge_pages_are_allowed() else { return .smallPages }
        return unsafe ring_shareable_settle(base, hugePageBytes) == 0 ? .hugePages : .smallPages
    }
}
