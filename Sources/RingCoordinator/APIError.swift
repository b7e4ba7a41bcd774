// Errors as the outside sees them: a status, a stable code, a sentence, in OpenAI's shape.

import Foundation
import HTTPTypes
import Hummingbird

/// An error of the HTTP interface: `{"error":{"message","type","param","code"}}`.
public struct APIError: Error, HTTPResponseError, Sendable {
    /// Stable codes, listed in Docs/ERRORS.md.
    public enum Code: String, Sendable, CaseIterable {
        /// The body or a parameter is not acceptable.
        case badRequest = "bad_request"
        /// The credential is missing or wrong.
        case unauthorized
        /// The credential is good, but not for this.
        case forbidden
        /// No such route, job or worker.
        case notFound = "not_found"
        /// The thing is in a state that does not allow it.
        case conflict
        /// The body is larger than its limit.
        case tooLarge = "too_large"
        /// Too many jobs are open; try again.
        case busy
        /// The server is going down, or is not ready yet.
        case unavailable
        /// Our own bug.
        case internalError = "internal_error"

        var status: HTTPResponse.Status {
            switch self {
            case .badRequest: .badRequest
            case .unauthorized: .unauthorized
            case .forbidden: .forbidden
            case .notFound: .notFound
            case .conflict: .conflict
            case .tooLarge: .contentTooLarge
            case .busy: .tooManyRequests
            case .unavailable: .serviceUnavailable
            case .internalError: .internalServerError
            }
        }
    }

    /// The stable code.
    public let code: Code
    /// One sentence.
    public let message: String
    /// The parameter that is at fault, if one is.
    public let parameter: String?

    /// The status of the response.
    public var status: HTTPResponse.Status { code.status }

    init(_ code: Code, _ message: String, parameter: String? = nil) {
        self.code = code
        self.message = message
        self.parameter = parameter
    }

    private struct Body: Encodable {
        struct Inner: Encodable {
            let message: String
            let type: String
            let param: String?
            let code: String
        }
        let error: Inner
    }

    /// The error as a response.
    public func response(from request: Request, context: some RequestContext) throws -> Response {
        let kind = status.code >= 500 ? "server_error" : "invalid_request_error"
        let body = Body(error: .init(message: message, type: kind, param: parameter, code: code.rawValue))
        var response = try Response.json(body, status: status)
        if code == .busy { response.headers[.retryAfter] = "1" }
        if code == .unauthorized { response.headers[.wwwAuthenticate] = "Bearer" }
        return response
    }
}

extension Response {
    /// `value` as a JSON response.
    static func json(_ value: some Encodable, status: HTTPResponse.Status = .ok) throws -> Response {
        let data = try ControlJSON.encode(value) + Data("\n".utf8)
        return Response(
            status: status, headers: [.contentType: "application/json"], body: ResponseBody(byteBuffer: ByteBuffer(bytes: data)))
    }
}
