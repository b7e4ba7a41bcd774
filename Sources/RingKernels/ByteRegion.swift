// A run of bytes that several threads read and write in disjoint parts: KV blocks, wire buffers, mapped weights.
import Glibc

/// A view of bytes that keeps its memory alive. Copies are views of the same bytes.
///
/// Sendable without a lock: the engine hands disjoint ranges to its threads and orders phases by its own barriers; a
/// view never moves or frees memory while another exists. Out-of-range use stops the process.
@safe public struct ByteRegion: @unchecked Sendable {
    /// Bytes in view.
    public let byteCount: Int
    let base: UnsafeMutableRawPointer
    let owner: AnyObject?

    /// Fresh memory, zero, page aligned, on huge pages where the kernel has them. Not touched until used.
    public static func allocate(byteCount: Int) throws(KernelError) -> ByteRegion {
        let memory = try MappedMemory(byteCount: byteCount)
        return unsafe ByteRegion(base: memory.base, byteCount: byteCount, owner: memory)
    }

    /// A view of memory that somebody else owns. `owner` is kept alive by every copy; without one the caller answers for
    /// the memory outliving them.
    @unsafe public init(base: UnsafeMutableRawPointer, byteCount: Int, owner: AnyObject?) {
        precondition(byteCount >= 0)
        unsafe self.base = base
        self.byteCount = byteCount
        self.owner = owner
    }

    /// A view of anonymous memory that `owner` has mapped and keeps; counted among what is mapped (`LiveMemory`) as long as a view of
    /// it lives.
    @unsafe public init(counting bytes: UnsafeMutableRawBufferPointer, owner: any AnyObject & Sendable) {
        guard let base = bytes.baseAddress else { preconditionFailure("memory without an address") }
        unsafe self.init(base: base, byteCount: bytes.count, owner: CountedMemory(base, bytes.count, owner))
    }

    /// The bytes at `range`, relative to this view.
    public subscript(range: Range<Int>) -> ByteRegion {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "bytes \(range) of \(byteCount)")
        return unsafe ByteRegion(base: base + range.lowerBound, byteCount: range.count, owner: owner)
    }

    /// One byte.
    public subscript(offset: Int) -> UInt8 {
        get {
            precondition(offset >= 0 && offset < byteCount, "byte \(offset) of \(byteCount)")
            return unsafe base.load(fromByteOffset: offset, as: UInt8.self)
        }
        nonmutating set {
            precondition(offset >= 0 && offset < byteCount, "byte \(offset) of \(byteCount)")
            unsafe base.storeBytes(of: newValue, toByteOffset: offset, as: UInt8.self)
        }
    }

    /// The bytes for a system call or a transport. Valid while a copy of this view lives.
    @unsafe public var buffer: UnsafeMutableRawBufferPointer {
        unsafe UnsafeMutableRawBufferPointer(start: base, count: byteCount)
    }

    /// The bytes to read.
    public var bytes: RawSpan {
        @_lifetime(borrow self) get {
            let span = unsafe RawSpan(_unsafeStart: base, byteCount: byteCount)
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// Sets every byte to zero.
    public func clear() { unsafe base.initializeMemory(as: UInt8.self, repeating: 0, count: byteCount) }

    /// Gives the pages that lie whole in this view back to the system; they read as zero afterwards.
    public func discard() {
        let page = 4096
        let start = (Int(bitPattern: unsafe base) + page - 1) / page * page
        let end = (Int(bitPattern: unsafe base) + byteCount) / page * page
        guard end > start else { return }
        let first = unsafe base + (start - Int(bitPattern: base))
        // Memory that other processes may read is given back for all of them; private memory knows no such request.
        if unsafe madvise(first, end - start, MADV_REMOVE) != 0 { unsafe madvise(first, end - start, MADV_DONTNEED) }
    }

    /// Copies `source` to `offset`; the ranges may overlap.
    public func copy(from source: ByteRegion, at offset: Int = 0) {
        precondition(offset >= 0 && offset + source.byteCount <= byteCount, "copy past the end")
        unsafe (base + offset).copyMemory(from: source.base, byteCount: source.byteCount)
    }

    /// Copies `source` to `offset`.
    public func copy(from source: RawSpan, at offset: Int = 0) {
        precondition(offset >= 0 && offset + source.byteCount <= byteCount, "copy past the end")
        unsafe source.withUnsafeBytes { bytes in
            guard let start = bytes.baseAddress else { return }
            unsafe (base + offset).copyMemory(from: start, byteCount: bytes.count)
        }
    }
}

/// Anonymous pages, returned to the system when the last view is gone.
@safe final class MappedMemory {
    let base: UnsafeMutableRawPointer
    private let mappedByteCount: Int

    init(byteCount: Int) throws(KernelError) {
        let page = 4096
        let hugePage = 2 << 20
        guard byteCount >= 0, byteCount < Int.max - page else { throw .outOfMemory(byteCount: byteCount) }
        mappedByteCount = max(byteCount, 1)
        let mapped = unsafe mmap(nil, mappedByteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        guard let mapped = unsafe mapped, unsafe mapped != MAP_FAILED else { throw .outOfMemory(byteCount: byteCount) }
        if mappedByteCount >= hugePage { unsafe madvise(mapped, mappedByteCount, MADV_HUGEPAGE) }
        unsafe base = mapped
        unsafe LiveMemory.add(mapped, mappedByteCount)
    }

    deinit {
        unsafe LiveMemory.remove(base)
        unsafe munmap(base, mappedByteCount)
    }
}

/// Memory of another owner, on the list of what is mapped.
@safe private final class CountedMemory {
    private let base: UnsafeMutableRawPointer
    private let owner: any AnyObject & Sendable

    init(_ base: UnsafeMutableRawPointer, _ byteCount: Int, _ owner: any AnyObject & Sendable) {
        unsafe self.base = base
        self.owner = owner
        unsafe LiveMemory.add(base, max(byteCount, 1))
    }

    deinit { unsafe LiveMemory.remove(base) }
}
