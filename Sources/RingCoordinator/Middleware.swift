// What every request passes: the shape of errors, the bound on headers, the bearer token.

import Hummingbird
import NIOCore

/// Turns whatever a handler throws into an `APIError`.
struct ErrorShape<Context: RequestContext>: RouterMiddleware {
    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        do {
            if request.headers.count > CoordinatorLimits.headerFields {
                throw APIError(.badRequest, "a request has at most \(CoordinatorLimits.headerFields) header fields")
            }
            return try await next(request, context)
        } catch let error as APIError {
            return try error.response(from: request, context: context)
        } catch is NIOTooManyBytesError {
            return try APIError(.tooLarge, "the body is larger than this route takes").response(from: request, context: context)
        } catch let error as HTTPError where error.status == .notFound {
            return try APIError(.notFound, "there is no \(request.method) \(request.uri.path)").response(from: request, context: context)
        } catch let error as HTTPError {
            return try APIError(.badRequest, error.body ?? "the request is not acceptable").response(from: request, context: context)
        }
    }
}

/// Lets only requests through that carry the cluster's token.
struct BearerCheck<Context: RequestContext>: RouterMiddleware {
    let token: JoinToken

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        let prefix = "Bearer "
        guard let header = request.headers[.authorization], header.hasPrefix(prefix),
            token.matches(String(header.dropFirst(prefix.count)))
        else {
            throw APIError(.unauthorized, "the request needs the cluster's token in an Authorization: Bearer header")
        }
        return try await next(request, context)
    }
}
