// A worker as the coordinator knows it.

import RingCore

/// A worker that has joined.
struct Member: Sendable {
    let id: WorkerID
    let registration: WorkerRegistration
    var heardAt: Moment
    /// The job it has been told to prepare and has not yet settled; an aborted job holds it until it says `stopped`.
    var job: JobNumber?
}

/// What can be asked about a worker at any time.
public struct WorkerView: Hashable, Sendable, Codable {
    /// Its number.
    public var id: WorkerID
    /// What it said of itself.
    public var registration: WorkerRegistration
    /// Seconds since it was last heard.
    public var silentSeconds: Double
    /// The job that holds it.
    public var job: JobNumber?

    init(_ member: Member, now: Moment) {
        id = member.id
        registration = member.registration
        silentSeconds = now.seconds(since: member.heardAt)
        job = member.job
    }
}
