// /metrics: Prometheus' text of the moment it is asked.

import HTTPTypes
import Hummingbird
import RingTelemetry

extension CoordinatorServer {
    /// Adds `/metrics`; `meter` is the one that the router's outermost middleware tells.
    func addMetricsRoute(to routes: some RouterMethods<Context>, meter: RequestMeter) {
        routes.get("metrics") { _, _ in
            let snapshot = MetricsSnapshot(
                cluster: await shell.clusterView(), jobs: await shell.jobViews(), workers: await shell.workerViews(),
                process: ProcessFigures.current(), requests: meter.families)
            let text = Exposition.text(snapshot.families)
            return Response(
                status: .ok, headers: [.contentType: Exposition.contentType, .cacheControl: "no-store"],
                body: ResponseBody(byteBuffer: ByteBuffer(string: text)))
        }
    }
}
