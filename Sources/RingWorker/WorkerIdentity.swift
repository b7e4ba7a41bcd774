// A worker's key and certificate, in its state folder. The key is made here and never leaves; a join token and the authority's fingerprint bring
// the first certificate, the certificate itself every later one. Nothing secret is sent before the other end has proved, by the
// pinned authority, that it is the cluster.

import Crypto
import Foundation
import NIOSSL
import RingClient
import SwiftASN1
import X509

/// Who a worker is to a cluster with certificates.
public struct WorkerIdentity: Sendable {
    /// The one file: key, certificate and authority, so that they change together.
    static let file = "worker-identity.pem"
    static let prefix = "spiffe://ringmaster/worker/"

    /// The worker's name, as its certificate has it.
    public let name: String
    private let key: P256.Signing.PrivateKey
    private let certificate: Certificate
    private let authority: Certificate
    private let folder: String

    /// When the certificate ends.
    public var expiresAt: Date { certificate.notValidAfter }
    /// When two thirds of its life are over: time for the next one, with a third left for whatever goes wrong.
    public var rotationDueAt: Date {
        certificate.notValidBefore + certificate.notValidAfter.timeIntervalSince(certificate.notValidBefore) * 2 / 3
    }

    /// Whether the certificate has ended: only a new join token helps.
    public func isExpired(at now: Date) -> Bool { now >= expiresAt }

    /// The identity in a state folder; `nil` if there is none.
    public static func load(folder: String) throws(ClientError) -> WorkerIdentity? {
        let path = folder + "/" + file
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let mode = (try? FileManager.default.attributesOfItem(atPath: path))?[.posixPermissions] as? Int ?? 0o777
        guard mode & 0o077 == 0 else { throw .misconfigured("others may read \(path): chmod 600 \(path)") }
        do {
            let parts = try PEMDocument.parseMultiple(pemString: String(decoding: Data(contentsOf: URL(filePath: path)), as: UTF8.self))
            guard parts.count == 3 else { throw ClientError.misconfigured("it does not hold a key and two certificates") }
            return try WorkerIdentity(
                key: P256.Signing.PrivateKey(pemRepresentation: parts[0].pemString), certificate: Certificate(pemDocument: parts[1]),
                authority: Certificate(pemDocument: parts[2]), folder: folder)
        } catch {
            throw .misconfigured("\(path) is damaged: delete it and join again with a new token (\(error))")
        }
    }

    /// Joins the cluster at `address` (https) and keeps what it gets in `folder`. The token is used up. `fingerprint` is what
    /// `ringmaster token create` printed beside it.
    public static func join(
        address: String, token: String, fingerprint: String, name: String, folder: String
    ) async throws(ClientError) -> WorkerIdentity {
        let authority = try await pinnedAuthority(of: address, fingerprint: fingerprint)
        let key = P256.Signing.PrivateKey()
        let trust = try ClusterTLS.configuration(authority: Data(try pem(authority).utf8))
        let request = JoinRequest(token: token, csr: try signingRequest(for: name, key))
        let answer = try await ask(address, trust, "/v1/join", request)
        let identity = try WorkerIdentity(answer, key: key, authority: authority, name: name, folder: folder)
        try identity.save()
        return identity
    }

    /// Gets the next certificate, for a new key, and keeps it. The old one counts until it ends, so connections need not break off.
    public func rotated(address: String) async throws(ClientError) -> WorkerIdentity {
        let next = P256.Signing.PrivateKey()
        let request = SigningRequest(csr: try Self.signingRequest(for: name, next))
        let answer = try await Self.ask(address, try tlsConfiguration(), "/v1/workers/\(name)/certificate", request)
        let identity = try WorkerIdentity(answer, key: next, authority: authority, name: name, folder: folder)
        try identity.save()
        return identity
    }

    /// Trusts the cluster's authority only, and shows the worker's certificate.
    public func tlsConfiguration() throws(ClientError) -> TLSConfiguration {
        try ClusterTLS.configuration(
            authority: Data(try Self.pem(authority).utf8), certificate: Data(try Self.pem(certificate).utf8),
            privateKey: Data(key.pemRepresentation.utf8))
    }

    // MARK: what goes over the wire

    private struct JoinRequest: Encodable {
        let token: String
        let csr: String
    }
    private struct SigningRequest: Encodable { let csr: String }
    private struct Answer: Decodable { let certificate: String }
    private struct Authority: Decodable { let certificate: String }

