// What the door of the server writes to the log: who was refused, what went wrong inside, and, for who wants it, every request. Requests
// come from anybody at any rate, so what they cause is bounded in lines: by address, and for all addresses together.

import Foundation
import Hummingbird
import Logging
import Synchronization

/// The log of requests.
struct AccessLog: Sendable {
    private let logger: Logger
    private let byAddress = AttemptLimiter(capacity: SecurityLimits.refusalLines, secondsEach: SecurityLimits.refusalLineSeconds)
    private let together = AttemptLimiter(
        capacity: SecurityLimits.refusalLinesTogether, secondsEach: SecurityLimits.refusalLineSecondsTogether)
    private let left = Counter()

    init(_ logger: Logger) { self.logger = logger }

    /// A request that was answered with an error.
    func note(_ error: any Error, _ request: Request, _ context: ControlContext) {
        var fields = Self.fields(request, context)
        fields["reason"] = .string("\(error)")
        if let error = error as? APIError {
            fields["reason"] = .string(error.message)
            fields["code"] = .string(error.code.rawValue)
            switch error.code {
            case .unauthorized, .forbidden: warn("request refused", context.remoteAddress, fields)
            case .internalError, .unavailable: warn("request failed", context.remoteAddress, fields)
            case .badRequest, .notFound, .conflict, .tooLarge, .busy: logger.debug("request", metadata: fields)
            }
        } else if error is SecurityError {
            warn("state folder cannot be used", context.remoteAddress, fields)
        } else {
            logger.debug("request", metadata: fields)
        }
    }

    /// A request that was answered.
    func note(_ response: Response, _ request: Request, _ context: ControlContext, seconds: Double) {
        guard logger.logLevel <= .debug else { return }
        var fields = Self.fields(request, context)
        fields["status"] = .stringConvertible(response.status.code)
        fields["seconds"] = .seconds(seconds)
        logger.debug("request", metadata: fields)
    }

    private func warn(_ message: Logger.Message, _ address: String, _ fields: Logger.Metadata) {
        guard byAddress.take(address) == nil, together.take("all") == nil else { return self.left.add() }
        var fields = fields
        let left = self.left.take()
        if left > 0 { fields["lines_left_out"] = .stringConvertible(left) }
        logger.warning(message, metadata: fields)
    }

    /// The template of the route instead of the path, which may hold anything.
    private static func fields(_ request: Request, _ context: ControlContext) -> Logger.Metadata {
        [
            "address": .string(context.remoteAddress), "method": .string(request.method.rawValue),
            "route": .string(context.endpointPath ?? "none"),
        ]
    }
}

/// Lines that were not written.
private final class Counter: Sendable {
    private let count = Mutex(0)

    func add() { count.withLock { $0 += 1 } }
    func take() -> Int {
        count.withLock { count in
            defer { count = 0 }
            return count
        }
    }
}

/// Writes requests to the log. It belongs inside the middleware that shapes errors, so that it sees what they were.
struct RequestLogging: RouterMiddleware {
    typealias Context = ControlContext
    let log: AccessLog

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        let started = ContinuousClock.now
        do {
            let response = try await next(request, context)
            let (seconds, attoseconds) = (ContinuousClock.now - started).components
            log.note(response, request, context, seconds: Double(seconds) + Double(attoseconds) / 1e18)
            return response
        } catch {
            log.note(error, request, context)
            throw error
        }
    }
}
