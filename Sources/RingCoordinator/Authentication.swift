// The door of the server: says who asks, turns away who may not. Every answer on the way is the same for everybody who has shown nothing,
// so that nothing can be learnt from it.

import Hummingbird

/// How a server knows who asks.
public enum ServerSecurity: Sendable {
    /// A cluster inside one command: whoever has the token may do everything. Loopback only.
    case embedded(JoinToken)
    /// A daemon without certificates: whoever reaches it may do everything. Loopback only.
    case open
    /// TLS; workers show certificates, clients show keys.
    case certificates(ClusterSecurity)

    var isForLoopbackOnly: Bool { if case .certificates = self { false } else { true } }
}

/// Lets only those requests through that the access table allows.
struct Authentication: RouterMiddleware {
    typealias Context = ControlContext
    let security: ServerSecurity
    private let refusals = AttemptLimiter(capacity: SecurityLimits.refusals, secondsEach: SecurityLimits.refusalSeconds)
    private let requests = AttemptLimiter(capacity: SecurityLimits.requests, secondsEach: SecurityLimits.requestSeconds)

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        try RequestShape.check(request, isLoopbackOnly: security.isForLoopbackOnly)
        let access = context.endpointPath.flatMap { AccessTable.access(request.method, $0) }
        if access == .open || access == .joining { return try await next(request, context) }
        var context = context
        let credential = try await credential(of: request, context)
        context.principal = credential.principal
        try limit(context.principal)
        switch access {
        case .open, .joining: break
        case .role(let role): try context.principal.require(role)
        case .worker: try context.principal.requireWorker()
        case nil: throw APIError(.notFound, "there is no such route")
        }
        return credential.guarding(try await next(request, context))
    }

    /// Who asks. Throws `unauthorized` if nobody is to be seen.
    private func credential(of request: Request, _ context: Context) async throws -> Credential {
        switch security {
        case .open: return .local
        case .embedded(let token):
            if let text = Credential.bearer(of: request), token.matches(text) { return .local }
            throw refusal(context, "the request needs the cluster's token in an Authorization: Bearer header")
        case .certificates(let security):
            // A credential that is shown must be right, also beside a certificate.
            let credential =
                request.headers[.authorization] != nil
                ? try Credential.client(of: request, security) : try await Credential.worker(of: context, security)
            if let credential { return credential }
            throw refusal(
                context, "the request needs a key in an Authorization: Bearer header (ringmaster key create), or a worker's certificate")
        }
    }

    private func refusal(_ context: Context, _ sentence: String) -> APIError {
        if refusals.take(context.remoteAddress) != nil { return APIError(.busy, "too many requests without a valid credential: wait") }
        return APIError(.unauthorized, sentence)
    }

    /// An embedded cluster has one client, which is the command itself.
    private func limit(_ principal: Principal) throws(APIError) {
        guard case .certificates = security, requests.take(principal.name) != nil else { return }
        throw APIError(.busy, "too many requests: wait a second")
    }
}

/// What every request must look like, whoever sends it.
enum RequestShape {
    static func check(_ request: Request, isLoopbackOnly: Bool) throws(APIError) {
        guard request.head.path?.utf8.count ?? 0 <= SecurityLimits.targetBytes else {
            throw APIError(.badRequest, "a path and query have at most \(SecurityLimits.targetBytes) bytes")
        }
        let host = request.head.authority ?? ""
        // A page of somebody's web site that has its own name resolved to this machine would arrive with that name here.
        if isLoopbackOnly, !isLoopback(host) {
            throw APIError(
                .forbidden, "the Host header must be localhost or a loopback address, since this coordinator serves its own machine")
        }
        // A page of another origin may not use what a browser knows about this one.
        if let origin = request.headers[.origin], origin != "http://" + host, origin != "https://" + host {
            throw APIError(.forbidden, "the request comes from a page of another origin")
        }
    }

    /// Whether a Host header names this machine's loopback, with any port.
    static func isLoopback(_ host: String) -> Bool {
        ["localhost", "127.0.0.1", "[::1]"].contains { name in
            host == name || (host.hasPrefix(name + ":") && Int(host.dropFirst(name.count + 1)) != nil)
        }
    }
}