    /// The authority's certificate from a server that is not trusted yet, if it has the fingerprint. Nothing of ours is sent for it.
    private static func pinnedAuthority(of address: String, fingerprint: String) async throws(ClientError) -> Certificate {
        guard fingerprint.wholeMatch(of: /sha256:[0-9a-f]{64}/) != nil else {
            throw .misconfigured("the authority's fingerprint is sha256: and 64 hex digits, as ringmaster token create prints it")
        }
        var blind = TLSConfiguration.makeClientConfiguration()
        blind.minimumTLSVersion = .tlsv13
        blind.certificateVerification = .none
        var request = ClusterRequest("GET", "/v1/authority")
        request.answerBytes = 64 << 10
        let body = try await exchange(address, blind, request)
        guard let text = try? JSONDecoder().decode(Authority.self, from: body).certificate,
            let certificate = try? Certificate(pemEncoded: text)
        else { throw .garbled("\(address) does not tell its authority's certificate") }
        let digest = SHA256.hash(data: Data(certificate.publicKey.subjectPublicKeyInfoBytes))
        guard fingerprint == "sha256:" + digest.map({ String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }).joined() else {
            throw .untrusted("\(address) is not the cluster of that fingerprint: nothing was sent to it")
        }
        return certificate
    }

    private static func ask(
        _ address: String, _ trust: TLSConfiguration, _ path: String, _ message: some Encodable
    ) async throws(ClientError) -> Answer {
        let body: Data
        do { body = try JSONEncoder().encode(message) } catch { throw .misconfigured("cannot be written as JSON: \(error)") }
        let answer = try await exchange(address, trust, ClusterRequest("POST", path, "application/json", body))
        do { return try JSONDecoder().decode(Answer.self, from: answer) } catch { throw .garbled("\(path) answered with something else") }
    }

    private static func exchange(
        _ address: String, _ tls: TLSConfiguration, _ request: ClusterRequest
    ) async throws(ClientError) -> Data {
        guard address.hasPrefix("https://") else { throw .misconfigured("certificates are for https addresses, not \(address)") }
        let connection = try ClusterConnection(.init(address: address, tls: tls))
        do throws(ClientError) {
            let answer = try await connection.exchange(request)
            await connection.close()
            return answer.body
        } catch {
            await connection.close()
            throw error
        }
    }

    /// A request to sign, which proves that we have the key.
    private static func signingRequest(for name: String, _ key: P256.Signing.PrivateKey) throws(ClientError) -> String {
        do {
            let names = try Certificate.Extensions { SubjectAlternativeNames([.uniformResourceIdentifier(prefix + name)]) }
            let request = try CertificateSigningRequest(
                version: .v1, subject: try DistinguishedName { CommonName(name) }, privateKey: .init(key),
                attributes: .init([try .init(ExtensionRequest(extensions: names))]), signatureAlgorithm: .ecdsaWithSHA256)
            return try request.serializeAsPEM().pemString
        } catch {
            throw .misconfigured("no certificate can be asked for under the name \(name): \(error)")
        }
    }

    // MARK: what is kept

    private init(key: P256.Signing.PrivateKey, certificate: Certificate, authority: Certificate, folder: String) throws(ClientError) {
        let names = (try? certificate.extensions.subjectAlternativeNames).map { Array($0) } ?? []
        let workers = names.compactMap { name -> String? in
            guard case .uniformResourceIdentifier(let text) = name, text.hasPrefix(Self.prefix) else { return nil }
            return String(text.dropFirst(Self.prefix.count))
        }
        guard workers.count == 1, certificate.publicKey == .init(key.publicKey),
            authority.publicKey.isValidSignature(certificate.signature, for: certificate)
        else { throw .untrusted("the certificate is not this worker's, or the authority did not sign it") }
        (name, self.key, self.certificate, self.authority, self.folder) = (workers[0], key, certificate, authority, folder)
    }

    private init(
        _ answer: Answer, key: P256.Signing.PrivateKey, authority: Certificate, name: String, folder: String
    ) throws(ClientError) {
        guard let certificate = try? Certificate(pemEncoded: answer.certificate) else { throw .garbled("the answer has no certificate") }
        try self.init(key: key, certificate: certificate, authority: authority, folder: folder)
        guard self.name == name else { throw .untrusted("the certificate is for \(self.name), not for \(name)") }
    }

    private func save() throws(ClientError) {
        let path = folder + "/" + Self.file
        let text = try [key.pemRepresentation, Self.pem(certificate), Self.pem(authority)].joined(separator: "\n") + "\n"
        do {
            let files = FileManager.default
            // Shut before the key is in it; the file itself is written beside, flushed and renamed.
            try files.createDirectory(atPath: folder, withIntermediateDirectories: true, attributes: [.posixPermissions: 0o700])
            try files.setAttributes([.posixPermissions: 0o700], ofItemAtPath: folder)
            try Data(text.utf8).write(to: URL(filePath: path), options: .atomic)
            try files.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        } catch {
            throw .misconfigured("cannot keep the worker's key in \(path): \(error.localizedDescription)")
        }
    }

    private static func pem(_ certificate: Certificate) throws(ClientError) -> String {
        do { return try certificate.serializeAsPEM().pemString } catch { throw .garbled("a certificate cannot be written: \(error)") }
    }
}
