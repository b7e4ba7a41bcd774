// The server's side of TLS: its certificate, renewed while it runs, and which clients' certificates it looks at.

import Foundation
import Logging
import NIOCore
import NIOSSL
import Synchronization

/// Certificates for a server that runs longer than they live.
final class ServerCertificates: Sendable {
    private struct Current {
        var chain: [NIOSSLCertificateSource]
        var key: NIOSSLPrivateKeySource
        var renewAt: Date
        /// Whether the next one could not be made, which is told once.
        var isLate = false
    }

    private let authority: ClusterAuthority
    private let days: Double
    private let logger: Logger
    private let current: Mutex<Current>

    init(_ authority: ClusterAuthority, days: Double, _ logger: Logger) throws(SecurityError) {
        (self.authority, self.days, self.logger) = (authority, days, logger)
        current = Mutex(try Self.make(authority, days: days))
    }

    private static func make(_ authority: ClusterAuthority, days: Double) throws(SecurityError) -> Current {
        let now = Date()
        let identity = try authority.serverIdentity(days: days, now: now)
        return try ClusterAuthority.signing {
            let chain = try NIOSSLCertificate.fromPEMBytes(Array((identity.certificatePEM + "\n" + authority.certificatePEM).utf8))
            let key = try NIOSSLPrivateKey(bytes: Array(identity.keyPEM.utf8), format: .pem)
            return Current(
                chain: chain.map { .certificate($0) }, key: .privateKey(key),
                renewAt: now + identity.expiresAt.timeIntervalSince(now) * 2 / 3)
        }
    }

    /// The certificate for a new connection.
    private func override() -> NIOSSLContextConfigurationOverride {
        current.withLock { current in
            if current.renewAt <= Date() { renew(&current) }
            var override = NIOSSLContextConfigurationOverride()
            override.certificateChain = current.chain
            override.privateKey = current.key
            return override
        }
    }

    private func renew(_ current: inout Current) {
        do throws(SecurityError) {
            current = try Self.make(authority, days: days)
            logger.notice("server certificate renewed", metadata: ["renewed_again_at": .string(current.renewAt.formatted(.iso8601))])
        } catch {
            // The old one has a third of its life left.
            if !current.isLate {
                logger.warning("server certificate cannot be renewed", metadata: ["reason": .string(error.description)])
            }
            current.isLate = true
        }
    }

    /// TLS 1.3 only. A client may show a certificate; if it does, this authority must have signed it, or there is no connection.
    func configuration() throws(SecurityError) -> TLSConfiguration {
        let (chain, key) = current.withLock { ($0.chain, $0.key) }
        var configuration = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: key)
        configuration.minimumTLSVersion = .tlsv13
        configuration.applicationProtocols = ["http/1.1"]
        // A client that is closed for being slow does not get long for its goodbye either.
        configuration.shutdownTimeout = .seconds(1)
        configuration.certificateVerification = .optionalVerification
        configuration.trustRoots = .certificates(
            try ClusterAuthority.signing { try NIOSSLCertificate.fromPEMBytes(Array(authority.certificatePEM.utf8)) })
        configuration.sslContextCallback = { [self] _, promise in promise.succeed(override()) }
        return configuration
    }
}
