// /v1/workers: joining, the stream of directives, reports.

import Foundation
import Hummingbird
import RingControl

extension CoordinatorServer {
    private struct Welcome: Encodable { let id: WorkerID }
    private struct WorkerList: Encodable { let workers: [WorkerView] }

    func addWorkerRoutes(to routes: RouterGroup<Context>) {
        routes.post { request, _ in
            let registration = try await Self.body(WorkerRegistration.self, of: request, limit: CoordinatorLimits.jsonBytes)
            return try Response.json(Welcome(id: try await shell.join(registration)), status: .created)
        }
        routes.get { _, _ in try Response.json(WorkerList(workers: await shell.workerViews())) }
        routes.get(":id/directives") { _, context in
            let stream = try await shell.stream(of: WorkerID(try Self.number(context)))
            return Self.lines(
                stream.map { item in
                    switch item {
                    case .keepAlive: nil
                    case .directive(let directive): String(decoding: try ControlJSON.encode(directive), as: UTF8.self)
                    }
                })
        }
        routes.post(":id/reports") { request, context in
            let id = WorkerID(try Self.number(context))
            let batch = UInt64(try Self.query(request, "batch"))
            let buffer = try await request.body.collect(upTo: CoordinatorLimits.reportBytes)
            var reports: [WorkerReport] = []
            for line in Data(buffer.readableBytesView).split(separator: UInt8(ascii: "\n")) {
                do {
                    reports.append(try ControlJSON.decode(WorkerReport.self, from: line))
                } catch {
                    throw APIError(.badRequest, "line \(reports.count + 1) is not a report: \(error)")
                }
            }
            try await shell.report(reports, batch: batch, from: id)
            return Response(status: .noContent)
        }
    }
}
