// Everything that a server with certificates knows about who may do what, from one state folder.

import Foundation

/// The security of a cluster with certificates.
public struct ClusterSecurity: Sendable {
    /// Signs certificates.
    public let authority: ClusterAuthority
    /// Let workers in.
    public let tokens: JoinTokens
    /// Let clients in.
    public let keys: ClientKeys
    /// Certificates of workers that count.
    public let roll: WorkerRoll
    /// Who did what.
    public let audit: AuditLog
    /// Days that a worker's certificate is good for.
    public var workerCertificateDays = SecurityLimits.workerCertificateDays
    /// Days that the server's certificate is good for.
    public var serverCertificateDays = SecurityLimits.serverCertificateDays

    /// Loads the security of a state folder. Throws `.notFound` if it has no authority.
    public init(loading folder: StateFolder) throws(SecurityError) {
        authority = try ClusterAuthority(loading: folder)
        tokens = JoinTokens(in: folder)
        keys = ClientKeys(in: folder)
        roll = WorkerRoll(in: folder)
        audit = AuditLog(in: folder)
        // A damaged list is told now, not at the first request.
        _ = (try tokens.list(), try keys.list(), try roll.list())
    }
}
