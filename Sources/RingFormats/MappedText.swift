// Small files as a whole: configuration, tokenizers, indexes. They are read into memory with a limit, because a decoder that holds a
// copy cannot be surprised by somebody changing the file under it.

import Glibc

/// Whole small files.
public enum FileText {
    /// All bytes of a regular file, if there are at most `limit`.
    public static func bytes(path: String, limit: Int) throws(FormatError) -> [UInt8] {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw systemError("cannot open", path) }
        defer { _ = close(descriptor) }
        let size = try regularFileSize(descriptor, path)
        guard size <= limit else {
            throw .tooLarge("\(path) has \(size) bytes but at most \(limit) are read from such a file: check that it is the right one")
        }
        var code: Int32 = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            while count < size {
                let got = unsafe read(descriptor, buffer.baseAddress! + count, size - count)
                if got > 0 {
                    count += got
                } else if got == 0 {
                    return
                } else if errno != EINTR {
                    code = errno
                    return
                }
            }
        }
        if code != 0 { throw systemError("cannot read", path, code: code) }
        return bytes
    }

    /// Writes `text` beside `path` and renames it into place, so that nobody ever reads half a file.
    public static func write(_ text: String, path: String) throws(FormatError) {
        let temporary = path + ".\(getpid()).tmp"
        let bytes = [UInt8](text.utf8)
        do {
            let output = try MappedOutput(creating: temporary, byteCount: bytes.count)
            try output.write(bytes, at: 0)
        } catch {
            _ = unsafe unlink(temporary)
            throw error
        }
        do { try move(temporary, to: path) } catch {
            _ = unsafe unlink(temporary)
            throw error
        }
    }

    /// Gives the file at `part` the name `path` in one step, whatever had it before: somebody who looks finds the old file or the new one,
    /// also after a crash. Foundation has no such step on Linux. Throws where `path` is a folder or on another file system.
    public static func move(_ part: String, to path: String) throws(FormatError) {
        guard unsafe rename(part, path) == 0 else { throw systemError("cannot create", path) }
    }

    /// Whether something exists at `path` (of any kind; symbolic links are followed).
    public static func exists(path: String) -> Bool { unsafe access(path, F_OK) == 0 }

    /// Creates the folder at `path` and those above it; one that exists already is fine.
    public static func makeFolder(path: String) throws(FormatError) {
        var made = path.hasPrefix("/") ? "/" : ""
        for part in path.split(separator: "/") {
            made += made.isEmpty || made.hasSuffix("/") ? String(part) : "/" + part
            if unsafe mkdir(made, 0o777) != 0 && errno != EEXIST { throw systemError("cannot create the folder", made) }
        }
    }
}
