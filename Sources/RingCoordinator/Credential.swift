// What a request shows for itself, and whether it still counts. Streams last longer than credentials, so each line that is sent asks again.

import Foundation
import Hummingbird
import NIOCore
import NIOSSL
import X509

/// Somebody who has been recognised.
struct Credential: Sendable {
    let principal: Principal
    /// Whether what was shown still counts; `nil` is always.
    let stillCounts: (@Sendable () throws -> Bool)?

    /// Whoever reaches a cluster that is this machine's own.
    static let local = Credential(principal: .local, stillCounts: nil)

    /// The secret in the Authorization header. Only `Bearer`: a browser sends no such header by itself, so no other page can use it.
    static func bearer(of request: Request) -> String? {
        guard let header = request.headers[.authorization], header.hasPrefix("Bearer ") else { return nil }
        return String(header.dropFirst(7))
    }

    /// The client whose key the request has; `nil` if it is nobody's.
    static func client(of request: Request, _ security: ClusterSecurity) throws(APIError) -> Credential? {
        guard let text = bearer(of: request),
            let key = try reading({ () throws(SecurityError) in try security.keys.owner(of: text) })
        else { return nil }
        return Credential(principal: .client(key.name, key.role)) { try security.keys.owner(of: text) == key }
    }

    /// The worker whose certificate the connection shows. TLS has checked its signature; whether it still counts is looked up each time,
    /// since connections outlive certificates.
    static func worker(of context: ControlContext, _ security: ClusterSecurity) async throws -> Credential? {
        guard let shown = try? await context.channel.nioSSL_peerCertificate().get(), let bytes = try? shown.toDERBytes(),
            let certificate = try? Certificate(derEncoded: bytes), certificate.notValidBefore <= Date(),
            let usage = try? certificate.extensions.extendedKeyUsage, usage.contains(.clientAuth),
            let names = try? certificate.extensions.subjectAlternativeNames, let name = ClusterAuthority.workerName(in: Array(names))
        else { return nil }
        let (serial, end) = (Secrets.hex(certificate.serialNumber.bytes), certificate.notValidAfter)
        let counts = { @Sendable () throws(SecurityError) in
            guard Date() < end else { return false }
            return try security.roll.counts(serial: serial, of: name)
        }
        return try reading(counts) ? Credential(principal: .worker(name), stillCounts: { try counts() }) : nil
    }

    /// Lists that cannot be read let nobody in. What is wrong with them is for the operator to see, not for who asks.
    private static func reading<Result>(_ body: () throws(SecurityError) -> Result) throws(APIError) -> Result {
        do {
            return try body()
        } catch {
            throw APIError(.unavailable, "the coordinator cannot read its lists of keys: its operator must look at its state folder")
        }
    }

    /// A response that breaks off when the credential counts no longer.
    func guarding(_ response: Response) -> Response {
        guard let stillCounts, response.body.contentLength == nil else { return response }
        var response = response
        response.body = response.body.map { buffer in
            guard try stillCounts() else { throw APIError(.unauthorized, "the credential counts no longer") }
            return buffer
        }
        return response
    }
}
