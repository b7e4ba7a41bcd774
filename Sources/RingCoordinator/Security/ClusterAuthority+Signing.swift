// What the authority signs: the server's certificate, for its hosts; a worker's, for a request that proves that the worker has the key.

import Crypto
import Foundation
import SwiftASN1
import X509

extension ClusterAuthority {
    /// A certificate that was given to a worker.
    package struct Issued: Sendable {
        package let name: String
        /// The serial number in hex.
        package let serial: String
        package let expiresAt: Date
        package let certificatePEM: String
    }

    /// What stands in a worker's certificate in front of its name.
    static let workerPrefix = "spiffe://ringmaster/worker/"

    /// Signs the request of a worker. The request must be signed with its own key and name one worker; nothing else in it counts.
    /// With `name`, it must be this worker's.
    package func sign(
        request text: String, name: String? = nil, days: Double = SecurityLimits.workerCertificateDays, now: Date = Date()
    ) throws(SecurityError) -> Issued {
        let request = try Self.request(text)
        let wanted = try Self.workerName(in: request)
        if let name, name != wanted { throw .invalid("the request to sign is for \(wanted), not for \(name)") }
        let subject = try Self.distinguishedName(wanted)
        let end = now + days * 86_400
        return try Self.signing {
            let serial = Certificate.SerialNumber()
            let certificate = try Certificate(
                version: .v3, serialNumber: serial, publicKey: request.publicKey,
                notValidBefore: now - SecurityLimits.clockSkewSeconds, notValidAfter: end, issuer: certificate.subject, subject: subject,
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage([.clientAuth])
                    SubjectAlternativeNames([.uniformResourceIdentifier(Self.workerPrefix + wanted)])
                    AuthorityKeyIdentifier(keyIdentifier: SubjectKeyIdentifier(hash: .init(key.publicKey)).keyIdentifier)
                }, issuerPrivateKey: .init(key))
            return Issued(
                name: wanted, serial: Secrets.hex(serial.bytes), expiresAt: end, certificatePEM: try certificate.serializeAsPEM().pemString)
        }
    }

    /// A request that holds what it must: a P-256 key and a signature with it.
    private static func request(_ text: String) throws(SecurityError) -> CertificateSigningRequest {
        guard text.utf8.count <= SecurityLimits.joinBytes, let request = try? CertificateSigningRequest(pemEncoded: text) else {
            throw .invalid("this is not a request to sign a certificate (PEM, PKCS#10)")
        }
        guard P256.Signing.PublicKey(request.publicKey) != nil, request.signatureAlgorithm == .ecdsaWithSHA256,
            request.publicKey.isValidSignature(request.signature, for: request)
        else {
            throw .invalid("the request to sign must be for a P-256 key and be signed with that key")
        }
        return request
    }

    private static func workerName(in request: CertificateSigningRequest) throws(SecurityError) -> String {
        let extensions = (try? request.attributes.extensionRequest)?.extensions
        let names = (try? extensions?.subjectAlternativeNames).map { Array($0) } ?? []
        guard names.count == 1, let name = workerName(in: names) else {
            throw .invalid("the request to sign must name one worker: \(workerPrefix)NAME as its only alternative name")
        }
        return name
    }

    /// The worker that a list of alternative names names, if it names one.
    static func workerName(in names: [GeneralName]) -> String? {
        let found = names.compactMap { name -> String? in
            guard case .uniformResourceIdentifier(let text) = name, text.hasPrefix(workerPrefix) else { return nil }
            let worker = String(text.dropFirst(workerPrefix.count))
            return Secrets.isName(worker) ? worker : nil
        }
        return found.count == 1 ? found[0] : nil
    }

    /// A new key and certificate for the server, for its hosts and this machine's loopback.
    package func serverIdentity(
        days: Double = SecurityLimits.serverCertificateDays, now: Date = Date()
    ) throws(SecurityError) -> (certificatePEM: String, keyPEM: String, expiresAt: Date) {
        let key = P256.Signing.PrivateKey()
        var names: [GeneralName] = []
        for host in hosts + ["localhost", "127.0.0.1", "::1"] {
            let name = try HostName(host).name
            if !names.contains(name) { names.append(name) }
        }
        let subject = try Self.distinguishedName("ringmaster coordinator")
        let end = now + days * 86_400
        let text = try Self.signing {
            try Certificate(
                version: .v3, serialNumber: .init(), publicKey: .init(key.publicKey),
                notValidBefore: now - SecurityLimits.clockSkewSeconds, notValidAfter: end, issuer: certificate.subject, subject: subject,
                signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.notCertificateAuthority)
                    Critical(KeyUsage(digitalSignature: true))
                    try ExtendedKeyUsage([.serverAuth])
                    SubjectAlternativeNames(names)
                    AuthorityKeyIdentifier(keyIdentifier: SubjectKeyIdentifier(hash: .init(self.key.publicKey)).keyIdentifier)
                }, issuerPrivateKey: .init(self.key)
            ).serializeAsPEM().pemString
        }
        return (text, key.pemRepresentation, end)
    }
}
