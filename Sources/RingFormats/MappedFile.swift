// A file mapped read-only. Weights are tens to hundreds of gigabytes: mapping lets each worker touch only the pages it needs and lets
// workers of one machine share them. This file and its `Mapped...` siblings are the only ones of this module that hold pointers.
//
// What a mapping cannot promise: if somebody truncates the file while it is mapped, touching the lost pages raises SIGBUS. Files are
// therefore opened by us for reading only, and writers of ours never shrink a file.

import Glibc

/// The bytes of a file, read-only, for as long as the object lives.
///
/// `@unchecked Sendable`: the mapping is created in `init`, never written and never moved, and is removed only in `deinit`, which runs
/// when no other reference exists.
@safe
public final class MappedFile: @unchecked Sendable {
    /// The path given at opening; used in error sentences.
    public let path: String
    /// Length of the file when it was opened.
    public let byteCount: Int
    private let base: UnsafeRawPointer?

    /// Maps a regular file. An empty file is legal and has no bytes.
    public init(path: String) throws(FormatError) {
        self.path = path
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw systemError("cannot open", path) }
        defer { _ = close(descriptor) }
        byteCount = try regularFileSize(descriptor, path)
        guard byteCount > 0 else {
            unsafe base = nil
            return
        }
        let address = unsafe mmap(nil, byteCount, PROT_READ, MAP_SHARED, descriptor, 0)
        guard let address = unsafe address, unsafe address != MAP_FAILED else { throw systemError("cannot map", path) }
        unsafe base = UnsafeRawPointer(address)
    }

    deinit {
        if let base = unsafe base { _ = unsafe munmap(UnsafeMutableRawPointer(mutating: base), byteCount) }
    }

    /// All bytes.
    public var bytes: RawSpan {
        @_lifetime(borrow self)
        get {
            let span = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(start: base, count: byteCount))
            return unsafe _overrideLifetime(span, borrowing: self)
        }
    }

    /// The bytes in `range`; an error if the file is shorter.
    @_lifetime(borrow self)
    public func bytes(in range: Range<Int>) throws(FormatError) -> RawSpan {
        guard range.lowerBound >= 0, range.upperBound <= byteCount else {
            throw .malformed(
                "\(path) ends at byte \(byteCount) but bytes \(range.lowerBound) to \(range.upperBound) are needed: fetch it again"
            )
        }
        return bytes.extracting(range)
    }

    /// Hands out the address of `range`, which must lie in the file. The pointer must not outlive `body`.
    public func withUnsafeBytes<Result, Failure: Error>(
        in range: Range<Int>, _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        precondition(range.lowerBound >= 0 && range.upperBound <= byteCount, "range outside the mapped file")
        let all = unsafe UnsafeRawBufferPointer(start: base, count: byteCount)
        return try unsafe body(UnsafeRawBufferPointer(rebasing: all[range]))
    }

    /// Tells the kernel that `range` will be read soon, so that it can start reading ahead.
    public func prefetch(_ range: Range<Int>) { advise(range, MADV_WILLNEED, inward: false) }

    /// Tells the kernel that the pages wholly inside `range` are not needed any more; reading them again is legal and costs a page fault.
    public func release(_ range: Range<Int>) { advise(range, MADV_DONTNEED, inward: true) }

    private func advise(_ range: Range<Int>, _ advice: Int32, inward: Bool) {
        guard let base = unsafe base else { return }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let range = range.clamped(to: 0..<byteCount)
        let start = (inward ? range.lowerBound + page - 1 : range.lowerBound) / page * page
        let end = inward && range.upperBound < byteCount ? range.upperBound / page * page : range.upperBound
        guard start < end else { return }
        // Advice that the kernel refuses changes nothing that the caller can see.
        _ = unsafe madvise(UnsafeMutableRawPointer(mutating: base + start), end - start, advice)
    }
}

/// Length of the regular file behind `descriptor`.
func regularFileSize(_ descriptor: Int32, _ path: String) throws(FormatError) -> Int {
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else { throw systemError("cannot examine", path) }
    switch status.st_mode & S_IFMT {
    case S_IFREG: return Int(status.st_size)
    case S_IFDIR: throw .unreadable("\(path) is a directory: give the path of a file")
    default: throw .unreadable("\(path) is not a regular file: copy its content to a file first")
    }
}

/// The last failure of the C library as a sentence about `path`.
func systemError(_ what: String, _ path: String, code: Int32 = errno) -> FormatError {
    let reason = unsafe String(cString: strerror(code))
    let advice =
        switch code {
        case ENOENT: "check the path"
        case EACCES, EPERM: "check the permissions"
        case ENOSPC, EDQUOT: "free some space"
        case EMFILE, ENFILE: "raise the limit on open files (ulimit -n)"
        case ENOMEM: "raise the limit on mapped memory (ulimit -v)"
        default: "check the path and the file system"
        }
    return .unreadable("\(what) \(path) (\(reason)): \(advice)")
}
