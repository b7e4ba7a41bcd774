// /v1/jobs: submitting, looking, cancelling, following, and the prompt's token ids.

import Foundation
import Hummingbird
import RingControl
import RingCore

extension CoordinatorServer {
    /// What a submitter posts.
    private struct JobRequest: Decodable {
        let spec: JobSpec
        let workers: Int
        let threads: Int?
    }
    private struct JobList: Encodable { let jobs: [JobView] }

    func addJobRoutes(to routes: RouterGroup<Context>) {
        routes.post { request, _ in
            let wanted = try await Self.body(JobRequest.self, of: request, limit: CoordinatorLimits.jsonBytes)
            let job = try await shell.submit(
                Submission(spec: wanted.spec, workers: wanted.workers, threads: wanted.threads, secret: randomHex(bytes: 32)))
            return try Response.json(try await shell.jobView(job), status: .created)
        }
        routes.get { _, _ in try Response.json(JobList(jobs: await shell.jobViews())) }
        routes.get(":id") { _, context in
            try Response.json(try await shell.jobView(JobNumber(try Self.number(context))))
        }
        routes.delete(":id") { _, context in
            let job = JobNumber(try Self.number(context))
            try await shell.cancel(job, reason: "somebody asked for it")
            return try Response.json(try await shell.jobView(job))
        }
        routes.get(":id/events") { _, context in
            let feed = try await shell.follow(JobNumber(try Self.number(context)))
            return Self.lines(
                feed.map { item in
                    switch item {
                    case .idle: nil
                    case .event(let event): String(decoding: try ControlJSON.encode(event), as: UTF8.self)
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
            var buffer = ByteBufferAllocator().buffer(capacity: 4 * count)
            for id in ids { buffer.writeInteger(id, endianness: .little) }
            return Response(status: .ok, headers: [.contentType: "application/octet-stream"], body: ResponseBody(byteBuffer: buffer))
        }
        routes.put(":id/prompt") { request, context in
            let job = JobNumber(try Self.number(context))
            let start = try Self.query(request, "start")
            var buffer = try await request.body.collect(upTo: CoordinatorLimits.promptBytes)
            guard buffer.readableBytes % 4 == 0 else {
                throw APIError(.badRequest, "token ids are 4 bytes each, got \(buffer.readableBytes) bytes")
            }
            var ids: [UInt32] = []
            ids.reserveCapacity(buffer.readableBytes / 4)
            while let id = buffer.readInteger(endianness: .little, as: UInt32.self) { ids.append(id) }
            try await shell.storePrompt(ids, at: start, of: job)
            return Response(status: .noContent)
        }
    }
}
