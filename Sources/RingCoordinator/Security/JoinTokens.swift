// Join tokens in the shape that kubeadm made known: `abcdef.0123456789abcdef`, a public id and a secret of 82 bits. A token lets one
// worker in, once, for a day. The file holds no secret: only a salted digest of each.

import Foundation

/// A join token as it is kept and listed. It cannot be turned back into the token.
public struct JoinTokenRecord: Codable, Hashable, Sendable {
    /// The public part: what `token list` shows and `token revoke` takes.
    public let id: String
    let salt: String
    let digest: String
    /// The only name that may join with it; `nil` is any name that has no certificate yet.
    public let worker: String?
    /// When it was made, in seconds since 1970.
    public let createdAt: Int64
    /// When it ends.
    public let expiresAt: Int64
    /// When it was used, if it was.
    public internal(set) var usedAt: Int64?
    /// The worker that used it.
    public internal(set) var usedBy: String?

    /// `open`, `used` or `expired` at a time.
    public func state(at now: Date) -> String { usedAt != nil ? "used" : expiresAt <= now.unixSeconds ? "expired" : "open" }
}

/// The join tokens of a cluster.
public struct JoinTokens: Sendable {
    private let file: RecordFile<JoinTokenRecord>

    /// The tokens in a state folder.
    public init(in folder: StateFolder) { file = RecordFile("join-tokens.json", in: folder) }

    /// Makes a token. Its text is told once and kept nowhere.
    public func create(
        hours: Double = SecurityLimits.tokenHours, worker: String? = nil, now: Date = Date()
    ) throws(SecurityError) -> (text: String, record: JoinTokenRecord) {
        guard hours > 0, hours <= SecurityLimits.tokenHoursMax else {
            throw .invalid("a token lives more than 0 and at most \(Int(SecurityLimits.tokenHoursMax)) hours, not \(hours)")
        }
        if let worker, !Secrets.isName(worker) {
            throw .invalid("\(worker) cannot be a worker's name: letters, digits, . _ - @, at most 63")
        }
        let secret = Secrets.text(16, of: Secrets.tokenAlphabet)
        let salt = Secrets.text(16, of: Secrets.tokenAlphabet)
        return try file.update { records throws(SecurityError) in
            // What was over a week ago interests nobody.
            records.removeAll { $0.expiresAt < now.unixSeconds - 7 * 86_400 }
            guard records.count < SecurityLimits.tokens else {
                throw .invalid("there are \(records.count) join tokens: revoke some, or wait until old ones have gone")
            }
            var id = Secrets.text(6, of: Secrets.tokenAlphabet)
            while records.contains(where: { $0.id == id }) { id = Secrets.text(6, of: Secrets.tokenAlphabet) }
            let record = JoinTokenRecord(
                id: id, salt: salt, digest: Secrets.digest(secret, salt: salt), worker: worker, createdAt: now.unixSeconds,
                expiresAt: now.addingTimeInterval(hours * 3600).unixSeconds)
            records.append(record)
            return ("\(id).\(secret)", record)
        }
    }

    /// Every token, oldest first.
    public func list() throws(SecurityError) -> [JoinTokenRecord] { try file.current().records }

    /// Takes a token back.
    public func revoke(id: String) throws(SecurityError) {
        try file.update { records throws(SecurityError) in
            guard records.contains(where: { $0.id == id }) else { throw .notFound("there is no join token \(id)") }
            records.removeAll { $0.id == id }
        }
    }

    /// Whether a token would let a worker of that name in.
    package func check(_ text: String, for worker: String, now: Date = Date()) throws(SecurityError) -> JoinTokenRecord {
        let records = try file.current().records
        return records[try Self.place(of: text, for: worker, in: records, now: now)]
    }

    /// Uses a token up for a worker of that name.
    package func redeem(_ text: String, for worker: String, now: Date = Date()) throws(SecurityError) -> JoinTokenRecord {
        try file.update { records throws(SecurityError) in
            let place = try Self.place(of: text, for: worker, in: records, now: now)
            records[place].usedAt = now.unixSeconds
            records[place].usedBy = worker
            return records[place]
        }
    }

    /// Where the token lies. Whatever is wrong with it, the answer is the same.
    private static func place(
        of text: String, for worker: String, in records: [JoinTokenRecord], now: Date
    ) throws(SecurityError) -> Int {
        let refusal = SecurityError.refused(
            "the join token does not let this worker in: it is wrong, used, expired or another worker's; "
                + "ask for a new one (ringmaster token create)")
        guard let (id, secret) = parts(of: text) else { throw refusal }
        let place = records.firstIndex { $0.id == id }
        // An unknown id costs as much time as a known one.
        let record = place.map { records[$0] }
        let isRight = Secrets.areEqual(Secrets.digest(secret, salt: record?.salt ?? "none"), record?.digest ?? "")
        guard let place, isRight, records[place].state(at: now) == "open" else { throw refusal }
        if let bound = records[place].worker, bound != worker { throw refusal }
        return place
    }

    /// The id and the secret of a token that has the right shape.
    private static func parts(of text: String) -> (id: String, secret: String)? {
        let letters = Secrets.tokenAlphabet.utf8
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, parts[0].utf8.count == 6, parts[1].utf8.count == 16,
            parts.allSatisfy({ $0.utf8.allSatisfy { letters.contains($0) } })
        else { return nil }
        return (parts[0], parts[1])
    }
}
