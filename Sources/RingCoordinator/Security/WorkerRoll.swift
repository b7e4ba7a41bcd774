// Which certificate of which worker counts. A certificate that is not on the roll opens nothing, however well it is signed: that is how a
// worker is shut out before its certificate ends, and why a second machine cannot take a name that is in use.

import Foundation
import Synchronization

/// A worker that has been let in.
public struct WorkerRecord: Codable, Hashable, Sendable {
    struct Certificate: Codable, Hashable, Sendable {
        /// The serial number in hex.
        let serial: String
        let expiresAt: Int64
    }

    /// Its name.
    public let name: String
    /// When it joined, in seconds since 1970.
    public let joinedAt: Int64
    var certificates: [Certificate]

    /// When the last of its certificates ends.
    public var expiresAt: Int64 { certificates.map(\.expiresAt).max() ?? 0 }
}

/// The workers that have certificates.
public final class WorkerRoll: Sendable {
    private struct Index {
        var revision = -1
        var byName: [String: WorkerRecord] = [:]
    }

    private let file: RecordFile<WorkerRecord>
    private let index = Mutex(Index())

    /// The roll in a state folder.
    public init(in folder: StateFolder) { file = RecordFile("worker-roll.json", in: folder) }

    /// Every worker, in the order of joining.
    public func list() throws(SecurityError) -> [WorkerRecord] { try file.current().records }

    /// Whether a certificate counts.
    package func counts(serial: String, of name: String) throws(SecurityError) -> Bool {
        let (records, revision) = try file.current()
        return index.withLock { index in
            if index.revision != revision {
                index.byName = Dictionary(records.map { ($0.name, $0) }, uniquingKeysWith: { _, last in last })
                index.revision = revision
            }
            return index.byName[name]?.certificates.contains { $0.serial == serial } ?? false
        }
    }

    /// Throws `.exists` if a name may not be given, because its certificates are still good and it is not to be replaced.
    func check(_ name: String, mayReplace: Bool, now: Date = Date()) throws(SecurityError) {
        try Self.check(name, in: try file.current().records, mayReplace: mayReplace, now: now)
    }

    private static func check(_ name: String, in records: [WorkerRecord], mayReplace: Bool, now: Date) throws(SecurityError) {
        guard !mayReplace, let known = records.first(where: { $0.name == name }), known.expiresAt > now.unixSeconds else { return }
        throw .exists(
            "there is a worker of this name: give another one, or ask for a token that may replace it "
                + "(ringmaster token create --worker NAME)")
    }

    /// Lets a worker in with its first certificate. A name whose certificates are still good is only given anew when `mayReplace`.
    package func admit(
        _ name: String, serial: String, expiresAt: Int64, mayReplace: Bool, now: Date = Date()
    ) throws(SecurityError) {
        try file.update { records throws(SecurityError) in
            records.removeAll { $0.expiresAt < now.unixSeconds - 7 * 86_400 }
            try Self.check(name, in: records, mayReplace: mayReplace, now: now)
            records.removeAll { $0.name == name }
            guard records.count < SecurityLimits.workers else { throw .invalid("there are \(records.count) workers already") }
            records.append(
                WorkerRecord(name: name, joinedAt: now.unixSeconds, certificates: [.init(serial: serial, expiresAt: expiresAt)]))
        }
    }

    /// Adds the next certificate of a worker that is on the roll. The old one counts until it ends, so that nothing breaks off.
    package func renew(_ name: String, serial: String, expiresAt: Int64, now: Date = Date()) throws(SecurityError) {
        try file.update { records throws(SecurityError) in
            guard let place = records.firstIndex(where: { $0.name == name }) else { throw .notFound("there is no worker \(name)") }
            var certificates = records[place].certificates.filter { $0.expiresAt > now.unixSeconds }
            certificates.append(.init(serial: serial, expiresAt: expiresAt))
            records[place].certificates = certificates.suffix(SecurityLimits.certificatesPerWorker)
        }
    }

    /// Shuts a worker out. A running coordinator turns it away from then on.
    public func remove(_ name: String) throws(SecurityError) {
        try file.update { records throws(SecurityError) in
            guard records.contains(where: { $0.name == name }) else { throw .notFound("there is no worker \(name)") }
            records.removeAll { $0.name == name }
        }
    }
}
