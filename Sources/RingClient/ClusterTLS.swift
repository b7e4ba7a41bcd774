// Who a client trusts and what it shows: the cluster's authority and nobody else, and a certificate if it is a worker.

import Foundation
import NIOSSL

/// TLS settings of a client.
public enum ClusterTLS {
    /// Trusts only the certificates of `authority` (PEM), and shows `certificate` (PEM, leaf first) with its `privateKey` if given.
    public static func configuration(
        authority: Data, certificate: Data? = nil, privateKey: Data? = nil
    ) throws(ClientError) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        do {
            let roots = try NIOSSLCertificate.fromPEMBytes(Array(authority))
            guard !roots.isEmpty else { throw ClientError.misconfigured("there is no certificate in it") }
            configuration.trustRoots = .certificates(roots)
        } catch {
            throw .misconfigured("the authority is not a PEM certificate: \(error)")
        }
        guard let certificate, let privateKey else { return configuration }
        do {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(Array(certificate)).map { .certificate($0) }
            configuration.privateKey = .privateKey(try NIOSSLPrivateKey(bytes: Array(privateKey), format: .pem))
        } catch {
            throw .misconfigured("the client's certificate or its key is not PEM: \(error)")
        }
        return configuration
    }
}
