// How asking a coordinator can go wrong, by what the asker can do about it.

/// Why a request was not answered as wanted.
public enum ClientError: Error, Hashable, Sendable, CustomStringConvertible {
    /// No connection came up: the request was certainly not heard.
    case unreachable(String)
    /// A connection ended, or fell silent, before the answer was whole: the request may have been heard.
    case broken(String)
    /// The other end does not prove to be the cluster: its certificate is not signed by the authority, or ours is not accepted.
    case untrusted(String)
    /// The coordinator said no.
    case refused(Refusal)
    /// What it sent cannot be understood.
    case garbled(String)
    /// What was configured cannot be used: an address, a key, a certificate.
    case misconfigured(String)
    /// The task was cancelled.
    case cancelled

    /// A coordinator's no.
    public struct Refusal: Hashable, Sendable {
        /// HTTP status.
        public var status: Int
        /// The stable code, listed in Docs/ERRORS.md; empty if the other end sent none.
        public var code: String
        /// One sentence.
        public var message: String
        /// The parameter at fault, if one is.
        public var parameter: String?
        /// Seconds after which trying again makes sense.
        public var retryAfterSeconds: Double?

        /// A refusal of its parts.
        public init(status: Int, code: String, message: String, parameter: String? = nil, retryAfterSeconds: Double? = nil) {
            self.status = status
            self.code = code
            self.message = message
            self.parameter = parameter
            self.retryAfterSeconds = retryAfterSeconds
        }

        /// Whether the same request may be taken later.
        public var isTemporary: Bool { status == 429 || status == 503 }
    }

    /// A sentence for people.
    public var description: String {
        switch self {
        case .unreachable(let sentence), .broken(let sentence), .untrusted(let sentence), .garbled(let sentence),
            .misconfigured(let sentence):
            sentence
        case .refused(let refusal): refusal.message
        case .cancelled: "cancelled"
        }
    }
}
