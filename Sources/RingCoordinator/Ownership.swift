// Whose a thing is: what the access table cannot say, since it depends on the thing. Checked here, before the routes, so that no handler
// can forget it.

import Foundation
import HTTPTypes
import Hummingbird
import RingControl
import RingCore

/// Keeps a worker from joining under another one's name and from speaking in another one's session. A session that is not there is left
/// to the handler.
struct OwnSession: RouterMiddleware {
    typealias Context = ControlContext
    let shell: CoordinatorShell

    private struct Registration: Decodable { let name: String }

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        guard context.principal.workerName != nil else { return try await next(request, context) }
        var request = request
        if let text = context.parameters.get("id") {
            if let id = UInt64(text), let name = try? await shell.name(of: WorkerID(id)) {
                try context.principal.requireWorker(named: name)
            }
        } else if request.method == .post, context.parameters.get("name") == nil {
            let body = try await request.collectBody(upTo: CoordinatorLimits.jsonBytes)
            guard let registration = try? ControlJSON.decode(Registration.self, from: Data(body.readableBytesView)) else {
                throw APIError(.badRequest, "the body is not the JSON this route takes: it has no name")
            }
            try context.principal.requireWorker(named: registration.name)
        }
        return try await next(request, context)
    }
}

/// Lets a job be changed by its owner and by administrators only. A job that is not there is left to the handler.
struct OwnJob: RouterMiddleware {
    typealias Context = ControlContext
    let shell: CoordinatorShell

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        guard request.method == .delete || request.method == .put, let text = context.parameters.get("id"), let id = UInt64(text),
            let owner = try? await shell.jobView(JobNumber(id)).owner
        else { return try await next(request, context) }
        try context.principal.requireOwnership(of: owner)
        return try await next(request, context)
    }
}
