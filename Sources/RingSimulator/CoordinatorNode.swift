// The coordinator's process: the real machine, and what its shell holds beside it. Nothing of this but the store survives.

import RingControl
import RingCore

/// The coordinator.
struct CoordinatorNode {
    /// A worker's session.
    struct Session {
        let id: WorkerID
        let node: Int
        var sequence: UInt64 = 0
        /// Directives that it has not said to have seen.
        var unseen: [(sequence: UInt64, directive: WorkerDirective)] = []
        /// The stream that it reads.
        var connection: Int?
        /// The last batch of reports that was applied.
        var batch: UInt64 = 0
    }

    /// Somebody who reads a job's events.
    struct Follower {
        let connection: Int
        let job: JobNumber
        /// The last durable event that was written.
        var told: Int
    }

    /// What goes out together, after what is to be kept is kept.
    struct Batch {
        var directives: [Coordinator.Directive] = []
        var changes: [StoreChange] = []
        var replies: [(node: Int, request: UInt64, Response)] = []
        var isEmpty: Bool { directives.isEmpty && changes.isEmpty && replies.isEmpty }
    }

    let policy: CoordinatorPolicy
    var machine: Coordinator
    var store = SimulatedStore()
    /// By number.
    var sessions: [Session] = []
    var followers: [Follower] = []
    var tickets: [(ticket: Ticket, node: Int, request: UInt64)] = []
    var lastTicket: UInt64 = 0
    /// What waits for the batch before it.
    var open = Batch()
    /// What the disk is at.
    var writing: Batch?
    /// Written, not yet synced: a crash may keep it or not.
    var isWritten = false
    /// Dies at this step of the next write, for so many seconds.
    var crashAtWrite: (stage: Int, seconds: Double)?

    init(policy: CoordinatorPolicy) {
        self.policy = policy
        machine = Coordinator(version: RingmasterVersion.text, policy: policy)
    }

    /// Starts anew from what was kept.
    mutating func reset() {
        machine = Coordinator(version: RingmasterVersion.text, policy: policy, state: store.state)
        (sessions, followers, tickets) = ([], [], [])
        (open, writing, isWritten, crashAtWrite) = (Batch(), nil, false, nil)
    }

    /// Where a session is, found by halving.
    func place(of id: WorkerID) -> Int? {
        var (low, high) = (0, sessions.count)
        while low < high {
            let middle = (low + high) / 2
            if sessions[middle].id < id { low = middle + 1 } else { high = middle }
        }
        return low < sessions.count && sessions[low].id == id ? low : nil
    }
}
