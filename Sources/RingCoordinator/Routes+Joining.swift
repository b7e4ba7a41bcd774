// How a worker comes by its certificate: with a join token the first time, with the certificate itself from then on.

import Foundation
import Hummingbird
import Logging

extension CoordinatorServer {
    private struct JoinRequest: Decodable {
        let token: String
        let csr: String
    }
    private struct SigningRequest: Decodable { let csr: String }
    private struct Welcome: Encodable {
        let name: String
        let certificate: String
        let authority: String
        let expiresAt: Int64
    }
    private struct Authority: Encodable {
        let certificate: String
        let fingerprint: String
    }

    /// Routes of a cluster with certificates; another one does not have them.
    func addJoiningRoutes(to routes: RouterGroup<Context>, _ security: ClusterSecurity) {
        // Public: whoever trusts it must have its fingerprint from elsewhere.
        routes.get("authority") { _, _ in
            try Response.json(Authority(certificate: security.authority.certificatePEM, fingerprint: security.authority.fingerprint))
        }
        let attempts = AttemptLimiter(capacity: SecurityLimits.joinAttempts, secondsEach: SecurityLimits.joinAttemptSeconds)
        routes.post("join") { request, context in
            if attempts.wait(context.remoteAddress) != nil {
                throw APIError(.busy, "too many attempts to join from this address: wait a minute")
            }
            let wanted = try await Self.body(JoinRequest.self, of: request, limit: SecurityLimits.joinBytes)
            do throws(SecurityError) {
                return try join(wanted, security)
            } catch {
                _ = attempts.take(context.remoteAddress)
                throw Self.answer(error)
            }
        }
        routes.post("workers/:name/certificate") { request, context in
            try context.principal.requireWorker(named: context.parameters.get("name"))
            guard let name = context.principal.workerName else { throw APIError(.forbidden, "a worker speaks for itself only") }
            let wanted = try await Self.body(SigningRequest.self, of: request, limit: SecurityLimits.joinBytes)
            do throws(SecurityError) {
                let issued = try security.authority.sign(request: wanted.csr, name: name, days: security.workerCertificateDays)
                try security.audit.record(.certificateIssue, by: "worker:" + name, target: name, detail: "serial \(issued.serial)")
                try security.roll.renew(name, serial: issued.serial, expiresAt: issued.expiresAt.unixSeconds)
                logger.info("certificate issued", metadata: Self.fields(issued))
                return try Self.welcome(issued, security)
            } catch {
                throw Self.answer(error)
            }
        }
    }

    /// The token is used up last, so that a mistake in the request or a name that is taken does not cost it; and nothing is told about
    /// names before it has been found good.
    private func join(_ wanted: JoinRequest, _ security: ClusterSecurity) throws(SecurityError) -> Response {
        let issued = try security.authority.sign(request: wanted.csr, days: security.workerCertificateDays)
        let token = try security.tokens.check(wanted.token, for: issued.name)
        try security.roll.check(issued.name, mayReplace: token.worker != nil)
        _ = try security.tokens.redeem(wanted.token, for: issued.name)
        try security.audit.record(
            .join, by: "worker:" + issued.name, target: issued.name, detail: "token \(token.id), serial \(issued.serial)")
        try security.roll.admit(
            issued.name, serial: issued.serial, expiresAt: issued.expiresAt.unixSeconds, mayReplace: token.worker != nil)
        var fields = Self.fields(issued)
        // The public half: which token it was, not what it says.
        fields["token_id"] = .string(token.id)
        logger.info("worker admitted", metadata: fields)
        return try Self.welcome(issued, security)
    }

    private static func fields(_ issued: ClusterAuthority.Issued) -> Logger.Metadata {
        ["worker": .string(issued.name), "serial": .string(issued.serial), "expires_at": .string(issued.expiresAt.formatted(.iso8601))]
    }

    private static func welcome(_ issued: ClusterAuthority.Issued, _ security: ClusterSecurity) throws(SecurityError) -> Response {
        try ClusterAuthority.signing {
            try Response.json(
                Welcome(
                    name: issued.name, certificate: issued.certificatePEM, authority: security.authority.certificatePEM,
                    expiresAt: issued.expiresAt.unixSeconds), status: .created)
        }
    }

    /// What the other end is told.
    private static func answer(_ error: SecurityError) -> APIError {
        switch error {
        case .refused(let sentence): APIError(.unauthorized, sentence)
        case .invalid(let sentence): APIError(.badRequest, sentence, parameter: "csr")
        case .exists(let sentence): APIError(.conflict, sentence)
        case .notFound, .file, .damaged:
            APIError(.unavailable, "the coordinator cannot use its state folder: its operator must look at it")
        }
    }
}
