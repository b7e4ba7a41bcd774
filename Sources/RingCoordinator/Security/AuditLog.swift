// Who did what to the cluster, one JSON object a line, each with the digest of itself and of the line before: a line that is changed, taken
// out or put in breaks the chain. (Lines cut off at the end leave no trace in the file itself: keep the last digest elsewhere
// to see that too.) A line is on disk before what it tells is done.

import Foundation

/// One line of the audit log.
public struct AuditEntry: Codable, Hashable, Sendable {
    /// Counts lines from one.
    public let seq: Int
    /// When, in seconds since 1970.
    public let at: Int64
    /// Who: an owner's name, `worker:NAME`, or `cli:USER` for the commands that work on the state folder.
    public let actor: String
    /// What was done.
    public let action: AuditAction
    /// To whom or what.
    public let target: String
    /// More about it; never a secret.
    public let detail: String?
    /// The digest of the line before; 64 zeros in the first.
    public let previous: String
    /// SHA-256 of this object with an empty `hash`, keys sorted.
    public internal(set) var hash: String

    func digest() throws(SecurityError) -> String {
        var bare = self
        bare.hash = ""
        do {
            return Secrets.digest(try ControlJSON.encode(bare))
        } catch {
            throw .invalid("an audit entry cannot be encoded: \(error)")
        }
    }
}

/// What is written to the audit log.
public enum AuditAction: String, Codable, Sendable, CaseIterable {
    /// A certificate authority was made.
    case clusterInit = "cluster_init"
    /// A join token was made.
    case tokenCreate = "token_create"
    /// A join token was taken back.
    case tokenRevoke = "token_revoke"
    /// A client key was made.
    case keyCreate = "key_create"
    /// A client key was taken back.
    case keyRevoke = "key_revoke"
    /// A worker joined with a token.
    case join
    /// A worker was given its next certificate.
    case certificateIssue = "certificate_issue"
    /// A worker was shut out.
    case workerRevoke = "worker_revoke"
    /// A worker was told to take no new job.
    case drainWorker = "drain_worker"
    /// The coordinator was told to take no new job.
    case drainCoordinator = "drain_coordinator"
    /// A job was cancelled by somebody who is not its owner.
    case cancelJob = "cancel_job"
}

/// The audit log of a cluster.
public struct AuditLog: Sendable {
    static let name = "audit.jsonl"
    private static let first = String(repeating: "0", count: 64)
    private let folder: StateFolder

    /// The log in a state folder.
    public init(in folder: StateFolder) { self.folder = folder }

    /// The path of the file.
    public var path: String { folder.path(of: Self.name) }

    /// Adds a line and flushes it. Commands and a running coordinator may do so at the same time.
    public func record(
        _ action: AuditAction, by actor: String, target: String, detail: String? = nil, now: Date = Date()
    ) throws(SecurityError) {
        try folder.locked { () throws(SecurityError) in
            if !folder.has(Self.name) { try folder.replace(Self.name, with: Data()) }
            do {
                let file = try FileHandle(forUpdating: URL(filePath: path))
                defer { try? file.close() }
                let last = try Self.lastEntry(of: file)
                var entry = AuditEntry(
                    seq: (last?.seq ?? 0) + 1, at: now.unixSeconds, actor: actor, action: action, target: String(target.prefix(256)),
                    detail: detail.map { String($0.prefix(1024)) }, previous: last?.hash ?? Self.first, hash: "")
                entry.hash = try entry.digest()
                try file.write(contentsOf: try ControlJSON.encode(entry) + Data("\n".utf8))
                try file.synchronize()
            } catch let error as SecurityError {
                throw error
            } catch {
                throw SecurityError.file(path, reason: StateFolder.sentence(error))
            }
        }
    }

    /// Leaves `file` at its end and gives the last whole line. A line that a crash cut short was never answered for; it goes.
    private static func lastEntry(of file: FileHandle) throws -> AuditEntry? {
        let length = try file.seekToEnd()
        let start = length > 65_536 ? length - 65_536 : 0
        try file.seek(toOffset: start)
        let tail = try file.readToEnd() ?? Data()
        let whole = tail.lastIndex(of: UInt8(ascii: "\n")).map { tail[...$0] } ?? Data()
        if whole.count < tail.count { try file.truncate(atOffset: start + UInt64(whole.count)) }
        try file.seekToEnd()
        guard let line = whole.split(separator: UInt8(ascii: "\n")).last else { return nil }
        return try ControlJSON.decode(AuditEntry.self, from: Data(line))
    }

    /// Reads the whole log and checks the chain. Throws `.damaged` with the first line that does not fit.
    public func verified() throws(SecurityError) -> [AuditEntry] {
        var entries: [AuditEntry] = []
        for line in (try folder.read(Self.name) ?? Data()).split(separator: UInt8(ascii: "\n")) {
            let number = entries.count + 1
            guard let entry = try? ControlJSON.decode(AuditEntry.self, from: Data(line)) else {
                throw .damaged(path, reason: "line \(number) is not an entry")
            }
            guard entry.seq == number, entry.previous == entries.last?.hash ?? Self.first, entry.hash == (try entry.digest()) else {
                throw .damaged(path, reason: "line \(number) does not continue the chain: it, or the one before, was changed")
            }
            entries.append(entry)
        }
        return entries
    }
}
