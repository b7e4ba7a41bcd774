// /v1/jobs: submitting, looking, cancelling, following, and the prompt's token ids.

import Foundation
import HTTPTypes
import Hummingbird
import RingControl
import RingCore

extension CoordinatorServer {
    private struct JobList: Encodable { let jobs: [JobView] }

    // That a job is changed by its owner or an administrator only is seen to in Ownership.swift.
    func addJobRoutes(to routes: RouterGroup<Context>) {
        routes.post { request, context in
            let order = try await Self.body(JobOrder.self, of: request, limit: CoordinatorLimits.jsonBytes)
            let key = HTTPField.Name("Idempotency-Key").flatMap { request.headers[$0] }
            let submission = Submission(order, owner: context.principal.name, idempotencyKey: key)
            let (job, isNew) = try await shell.submit(submission)
            return try Response.json(try await shell.jobView(job), status: isNew ? .created : .ok)
        }
        routes.get { request, _ in
            let limit = min(try Self.query(request, "limit", default: 100), CoordinatorLimits.jobsListed)
            let state = request.uri.queryParameters["state"].map(String.init)
            if let state, JobPhase(rawValue: state) == nil {
                throw APIError(.badRequest, "there is no state \(state): one of \(JobPhase.names)", parameter: "state")
            }
            let jobs = await shell.jobViews().filter { state == nil || $0.state.rawValue == state }
            return try Response.json(JobList(jobs: Array(jobs.suffix(limit))))
        }
        routes.get(":id") { _, context in
            try Response.json(try await shell.jobView(JobNumber(try Self.number(context))))
        }
        routes.delete(":id") { _, context in
            let job = JobNumber(try Self.number(context))
            let owner = try await shell.jobView(job).owner
            if owner != context.principal.name {
                try audit?.record(.cancelJob, by: context.principal.name, target: "job \(job)", detail: "owner \(owner)")
            }
            try await shell.cancel(job, reason: "\(context.principal.name) asked for it")
            return try Response.json(try await shell.jobView(job))
        }
        routes.get(":id/events") { request, context in
            let job = JobNumber(try Self.number(context))
            let feed = try await shell.follow(job, after: try Self.query(request, "after", default: 0))
            return Self.lines(
                feed.map { item -> String? in
                    switch item {
                    case .idle: nil
                    case .news(let news): String(decoding: try ControlJSON.encode(news), as: UTF8.self)
                    }
                })
        }
        addPromptRoutes(to: routes)
    }

    /// Token ids travel as unsigned 32-bit little-endian words.
    private func addPromptRoutes(to routes: RouterGroup<Context>) {
        routes.get(":id/prompt") { request, context in
            let job = JobNumber(try Self.number(context))
            let (start, count) = (try Self.query(request, "start"), try Self.query(request, "count"))
            guard count <= CoordinatorLimits.promptBytes / 4 else {
                throw APIError(.badRequest, "ask for at most \(CoordinatorLimits.promptBytes / 4) tokens at a time", parameter: "count")
            }
            let ids = try await shell.prompt(of: job, start: start, count: count)
            let buffer = ByteBuffer(bytes: TokenWords.bytes(of: ids))
            return Response(status: .ok, headers: [.contentType: "application/octet-stream"], body: ResponseBody(byteBuffer: buffer))
        }
        routes.put(":id/prompt") { request, context in
            let job = JobNumber(try Self.number(context))
            let start = try Self.query(request, "start")
            let buffer = try await request.body.collect(upTo: CoordinatorLimits.promptBytes)
            guard buffer.readableBytes % 4 == 0 else {
                throw APIError(.badRequest, "token ids are 4 bytes each, got \(buffer.readableBytes) bytes")
            }
            let ids = TokenWords.ids(of: Array(buffer.readableBytesView))
            try await shell.storePrompt(ids, at: start, of: job)
            return Response(status: .noContent)
        }
    }
}

extension JobPhase {
    static var names: String { allCases.map(\.rawValue).joined(separator: ", ") }
}
