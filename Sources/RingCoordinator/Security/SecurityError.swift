// Why something that has to do with keys, tokens or certificates could not be done; the commands and the server each say it in
// their own way.

/// An error of the cluster's security.
public enum SecurityError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The state folder, or a file in it, cannot be read or written.
    case file(String, reason: String)
    /// A file of the state folder does not hold what it should.
    case damaged(String, reason: String)
    /// What is to be made is there already.
    case exists(String)
    /// What is asked for is not there.
    case notFound(String)
    /// A name, a request or a number cannot be meant.
    case invalid(String)
    /// The credential does not open the door. It never says which part of it is wrong.
    case refused(String)

    /// A sentence for people.
    public var description: String {
        switch self {
        case .file(let path, let reason): "\(path): \(reason)"
        case .damaged(let path, let reason): "\(path) is damaged: \(reason)"
        case .exists(let sentence), .notFound(let sentence), .invalid(let sentence), .refused(let sentence): sentence
        }
    }
}
