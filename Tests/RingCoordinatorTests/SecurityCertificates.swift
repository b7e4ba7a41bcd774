// Certificates and requests to sign, made and read with the library itself. Apart from the tests: its overloads get in the way of their macros.

import Crypto
import Foundation
import RingCoordinator
import SwiftASN1
import X509

/// A request to sign as a worker, or an attacker, makes it.
func signingRequest(
    _ names: [String], key: P256.Signing.PrivateKey = .init(), signedBy other: P256.Signing.PrivateKey? = nil, isAuthority: Bool = false
) throws -> String {
    let extensions = try Certificate.Extensions {
        SubjectAlternativeNames(names.map { .uniformResourceIdentifier($0) })
        if isAuthority { Critical(BasicConstraints.isCertificateAuthority(maxPathLength: nil)) }
    }
    let subject = try DistinguishedName { CommonName("x") }
    let attributes = CertificateSigningRequest.Attributes([try .init(ExtensionRequest(extensions: extensions))])
    let honest = try CertificateSigningRequest(
        version: .v1, subject: subject, privateKey: .init(key), attributes: attributes, signatureAlgorithm: .ecdsaWithSHA256)
    guard let other else { return try honest.serializeAsPEM().pemString }
    let forged = try CertificateSigningRequest(
        version: .v1, subject: subject, privateKey: .init(other), attributes: attributes, signatureAlgorithm: .ecdsaWithSHA256)
    return try CertificateSigningRequest(
        version: .v1, subject: subject, publicKey: .init(key.publicKey), attributes: attributes, signatureAlgorithm: .ecdsaWithSHA256,
        signature: forged.signature
    ).serializeAsPEM().pemString
}

/// What a test wants to know of a certificate.
struct CertificateFacts {
    let isAuthority: Bool
    let isForServers: Bool
    let isForClients: Bool
    let end: Date
    let names: [GeneralName]

    init(_ text: String) throws {
        let certificate = try Certificate(pemEncoded: text)
        let usage = try certificate.extensions.extendedKeyUsage
        isAuthority = try certificate.extensions.basicConstraints != .notCertificateAuthority
        isForServers = usage?.contains(.serverAuth) ?? true
        isForClients = usage?.contains(.clientAuth) ?? true
        end = certificate.notValidAfter
        names = try certificate.extensions.subjectAlternativeNames.map { Array($0) } ?? []
    }
}

/// The bytes of an address, if a host name is one.
func addressBytes(_ text: String) throws -> [UInt8]? {
    guard case .ipAddress(let octets) = try HostName(text).name else { return nil }
    return Array(octets.bytes)
}
