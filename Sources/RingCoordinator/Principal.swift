// Who asks, and what they may.

/// What a client's key allows; each role includes the ones before it.
public enum Role: String, Codable, Hashable, Sendable, CaseIterable, Comparable {
    /// Look at jobs, workers and the cluster.
    case read
    /// Submit jobs and cancel one's own.
    case submit
    /// Everything: drain, cancel anybody's job.
    case admin

    /// Whether `left` allows less than `right`.
    public static func < (left: Role, right: Role) -> Bool { left.rank < right.rank }

    private var rank: Int {
        switch self {
        case .read: 0
        case .submit: 1
        case .admin: 2
        }
    }
}

/// Who asks.
public struct Principal: Hashable, Sendable {
    /// For which workers it may speak.
    enum Workers: Hashable, Sendable {
        case none
        case named(String)
        /// An embedded or open cluster, where everything runs on one machine under one user.
        case any
    }

    /// The owner of what it submits.
    public let name: String
    /// What it may do as a client; `nil` is nothing.
    public let role: Role?
    let workers: Workers

    /// Nobody: has shown nothing yet.
    static let nobody = Principal(name: "nobody", role: nil, workers: .none)
    /// Whoever reaches an embedded or open cluster, which listens on loopback only.
    static let local = Principal(name: "local", role: .admin, workers: .any)

    /// A client.
    static func client(_ name: String, _ role: Role) -> Principal { Principal(name: name, role: role, workers: .none) }
    /// A worker.
    static func worker(_ name: String) -> Principal { Principal(name: "worker:" + name, role: nil, workers: .named(name)) }

    /// The worker that it is, if it is one of a cluster with certificates.
    public var workerName: String? { if case .named(let name) = workers { name } else { nil } }

    /// Throws `forbidden` unless it has at least this role.
    public func require(_ needed: Role) throws(APIError) {
        guard let role, role >= needed else {
            throw APIError(.forbidden, "this needs a key with the role \(needed.rawValue): ask for one (ringmaster key create)")
        }
    }

    /// Throws `forbidden` unless it is a worker.
    public func requireWorker() throws(APIError) {
        guard workers != .none else { throw APIError(.forbidden, "this is for workers, which show their certificate") }
    }

    /// Throws `forbidden` unless it may speak for the worker of this name. `nil` is a worker that is not there.
    public func requireWorker(named name: String?) throws(APIError) {
        switch workers {
        case .any: return
        case .named(let own) where own == name: return
        case .named, .none: throw APIError(.forbidden, "a worker speaks for itself only")
        }
    }

    /// Throws `forbidden` unless it may change a job of `owner`: its owner and administrators may.
    public func requireOwnership(of owner: String) throws(APIError) {
        try require(.submit)
        guard name == owner || role == .admin else {
            throw APIError(.forbidden, "only the job's owner or a key with the role admin may do this")
        }
    }
}
