// Where a coordinator keeps what must outlive it. Two stores ship: memory, for a cluster that lives as long as one command, and
// SQLite, for a daemon. Both take changes in transactions: all of a batch or nothing.

import RingControl
import RingCore

/// Why the store could not do its work. The job is not acknowledged then.
public enum StoreError: Error, Sendable, CustomStringConvertible {
    /// Another coordinator has the state folder.
    case locked(String)
    /// The store cannot be opened or read.
    case unreadable(String)
    /// The store cannot be written, for lack of space or otherwise; it may be later.
    case unwritable(String)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .locked(let path): "another coordinator uses the state folder \(path): stop it, or give this one its own --state"
        case .unreadable(let reason): "the state cannot be read: \(reason)"
        case .unwritable(let reason): "the state cannot be written: \(reason)"
        }
    }
}

/// Keeps jobs, their events and their prompts.
public protocol JobStore: Sendable {
    /// Everything that a new coordinator goes on from.
    func load() throws(StoreError) -> StoredState
    /// The durable events of a job, in order.
    func events(of job: JobNumber) throws(StoreError) -> [JobNews]
    /// The pieces of a job's prompt that are stored.
    func prompt(of job: JobNumber) throws(StoreError) -> [(start: Int, ids: [UInt32])]
    /// Makes all changes, durably, or none.
    func commit(_ changes: [StoreChange]) throws(StoreError)
}

/// Keeps nothing beyond the process: what is in the coordinator's memory is all there is.
public struct MemoryJobStore: JobStore {
    /// An empty store.
    public init() {}

    /// Nothing.
    public func load() throws(StoreError) -> StoredState { StoredState() }
    /// None: the coordinator holds the events of every job that this store would have.
    public func events(of job: JobNumber) throws(StoreError) -> [JobNews] { [] }
    /// None, for the same reason.
    public func prompt(of job: JobNumber) throws(StoreError) -> [(start: Int, ids: [UInt32])] { [] }
    /// Does nothing.
    public func commit(_ changes: [StoreChange]) throws(StoreError) {}
}
