// A list of records in one JSON file of the state folder, as the command line and a running coordinator share it. Readers look at the
// file again when it has changed; writers change what they have just read, under the folder's lock.

import Foundation
import Synchronization

/// A list that lives in a file.
final class RecordFile<Record: Codable & Sendable>: Sendable {
    private struct Document: Codable {
        var schemaVersion = 1
        var records: [Record]
    }
    private struct Cache {
        var stamp: StateFolder.Stamp?
        var isRead = false
        var records: [Record] = []
        /// Counts changes, so that what is made of the records can be kept beside them.
        var revision = 0
    }

    private let folder: StateFolder
    private let name: String
    private let cache = Mutex(Cache())

    init(_ name: String, in folder: StateFolder) { (self.name, self.folder) = (name, folder) }

    /// The records as they are now, and a number that changes with them. The file is looked at each time: a key that was just
    /// made must be known, and one that was just revoked must not be.
    func current() throws(SecurityError) -> (records: [Record], revision: Int) {
        try cache.withLock { cache throws(SecurityError) in
            let stamp = folder.stamp(of: name)
            if !cache.isRead || stamp != cache.stamp {
                cache.records = try read()
                cache.stamp = stamp
                cache.revision += 1
                cache.isRead = true
            }
            return (cache.records, cache.revision)
        }
    }

    /// Changes the records. When it returns, the change is on disk; when `change` throws, nothing has changed.
    func update<Result>(_ change: (inout [Record]) throws(SecurityError) -> Result) throws(SecurityError) -> Result {
        try folder.locked { () throws(SecurityError) in
            var records = try read()
            let result = try change(&records)
            let data: Data
            do {
                data = try ControlJSON.encode(Document(records: records)) + Data("\n".utf8)
            } catch {
                throw .file(folder.path(of: name), reason: "cannot be encoded: \(error)")
            }
            try folder.replace(name, with: data)
            cache.withLock { $0.isRead = false }
            return result
        }
    }

    private func read() throws(SecurityError) -> [Record] {
        guard let data = try folder.read(name) else { return [] }
        let document: Document
        do {
            document = try ControlJSON.decode(Document.self, from: data)
        } catch {
            throw .damaged(folder.path(of: name), reason: "restore it from a backup, or delete it and everything that it lists")
        }
        guard document.schemaVersion == 1 else {
            throw .damaged(folder.path(of: name), reason: "a newer version wrote it (schema \(document.schemaVersion))")
        }
        return document.records
    }
}
