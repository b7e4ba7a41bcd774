// A file of a size known in advance, written by several threads or processes at once, each its own range. Writing is `pwrite`, not a
// shared mapping: a full disk is then an error with a name instead of SIGBUS.

import Glibc

/// A file of fixed size that is open for writing; every method may be called from any thread.
public final class MappedOutput: Sendable {
    /// The path given at opening; used in error sentences.
    public let path: String
    /// Size of the file; writes beyond it are errors.
    public let byteCount: Int
    private let descriptor: Int32

    /// Creates or replaces `path` with `byteCount` zero bytes. The file is sparse until it is written.
    public init(creating path: String, byteCount: Int) throws(FormatError) {
        self.path = path
        self.byteCount = byteCount
        descriptor = unsafe open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw systemError("cannot create", path) }
        guard ftruncate(descriptor, byteCount) == 0 else {
            let error = systemError("cannot give \(byteCount) bytes to", path)
            _ = close(descriptor)
            throw error
        }
    }

    /// Opens an existing file for writing at its present size.
    public init(opening path: String) throws(FormatError) {
        self.path = path
        descriptor = unsafe open(path, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { throw systemError("cannot open for writing", path) }
        do {
            byteCount = try regularFileSize(descriptor, path)
        } catch {
            _ = close(descriptor)
            throw error
        }
    }

    deinit { _ = close(descriptor) }

    /// Writes all of `bytes` at `offset`. Ranges of different callers must not overlap; this is not checked.
    public func write(_ bytes: RawSpan, at offset: Int) throws(FormatError) {
        guard offset >= 0, bytes.byteCount <= byteCount - offset else {
            throw .invalid("\(bytes.byteCount) bytes at offset \(offset) do not fit into \(path), which has \(byteCount) bytes")
        }
        let code: Int32 = unsafe bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let written = unsafe pwrite(descriptor, buffer.baseAddress! + done, buffer.count - done, offset + done)
                if written > 0 {
                    done += written
                } else if written == 0 {
                    return ENOSPC
                } else if errno != EINTR {
                    return errno
                }
            }
            return 0
        }
        if code != 0 { throw systemError("cannot write", path, code: code) }
    }

    /// Writes all of `bytes` at `offset`.
    public func write(_ bytes: [UInt8], at offset: Int) throws(FormatError) {
        try unsafe write(bytes.span.bytes, at: offset)
    }

    /// Waits until everything written so far is on the device.
    public func synchronize() throws(FormatError) {
        guard fsync(descriptor) == 0 else { throw systemError("cannot flush", path) }
    }
}

extension [UInt8] {
    /// The elements as a raw span, for the length of `body`.
    func withRawSpan<Failure: Error>(_ body: (RawSpan) throws(Failure) -> Void) throws(Failure) {
        try unsafe body(span.bytes)
    }
}
