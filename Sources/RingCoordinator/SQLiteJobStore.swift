// The daemon's store: one SQLite file in the state folder, by GRDB. Every commit is on disk before it returns (WAL with
// synchronous = FULL), since what follows from it may already be acknowledged a moment later.

import Foundation
import GRDB
import RingControl
import RingCore

/// Keeps jobs in `state.db` of a folder that one coordinator at a time may use.
public final class SQLiteJobStore: JobStore {
    private let queue: DatabaseQueue
    /// Held open, and with it the lock, as long as this store lives.
    private let lock: FileHandle

    /// Opens or creates the store in `folder`, which only this user may read.
    public init(folder: String) throws(StoreError) {
        do {
            try FileManager.default.createDirectory(
                atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
        } catch {
            throw .unreadable("cannot create \(folder): \(error)")
        }
        lock = try Self.lock(folder)
        do {
            var configuration = Configuration()
            configuration.journalMode = .wal
            configuration.prepareDatabase { db in try db.execute(sql: "PRAGMA synchronous = FULL") }
            queue = try DatabaseQueue(path: folder + "/state.db", configuration: configuration)
            try Self.migrator.migrate(queue)
        } catch {
            throw .unreadable("\(folder)/state.db: \(error)")
        }
    }

    private static func lock(_ folder: String) throws(StoreError) -> FileHandle {
        let path = folder + "/lock"
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil, attributes: [.posixPermissions: 0o600])
        }
        guard let handle = FileHandle(forUpdatingAtPath: path) else { throw .unreadable("cannot open \(path)") }
        guard flock(handle.fileDescriptor, LOCK_EX | LOCK_NB) == 0 else { throw .locked(folder) }
        return handle
    }

    /// Versions of the tables. One that has shipped is never changed; the next is added behind it.
    private static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 jobs, events, prompts") { db in
            try db.execute(
                sql: """
                    CREATE TABLE reservation (id INTEGER PRIMARY KEY CHECK (id = 1), next_job INTEGER NOT NULL, epochs INTEGER NOT NULL);
                    CREATE TABLE jobs (number INTEGER PRIMARY KEY, record BLOB NOT NULL);
                    CREATE TABLE events (
                        job INTEGER NOT NULL, sequence INTEGER NOT NULL, at INTEGER NOT NULL, is_token INTEGER NOT NULL,
                        body BLOB NOT NULL, PRIMARY KEY (job, sequence)) WITHOUT ROWID;
                    CREATE TABLE prompts (
                        job INTEGER NOT NULL, start INTEGER NOT NULL, ids BLOB NOT NULL, PRIMARY KEY (job, start));
                    """)
        }
        return migrator
    }

    /// See `JobStore`.
    public func load() throws(StoreError) -> StoredState {
        do {
            return try queue.read { db in
                var state = StoredState()
                if let row = try Row.fetchOne(db, sql: "SELECT next_job, epochs FROM reservation") {
                    state.reservation = Reservation(nextJob: UInt64(row[0] as Int64), epochs: UInt64(row[1] as Int64))
                }
                let counts = """
                    SELECT record, (SELECT count(*) FROM events WHERE job = number),
                        (SELECT count(*) FROM events WHERE job = number AND is_token) FROM jobs ORDER BY number
                    """
                for row in try Row.fetchAll(db, sql: counts) {
                    let record = try JSONDecoder().decode(JobRecord.self, from: row[0] as Data)
                    state.jobs.append(StoredJob(record: record, events: row[1], tokensGenerated: row[2]))
                }
                return state
            }
        } catch {
            throw .unreadable("\(error)")
        }
    }

    /// See `JobStore`.
    public func events(of job: JobNumber) throws(StoreError) -> [JobNews] {
        do {
            return try queue.read { db in
                let rows = try Row.fetchAll(
                    db, sql: "SELECT sequence, at, body FROM events WHERE job = ? ORDER BY sequence", arguments: [Int64(job.number)])
                return try rows.map { row in
                    JobNews(
                        sequence: row[0], at: Moment(nanoseconds: row[1]).secondsSince1970,
                        event: try JSONDecoder().decode(JobEvent.self, from: row[2] as Data))
                }
            }
        } catch {
            throw .unreadable("\(error)")
        }
    }

    /// See `JobStore`.
    public func prompt(of job: JobNumber) throws(StoreError) -> [(start: Int, ids: [UInt32])] {
        do {
            return try queue.read { db in
                let rows = try Row.fetchAll(
                    db, sql: "SELECT start, ids FROM prompts WHERE job = ? ORDER BY start", arguments: [Int64(job.number)])
                return rows.map { row in (start: row[0], ids: TokenWords.ids(of: [UInt8](row[1] as Data))) }
            }
        } catch {
            throw .unreadable("\(error)")
        }
    }

    /// See `JobStore`.
    public func commit(_ changes: [StoreChange]) throws(StoreError) {
        do {
            try queue.write { db in for change in changes { try Self.make(change, in: db) } }
        } catch {
            throw .unwritable("\(error)")
        }
    }

    private static func make(_ change: StoreChange, in db: Database) throws {
        switch change {
        case .reserve(let reservation):
            try db.execute(
                sql: "INSERT OR REPLACE INTO reservation VALUES (1, ?, ?)",
                arguments: [Int64(reservation.nextJob), Int64(reservation.epochs)])
        case .job(let record):
            try db.execute(
                sql: "INSERT OR REPLACE INTO jobs VALUES (?, ?)",
                arguments: [Int64(record.number.number), try JSONEncoder().encode(record)])
        case .event(let job, let sequence, let at, let event):
            var isToken = false
            if case .token = event { isToken = true }
            try db.execute(
                sql: "INSERT INTO events VALUES (?, ?, ?, ?, ?)",
                arguments: [Int64(job.number), sequence, at.nanoseconds, isToken, try JSONEncoder().encode(event)])
        case .prompt(let job, let start, let ids):
            try db.execute(
                sql: "INSERT OR REPLACE INTO prompts VALUES (?, ?, ?)",
                arguments: [Int64(job.number), start, Data(TokenWords.bytes(of: ids))])
        case .dropPrompt(let job):
            try db.execute(sql: "DELETE FROM prompts WHERE job = ?", arguments: [Int64(job.number)])
        case .forget(let job):
            for table in ["events", "prompts"] {
                try db.execute(sql: "DELETE FROM \(table) WHERE job = ?", arguments: [Int64(job.number)])
            }
            try db.execute(sql: "DELETE FROM jobs WHERE number = ?", arguments: [Int64(job.number)])
        }
    }
}
