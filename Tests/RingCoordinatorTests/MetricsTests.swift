// /metrics: what it says, that Prometheus can read it, and that document, alerts and dashboard speak of the same metrics.

import Foundation
import RingControl
import RingCoordinator
import RingTelemetry
import Testing

@Suite("Metrics")
struct MetricsTests {
    private static let missing: Comment = "promtool is not installed: apt-get install prometheus"

    /// A snapshot with `workers` workers and one job a state, made as a client would read it.
    private static func snapshot(workers: Int = 3, name: (Int) -> String = { "worker-\($0)" }) throws -> MetricsSnapshot {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        let document = try OpenAPI.document()
        func view<View: Decodable>(_ schema: String, _ type: View.Type) throws -> View {
            let sample = OpenAPI.sample(try #require(OpenAPI.schema(schema, in: document)), in: document, isFull: true)
            return try decoder.decode(type, from: JSONSerialization.data(withJSONObject: sample))
        }
        var cluster = try view("ClusterView", ClusterView.self)
        (cluster.startedAt, cluster.uptimeSeconds, cluster.jobs.queued, cluster.totals.retries) = (1000, 500, 1, 2)
        let worker = try view("WorkerView", WorkerView.self)
        let all = (0..<workers).map { place in
            var one = worker
            (one.registration.name, one.silentSeconds, one.job) = (name(place), Double(place) / 4, nil)
            (one.health, one.pace) = place == 1 ? (.slow, 1.75) : (.ok, nil)
            return one
        }
        let job = try view("JobView", JobView.self)
        let jobs = JobPhase.allCases.map { state in
            var one = job
            (one.state, one.submittedAt, one.progress) = (
                state, 1400, JobProgress(phase: .prefill, layer: 0, layers: 1, step: 0, steps: 1, tokensDone: 1, tokensTotal: 4)
            )
            return one
        }
        let meter = RequestMeter()
        meter.observe(method: "GET", route: "/v1/jobs/{id}", status: 404, seconds: 0.002)
        return MetricsSnapshot(cluster: cluster, jobs: jobs, workers: all, process: .current(), requests: meter.families)
    }

    @Test("figures of the views, of this process and of requests are on the page")
    func figures() throws {
        let text = Exposition.text(try Self.snapshot().families)
        for line in [
            #"ringmaster_workers{state="idle"} 3"#, #"ringmaster_workers{state="suspected"} 0"#, #"ringmaster_jobs{state="queued"} 1"#,
            "ringmaster_queue_oldest_seconds 100", "ringmaster_job_retries_total 2", "ringmaster_worker_silent_max_seconds 0.5",
            #"ringmaster_worker_silent_seconds{worker="worker-1"} 0.25"#, #"ringmaster_worker_pace_ratio{worker="worker-1"} 1.75"#,
            "ringmaster_metrics_dropped_series 0",
            #"ringmaster_http_requests_total{method="GET",route="/v1/jobs/{id}",status="4xx"} 1"#,
            #"ringmaster_http_request_duration_seconds_bucket{method="GET",route="/v1/jobs/{id}",le="0.0025"} 1"#,
        ] { #expect(text.contains("\n\(line)\n"), "\(line) is not in\n\(text)") }
        #expect(text.matches(of: /\nringmaster_worker_pace_ratio/).count == 1, "who was never measured has no series")
        // Of the six jobs only the running one is shown by its number.
        #expect(text.matches(of: /ringmaster_job_progress_ratio\{job_id="\d+"\} 0\.25\n/).count == 1)
        #expect(text.matches(of: /\nringmaster_job_progress_ratio/).count == 1)
    }

    @Test("a cluster of 5,000 workers does not make a page of 5,000 series, and the page says what it leaves out")
    func bounds() throws {
        let text = Exposition.text(try Self.snapshot(workers: 5000).families)
        #expect(text.matches(of: /\nringmaster_worker_silent_seconds\{/).count == TelemetryLimits.series)
        #expect(text.contains("\nringmaster_metrics_dropped_series \(5000 - TelemetryLimits.series)\n"))
        #expect(text.contains("\nringmaster_worker_silent_max_seconds 1249.75\n"))
    }

    @Test("whatever a client makes up, requests stay few series and none is lost")
    func requestBounds() throws {
        let meter = RequestMeter()
        for number in 0..<5000 { meter.observe(method: "M\(number)", route: "/r\(number)", status: 200, seconds: 0.001) }
        for family in meter.families { #expect(family.series.count <= RequestMeter.series) }
        let counted = meter.families[0].series.map { series -> Double in if case .number(let number) = series.value { number } else { 0 } }
        #expect(counted.reduce(0, +) == 5000)
        #expect(meter.families[0].series.allSatisfy { $0.labels[0] == "other" })
    }

    @Test("promtool finds nothing to say about the page", .enabled(if: Tool.promtool != nil, missing))
    func promtool() throws {
        let promtool = try #require(Tool.promtool)
        let hostile = { (place: Int) in ["a\"b", "c\\d", "e\nf_total 1", "{}", "# HELP x y", "ü \u{0}"][place % 6] + "\(place)" }
        for families in [try Self.snapshot().families, try Self.snapshot(workers: 100, name: hostile).families] {
            let answer = try promtool.run(["check", "metrics"], input: Exposition.text(families))
            #expect(answer.code == 0 && answer.text.isEmpty, "\(answer.text)")
        }
        // It would see a metric that is not as it should be.
        #expect(try promtool.run(["check", "metrics"], input: "# TYPE camelCase counter\ncamelCase 1\n").code != 0)
    }

    @Test("the alerts are rules, and do what they say", .enabled(if: Tool.promtool != nil, missing))
    func alerts() throws {
        let promtool = try #require(Tool.promtool)
        let folder = OpenAPI.root.appending(path: "Docs/monitoring")
        for arguments in [
            ["check", "rules", "alerts.yaml"], ["check", "config", "prometheus.yaml"], ["test", "rules", "alerts_test.yaml"],
        ] {
            let answer = try promtool.run(arguments, in: folder)
            #expect(answer.code == 0, "\(answer.text)")
        }
    }

    // MARK: documents

    /// `name type labels` of every family.
    private static func families() throws -> [String] {
        try snapshot().families.map { "\($0.name) \($0.kind.rawValue) \($0.labelNames.joined(separator: ","))" }.sorted()
    }

    /// Names in PromQL that are metrics of the page, without the parts of a histogram.
    private static func metrics(in text: String) -> Set<String> {
        Set(
            text.matches(of: /\b(?:ringmaster|process)_[a-z_]+\b/).map { match in
                let name = String(match.output)
                return name.hasSuffix("_seconds_bucket") ? String(name.dropLast("_bucket".count)) : name
            })
    }

    @Test("Docs/METRICS.md has every metric with its type and labels, and no other")
    func document() throws {
        let rows = try OpenAPI.text("Docs/METRICS.md").matches(of: /\n\| `([a-z_]+)` \| ([a-z]+) \|([^|]*)\| [^|]+ \|/)
        let described = rows.map { row in
            let labels = row.output.3.matches(of: /`([a-z_]+)`/).map { String($0.output.1) }
            return "\(row.output.1) \(row.output.2) \(labels.joined(separator: ","))"
        }
        #expect(described.sorted() == (try Self.families()))
    }

    @Test("alerts, their tests and the dashboard ask only for metrics that exist; the dashboard for every one of ours")
    func queries() throws {
        let known = Set(try Self.snapshot().families.map(\.name))
        let files = [
            "Docs/monitoring/alerts.yaml", "Docs/monitoring/alerts_test.yaml", "Docs/monitoring/grafana.json", "Docs/OPERATIONS.md",
        ]
        for path in files {
            let used = Self.metrics(in: try OpenAPI.text(path))
            #expect(!used.isEmpty && used.subtracting(known).sorted() == [], "\(path)")
        }
        let shown = Self.metrics(in: try OpenAPI.text("Docs/monitoring/grafana.json"))
        #expect(known.subtracting(shown).sorted() == [])
    }

    @Test("the dashboard is JSON with a query in every panel, and no two panels overlap")
    func dashboard() throws {
        struct Dashboard: Decodable {
            struct Panel: Decodable {
                struct Target: Decodable { let expr: String }
                struct Place: Decodable { let h, w, x, y: Int }
                let id: Int
                let title: String
                let gridPos: Place
                let targets: [Target]
            }
            let uid: String
            let panels: [Panel]
        }
        let text = try OpenAPI.text("Docs/monitoring/grafana.json")
        let dashboard = try JSONDecoder().decode(Dashboard.self, from: Data(text.utf8))
        #expect(dashboard.panels.count > 10 && Set(dashboard.panels.map(\.id)).count == dashboard.panels.count)
        var taken: Set<Int> = []
        for panel in dashboard.panels {
            #expect(!panel.targets.isEmpty && panel.targets.allSatisfy { !Self.metrics(in: $0.expr).isEmpty }, "\(panel.title)")
            #expect(panel.gridPos.x + panel.gridPos.w <= 24, "\(panel.title)")
            for row in panel.gridPos.y..<panel.gridPos.y + panel.gridPos.h {
                for column in panel.gridPos.x..<panel.gridPos.x + panel.gridPos.w {
                    #expect(taken.insert(24 * row + column).inserted, "\(panel.title) overlaps another panel")
                }
            }
        }
    }

    @Test("every alert is explained in Docs/OPERATIONS.md, and no other is")
    func explanations() throws {
        let alerts = try OpenAPI.text("Docs/monitoring/alerts.yaml").matches(of: /- alert: (\w+)/).map { String($0.output.1) }
        let rows = try OpenAPI.text("Docs/OPERATIONS.md").matches(of: /\n\| `(Ringmaster\w+)` \|/).map { String($0.output.1) }
        #expect(alerts.count > 10 && rows == alerts)
    }

    @Test("a process is read from /proc, whatever its program is called")
    func process() {
        let stat = "7 (a) R (b) S 1 7 7 0 -1 4194560 1 0 0 0 250 50 0 0 20 0 9 0 1000 2048 300 18446744073709551615"
        let figures = ProcessFigures(
            stat: stat, status: "Name:\ta\nVmRSS:\t    2048 kB\nThreads:\t9\n",
            limits: "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024                 4096                 files\n",
            system: "cpu 1 2\nbtime 1700000000\n", ticksPerSecond: 100)
        #expect(figures.cpuSeconds == 3 && figures.startedAt == 1_700_000_010 && figures.residentBytes == 2_097_152)
        #expect(figures.threads == 9 && figures.maxDescriptors == 1024)
        let mine = ProcessFigures.current()
        #expect((mine.residentBytes ?? 0) > 1 << 20 && (mine.openDescriptors ?? 0) > 2 && (mine.threads ?? 0) > 0)
        #expect(abs((mine.startedAt ?? 0) - Date().timeIntervalSince1970) < 86400)
        let empty = ProcessFigures(stat: "", status: "", limits: "", system: "", ticksPerSecond: 100)
        #expect(empty.families.allSatisfy { $0.series.isEmpty })
    }
}
