// /v1/workers: joining, the stream of directives, reports.

import Foundation
import Hummingbird
import RingControl
import RingCore

extension CoordinatorServer {
    private struct Welcome: Encodable { let id: WorkerID }
    private struct WorkerList: Encodable { let workers: [WorkerView] }

    // That a worker speaks only for itself is seen to in Ownership.swift.
    func addWorkerRoutes(to routes: RouterGroup<Context>) {
        routes.post { request, _ in
            let registration = try await Self.body(WorkerRegistration.self, of: request, limit: CoordinatorLimits.jsonBytes)
            return try Response.json(Welcome(id: try await shell.join(registration)), status: .created)
        }
        routes.get { _, _ in try Response.json(WorkerList(workers: await shell.workerViews())) }
        routes.get(":id/directives") { request, context in
            let id = WorkerID(try Self.number(context))
            let (items, reader) = try await shell.stream(of: id, after: UInt64(try Self.query(request, "after", default: 0)))
            let lines = items.map { item -> String? in
                switch item {
                case .keepAlive: nil
                case .directive(let directive): String(decoding: try ControlJSON.encode(directive), as: UTF8.self)
                }
            }
            return Self.lines(lines) { await shell.streamClosed(of: id, reader: reader) }
        }
        routes.post(":id/facts") { request, context in
            let id = WorkerID(try Self.number(context))
            let facts = try await Self.body(WorkerFacts.self, of: request, limit: CoordinatorLimits.factsBytes)
            return try Response.json(try await shell.noteFacts(facts, from: id))
        }
        routes.post(":id/trace") { request, context in
            let id = WorkerID(try Self.number(context))
            let job = JobNumber(UInt64(try Self.query(request, "job")))
            let run = Run(job, Epoch(UInt64(try Self.query(request, "epoch"))))
            let buffer = try await request.body.collect(upTo: CoordinatorLimits.traceBytes)
            try await shell.storeTrace([UInt8](buffer.readableBytesView), of: run, from: id)
            return Response(status: .noContent)
        }
        routes.post(":id/reports") { request, context in
            let id = WorkerID(try Self.number(context))
            let batch = UInt64(try Self.query(request, "batch"))
            let seen = UInt64(try Self.query(request, "seen", default: 0))
            let isLeaving = try Self.query(request, "leaving", default: 0) > 0
            let buffer = try await request.body.collect(upTo: CoordinatorLimits.reportBytes)
            var reports: [WorkerReport] = []
            for line in Data(buffer.readableBytesView).split(separator: UInt8(ascii: "\n")) {
                do {
                    reports.append(try ControlJSON.decode(WorkerReport.self, from: line))
                } catch {
                    throw APIError(.badRequest, "line \(reports.count + 1) is not a report: \(error)")
                }
            }
            try await shell.report(reports, batch: batch, seen: seen, isLeaving: isLeaving, from: id)
            return Response(status: .noContent)
        }
    }
}
