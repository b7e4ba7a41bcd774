// Counts requests and measures how long they take, by the template of their route: `/v1/jobs/{id}`, never `/v1/jobs/17`.

import Hummingbird
import RingTelemetry
import Synchronization

/// What was answered since the server was made.
package final class RequestMeter: Sendable {
    /// Most combinations of method, route and status class: there are some thirty routes with two or three statuses each.
    package static let series = 256
    /// Methods by name; anything else a stranger makes up is counted together.
    private static let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]

    private struct State {
        var counts = SeriesTable(limit: series, initial: 0)
        var durations = SeriesTable(limit: series, initial: Histogram(bounds: Histogram.requestSeconds))
    }
    private let state = Mutex(State())

    package init() {}

    /// Counts one answered request. `route` is its template, or `nil` where there was none.
    package func observe(method: String, route: String?, status: Int, seconds: Double) {
        let method = Self.methods.contains(method) ? method : SeriesTable<Int>.overflowLabel
        let route = route ?? "none"
        state.withLock { state in
            state.counts.update([method, route, "\(status / 100)xx"]) { $0 += 1 }
            state.durations.update([method, route]) { $0.observe(seconds) }
        }
    }

    /// What was counted.
    package var families: [MetricFamily] {
        var requests = MetricFamily(
            .counter, "ringmaster_http_requests_total", help: "Requests that were answered, by route template and class of status.",
            labels: ["method", "route", "status"])
        var durations = MetricFamily(
            .histogram, "ringmaster_http_request_duration_seconds",
            help: "Seconds until an answer was ready to be sent; for a stream until it began.", labels: ["method", "route"])
        let (counts, times) = state.withLock { ($0.counts.entries, $0.durations.entries) }
        for entry in counts { requests.set(Double(entry.value), labels: entry.labels) }
        for entry in times { durations.set(entry.value, labels: entry.labels) }
        return [requests, durations]
    }
}

/// Tells a meter about every request. It belongs outside everything else, so that it sees what is sent.
struct RequestMeasuring<Context: RequestContext>: RouterMiddleware {
    let meter: RequestMeter

    func handle(_ request: Request, context: Context, next: (Request, Context) async throws -> Response) async throws -> Response {
        let started = ContinuousClock.now
        func observe(_ status: Int) {
            let (seconds, attoseconds) = (ContinuousClock.now - started).components
            // The router writes into the context which route it has found, and "NotFound" where there is none.
            let route = context.endpointPath.flatMap { $0 == "NotFound" ? nil : $0 }
            meter.observe(
                method: request.method.rawValue, route: route, status: status, seconds: Double(seconds) + Double(attoseconds) / 1e18)
        }
        do {
            let response = try await next(request, context)
            observe(response.status.code)
            return response
        } catch {
            observe((error as? any HTTPResponseError)?.status.code ?? 500)
            throw error
        }
    }
}
