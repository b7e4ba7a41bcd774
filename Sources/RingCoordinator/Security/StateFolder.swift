// The coordinator's state folder as far as keys, tokens and certificates lie in it. Each list is one small file that is replaced as a
// whole: written beside it, flushed, renamed. A lock on the folder keeps the command line and a running coordinator from
// losing each other's changes. Only the owner may look into the folder.

import Foundation

/// A folder with secrets.
public struct StateFolder: Sendable {
    /// Its path.
    public let path: String

    /// Opens the folder and shuts it to everybody but its owner; `creating` makes it if it is not there.
    public init(_ path: String, creating: Bool = false) throws(SecurityError) {
        self.path = path
        let files = FileManager.default
        do {
            if creating {
                try files.createDirectory(atPath: path, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            }
            let attributes = try files.attributesOfItem(atPath: path)
            guard attributes[.type] as? FileAttributeType == .typeDirectory else {
                throw SecurityError.file(path, reason: "this is not a folder")
            }
            if let mode = attributes[.posixPermissions] as? Int, mode & 0o077 != 0 {
                try files.setAttributes([.posixPermissions: 0o700], ofItemAtPath: path)
            }
        } catch let error as SecurityError {
            throw error
        } catch {
            throw .file(path, reason: "the state folder cannot be used: \(Self.sentence(error))")
        }
    }

    /// The path of a file in it.
    func path(of name: String) -> String { path + "/" + name }

    /// Whether it has a file of that name.
    func has(_ name: String) -> Bool { FileManager.default.fileExists(atPath: path(of: name)) }

    /// What tells one state of a file from another.
    struct Stamp: Hashable, Sendable {
        let number: Int
        let size: Int
        let changed: Date
    }

    /// The present state of a file; `nil` if it is not there.
    func stamp(of name: String) -> Stamp? {
        guard let attributes = try? FileManager.default.attributesOfItem(atPath: path(of: name)) else { return nil }
        return Stamp(
            number: attributes[.systemFileNumber] as? Int ?? 0, size: attributes[.size] as? Int ?? 0,
            changed: attributes[.modificationDate] as? Date ?? .distantPast)
    }

    /// A file's bytes; `nil` if it is not there.
    func read(_ name: String) throws(SecurityError) -> Data? {
        guard has(name) else { return nil }
        do {
            return try Data(contentsOf: URL(filePath: path(of: name)))
        } catch {
            throw .file(path(of: name), reason: Self.sentence(error))
        }
    }

    /// Reads a file that nobody but its owner may read.
    func readSecret(_ name: String) throws(SecurityError) -> Data {
        let path = path(of: name)
        let mode = (try? FileManager.default.attributesOfItem(atPath: path))?[.posixPermissions] as? Int
        guard let mode else { throw .file(path, reason: "this file is missing") }
        guard mode & 0o077 == 0 else {
            throw .file(path, reason: "others may read this secret (mode \(String(mode, radix: 8))): chmod 600 \(path)")
        }
        guard let data = try read(name) else { throw .file(path, reason: "this file is missing") }
        return data
    }

    /// Replaces a file as a whole: after a crash at any moment it holds the old bytes or the new ones. Call it under `locked`.
    func replace(_ name: String, with data: Data) throws(SecurityError) {
        do {
            // Foundation writes beside the file, flushes, and renames.
            try data.write(to: URL(filePath: path(of: name)), options: .atomic)
            var attributes: [FileAttributeKey: Any] = [.posixPermissions: 0o600]
            // Root may work on a folder of the coordinator's own user, who must still be able to read it.
            if geteuid() == 0 {
                let folder = try FileManager.default.attributesOfItem(atPath: path)
                for key in [FileAttributeKey.ownerAccountID, .groupOwnerAccountID] { attributes[key] = folder[key] }
            }
            try FileManager.default.setAttributes(attributes, ofItemAtPath: path(of: name))
        } catch {
            throw .file(path(of: name), reason: Self.sentence(error))
        }
    }

    /// Holds the folder's lock while `body` runs, and flushes the folder's names afterwards.
    func locked<Result>(_ body: () throws(SecurityError) -> Result) throws(SecurityError) -> Result {
        guard let folder = FileHandle(forReadingAtPath: path) else { throw .file(path, reason: "the state folder cannot be opened") }
        defer { try? folder.close() }
        let deadline = ContinuousClock.now + .seconds(SecurityLimits.lockSeconds)
        while flock(folder.fileDescriptor, LOCK_EX | LOCK_NB) != 0 {
            guard ContinuousClock.now < deadline else {
                throw .file(path, reason: "another process has held the state folder for \(Int(SecurityLimits.lockSeconds)) s: try again")
            }
            usleep(2000)
        }
        let result = try body()
        _ = fsync(folder.fileDescriptor)
        return result
    }

    /// The reason of one of Foundation's errors, without its domain and codes.
    static func sentence(_ error: any Error) -> String {
        let error = error as NSError
        let cause = error.userInfo[NSUnderlyingErrorKey] as? NSError
        return (cause ?? error).localizedDescription.replacingOccurrences(of: "The operation could not be completed. ", with: "")
    }
}
