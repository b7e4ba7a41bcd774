// What every request passes first: the shape of errors and the bound on headers. Who may ask is decided in Authentication.swift.

import Hummingbird
import NIOCore

/// Turns whatever a handler throws into an `APIError`.
struct ErrorShape<Context: RequestContext>: RouterMiddleware {
    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        var response = try await shaped(request, context, next)
        // A body behind the answer to HEAD would be read as the beginning of the next answer.
        if request.method == .head { response.body = ResponseBody() }
        return response
    }

    private func shaped(
        _ request: Request, _ context: Context, _ next: (Request, Context) async throws -> Response
    ) async throws -> Response {
        do {
            if request.headers.count > CoordinatorLimits.headerFields {
                throw APIError(.badRequest, "a request has at most \(CoordinatorLimits.headerFields) header fields")
            }
            return try await next(request, context)
        } catch let error as APIError {
            return try error.response(from: request, context: context)
        } catch is SecurityError {
            // What is wrong with the state folder is for the operator to see, not for who asks.
            return try APIError(.unavailable, "the coordinator cannot use its state folder: its operator must look at it")
                .response(from: request, context: context)
        } catch is NIOTooManyBytesError {
            return try APIError(.tooLarge, "the body is larger than this route takes").response(from: request, context: context)
        } catch let error as HTTPError where error.status == .notFound {
            return try APIError(.notFound, "there is no \(request.method) \(request.uri.path)").response(from: request, context: context)
        } catch let error as HTTPError {
            return try APIError(.badRequest, error.body ?? "the request is not acceptable").response(from: request, context: context)
        }
    }
}
