// The cluster's own certificate authority: one P-256 key that signs the server's certificates and the workers'. Its certificate is public,
// its key never leaves the state folder. Whoever joins knows it by its fingerprint, the SHA-256 of its public key (SPKI).

import Crypto
import Foundation
import SwiftASN1
import X509

/// A certificate authority.
public struct ClusterAuthority: Sendable {
    static let certificateFile = "authority.pem", keyFile = "authority-key.pem", hostsFile = "authority-hosts.json"

    struct Hosts: Codable { let hosts: [String] }

    let certificate: Certificate
    let key: P256.Signing.PrivateKey
    /// The certificate for those who are to trust it.
    public let certificatePEM: String
    /// Names and addresses under which the coordinator is reached; its certificates carry them.
    public let hosts: [String]
    /// `sha256:` and the hex digest of its public key.
    public var fingerprint: String { Self.fingerprint(of: certificate) }

    /// Makes an authority in a state folder that has none.
    public static func create(
        in folder: StateFolder, hosts: [String], now: Date = Date()
    ) throws(SecurityError) -> ClusterAuthority {
        for host in hosts { _ = try HostName(host) }
        let key = P256.Signing.PrivateKey()
        let name = try distinguishedName("ringmaster authority")
        let authority = try signing { () throws in
            let certificate = try Certificate(
                version: .v3, serialNumber: .init(), publicKey: .init(key.publicKey),
                notValidBefore: now - SecurityLimits.clockSkewSeconds, notValidAfter: now + SecurityLimits.authorityDays * 86_400,
                issuer: name, subject: name, signatureAlgorithm: .ecdsaWithSHA256,
                extensions: try Certificate.Extensions {
                    Critical(BasicConstraints.isCertificateAuthority(maxPathLength: 0))
                    Critical(KeyUsage(keyCertSign: true, cRLSign: true))
                    SubjectKeyIdentifier(hash: .init(key.publicKey))
                }, issuerPrivateKey: .init(key))
            return try ClusterAuthority(certificate: certificate, key: key, hosts: hosts)
        }
        try folder.locked { () throws(SecurityError) in
            guard !folder.has(certificateFile), !folder.has(keyFile) else {
                throw .exists("\(folder.path) has an authority already: every worker trusts it, so it is not replaced")
            }
            let hostList: Data
            do { hostList = try ControlJSON.encode(Hosts(hosts: hosts)) } catch { throw .invalid("\(error)") }
            try folder.replace(hostsFile, with: hostList)
            try folder.replace(keyFile, with: Data((key.pemRepresentation + "\n").utf8))
            // Last, since it is what makes this a cluster with certificates.
            try folder.replace(certificateFile, with: Data((authority.certificatePEM + "\n").utf8))
        }
        return authority
    }

    /// Whether a state folder has an authority.
    public static func exists(in folder: StateFolder) -> Bool { folder.has(certificateFile) }

    /// The authority of a state folder. Refuses a key that others may read.
    public init(loading folder: StateFolder) throws(SecurityError) {
        guard let text = try folder.read(Self.certificateFile) else {
            throw .notFound("\(folder.path) has no certificate authority: make one with ringmaster cluster init --state \(folder.path)")
        }
        let secret = try folder.readSecret(Self.keyFile)
        let names = try folder.read(Self.hostsFile) ?? Data()
        do {
            let key = try P256.Signing.PrivateKey(pemRepresentation: String(decoding: secret, as: UTF8.self))
            let certificate = try Certificate(pemEncoded: String(decoding: text, as: UTF8.self))
            guard certificate.publicKey == .init(key.publicKey) else {
                throw SecurityError.damaged(folder.path(of: Self.keyFile), reason: "it is not the key of \(Self.certificateFile)")
            }
            try self.init(certificate: certificate, key: key, hosts: try ControlJSON.decode(Hosts.self, from: names).hosts)
        } catch let error as SecurityError {
            throw error
        } catch {
            throw .damaged(folder.path(of: Self.certificateFile), reason: "it, its key or its list of hosts cannot be read: \(error)")
        }
    }

    private init(certificate: Certificate, key: P256.Signing.PrivateKey, hosts: [String]) throws {
        (self.certificate, self.key, self.hosts) = (certificate, key, hosts)
        certificatePEM = try certificate.serializeAsPEM().pemString
    }

    /// The SHA-256 of a certificate's public key.
    static func fingerprint(of certificate: Certificate) -> String {
        "sha256:" + Secrets.digest(Data(certificate.publicKey.subjectPublicKeyInfoBytes))
    }

    static func distinguishedName(_ name: String) throws(SecurityError) -> DistinguishedName {
        try signing { try DistinguishedName { CommonName(name) } }
    }

    /// Runs code of the certificate library, whose errors here are our own bugs or hostile input, never the operator's.
    static func signing<Result>(_ body: () throws -> Result) throws(SecurityError) -> Result {
        do { return try body() } catch { throw .invalid("no certificate could be made: \(error)") }
    }
}

/// A name or an address that a certificate can carry.
package struct HostName {
    package let name: GeneralName

    package init(_ text: String) throws(SecurityError) {
        if let address = Self.version4(text) ?? Self.version6(text) {
            name = .ipAddress(ASN1OctetString(contentBytes: address[...]))
        } else if text.utf8.count <= 253, text.wholeMatch(of: /[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9][A-Za-z0-9-]{0,62})*/) != nil {
            name = .dnsName(text)
        } else {
            throw .invalid("\(text) is neither a host name nor an address")
        }
    }

    private static func version4(_ text: String) -> [UInt8]? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        return parts.count == 4 && !parts.contains(nil) ? parts.compactMap { $0 } : nil
    }

    /// Groups of four hex digits; `::` stands for as many zero groups as are missing.
    private static func version6(_ text: String) -> [UInt8]? {
        guard text.contains(":") else { return nil }
        let halves = text.components(separatedBy: "::").map { half in
            half.isEmpty ? [] : half.split(separator: ":", omittingEmptySubsequences: false).map { UInt16($0, radix: 16) }
        }
        guard halves.count <= 2, !halves.joined().contains(nil) else { return nil }
        let (head, tail) = (halves[0].compactMap { $0 }, halves.count == 2 ? halves[1].compactMap { $0 } : [])
        let missing = 8 - head.count - tail.count
        guard halves.count == 2 ? missing >= 1 : missing == 0 else { return nil }
        let groups = head + [UInt16](repeating: 0, count: missing) + tail
        return groups.flatMap { [UInt8($0 >> 8), UInt8($0 & 255)] }
    }
}
