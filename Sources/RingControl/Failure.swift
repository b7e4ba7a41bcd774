// How a job can fail. The code is the contract (Docs/ERRORS.md lists them all); the sentence is for people.

/// Stable codes of job failures. A script may switch on them; a case is added, never renamed.
public enum FailureCode: String, Hashable, Sendable, Codable, CaseIterable {
    /// The specification or a file it names is not acceptable.
    case invalidInput = "invalid_input"
    /// The model's files are damaged, incomplete or of an unknown kind.
    case invalidModel = "invalid_model"
    /// A weight, an input or an intermediate value is NaN or infinite.
    case nonFinite = "non_finite"
    /// The job needs more memory than there is.
    case insufficientMemory = "insufficient_memory"
    /// A file could not be read or written.
    case fileAccess = "file_access"
    /// A worker died, fell silent or closed its connections.
    case workerLost = "worker_lost"
    /// A payload arrived damaged more often than it is asked for again.
    case damagedData = "damaged_data"
    /// The data plane broke in another way.
    case transport = "transport"
    /// Too few workers joined in time.
    case workersMissing = "workers_missing"
    /// Not every worker was ready in time.
    case prepareTimeout = "prepare_timeout"
    /// It did not end within the time that its submitter gave it.
    case timeout
    /// Its ranks are there but nothing has moved for too long.
    case stalled
    /// The coordinator or the worker is going down.
    case shuttingDown = "shutting_down"
    /// A worker or the coordinator does not understand the other.
    case protocolMismatch = "protocol_mismatch"
    /// Our own bug.
    case internalError = "internal_error"

    /// Whether another attempt, on other workers, may do better.
    public var mayPass: Bool {
        switch self {
        case .workerLost, .damagedData, .transport, .prepareTimeout, .stalled, .shuttingDown: true
        case .invalidInput, .invalidModel, .nonFinite, .insufficientMemory, .fileAccess, .workersMissing, .timeout,
            .protocolMismatch, .internalError:
            false
        }
    }
}

/// Why a job failed.
public struct Failure: Error, Hashable, Sendable, Codable, CustomStringConvertible {
    /// The stable code.
    public var code: FailureCode
    /// One sentence that names the thing and says what to do.
    public var message: String
    /// The worker at fault, if one is.
    public var worker: String?
    /// Its rank.
    public var rank: Int?
    /// The last layer it reported, counted from zero.
    public var layer: Int?
    /// The last ring step (prefill) or token (decode) it reported, counted from zero.
    public var step: Int?

    /// A failure of its parts.
    public init(
        _ code: FailureCode, _ message: String, worker: String? = nil, rank: Int? = nil, layer: Int? = nil, step: Int? = nil
    ) {
        self.code = code
        self.message = message
        self.worker = worker
        self.rank = rank
        self.layer = layer
        self.step = step
    }

    /// The sentence.
    public var description: String { message }
}
