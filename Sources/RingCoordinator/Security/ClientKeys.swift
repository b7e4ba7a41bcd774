// Bearer keys of clients: `rmk_` and 256 random bits in hex. The file holds digests. Each key has an owner, whose jobs are queued together,
// and a role.

import Foundation

/// A client's key as it is kept and listed. It cannot be turned back into the key.
public struct ClientKeyRecord: Codable, Hashable, Sendable {
    /// What `key list` shows and `key revoke` takes.
    public let id: String
    /// The owner of the jobs that it submits.
    public let name: String
    /// What it may do.
    public let role: Role
    let digest: String
    /// When it was made, in seconds since 1970.
    public let createdAt: Int64
}

/// The client keys of a cluster.
public struct ClientKeys: Sendable {
    private let file: RecordFile<ClientKeyRecord>

    /// The keys in a state folder.
    public init(in folder: StateFolder) { file = RecordFile("client-keys.json", in: folder) }

    /// Makes a key. Its text is told once and kept nowhere.
    public func create(name: String, role: Role, now: Date = Date()) throws(SecurityError) -> (text: String, record: ClientKeyRecord) {
        guard Secrets.isName(name) else { throw .invalid("\(name) cannot be an owner's name: letters, digits, . _ - @, at most 63") }
        let text = "rmk_" + randomHex(bytes: 32)
        return try file.update { records throws(SecurityError) in
            guard records.count < SecurityLimits.keys else { throw .invalid("there are \(records.count) keys: revoke some first") }
            var id = Secrets.text(6, of: Secrets.tokenAlphabet)
            while records.contains(where: { $0.id == id }) { id = Secrets.text(6, of: Secrets.tokenAlphabet) }
            let record = ClientKeyRecord(
                id: id, name: name, role: role, digest: Secrets.digest(Data(text.utf8)), createdAt: now.unixSeconds)
            records.append(record)
            return (text, record)
        }
    }

    /// Every key, oldest first.
    public func list() throws(SecurityError) -> [ClientKeyRecord] { try file.current().records }

    /// Takes a key back, by its id. A running coordinator turns it away from then on.
    public func revoke(id: String) throws(SecurityError) -> ClientKeyRecord {
        try file.update { records throws(SecurityError) in
            guard let place = records.firstIndex(where: { $0.id == id }) else { throw .notFound("there is no key \(id)") }
            return records.remove(at: place)
        }
    }

    /// Whose key this is; `nil` if it is nobody's. Every key is compared, whichever it is.
    package func owner(of text: String) throws(SecurityError) -> ClientKeyRecord? {
        let digest = Secrets.digest(Data(text.utf8))
        var found: ClientKeyRecord?
        for record in try file.current().records where Secrets.areEqual(record.digest, digest) { found = record }
        return found
    }
}
