// The text format, byte for byte.

import RingTelemetry
import Testing

@Suite("Prometheus text")
struct ExpositionTests {
    @Test("families come in the order of their names, series in the order of their labels")
    func order() {
        var workers = MetricFamily(.gauge, "b_workers", help: "Workers.", labels: ["state"])
        workers.set(2, "idle")
        workers.set(1, "busy")
        var jobs = MetricFamily(.counter, "a_jobs_total", help: "Jobs.")
        jobs.set(7)
        let text = """
            # HELP a_jobs_total Jobs.
            # TYPE a_jobs_total counter
            a_jobs_total 7
            # HELP b_workers Workers.
            # TYPE b_workers gauge
            b_workers{state="busy"} 1
            b_workers{state="idle"} 2

            """
        #expect(Exposition.text([workers, jobs]) == text)
        #expect(Exposition.text([jobs, workers]) == text)
    }

    @Test("a name from outside cannot end its label or its line")
    func escaping() {
        var family = MetricFamily(.gauge, "silent_seconds", help: "Back\\slash and\nline.", labels: ["worker"])
        family.set(1, "a\"} 9\nforged_total 1 # \\")
        let text = """
            # HELP silent_seconds Back\\\\slash and\\nline.
            # TYPE silent_seconds gauge
            silent_seconds{worker="a\\"} 9\\nforged_total 1 # \\\\"} 1

            """
        #expect(Exposition.text([family]) == text)
    }

    @Test("a histogram has cumulative buckets, a sum and a count")
    func histogram() {
        var measured = Histogram(bounds: [0.25, 1])
        for value in [0.25, 0.5, 0.75, 5] { measured.observe(value) }
        var family = MetricFamily(.histogram, "wait_seconds", help: "Waits.", labels: ["route"])
        family.set(measured, labels: ["/v1/jobs"])
        let text = """
            # HELP wait_seconds Waits.
            # TYPE wait_seconds histogram
            wait_seconds_bucket{route="/v1/jobs",le="0.25"} 1
            wait_seconds_bucket{route="/v1/jobs",le="1"} 3
            wait_seconds_bucket{route="/v1/jobs",le="+Inf"} 4
            wait_seconds_sum{route="/v1/jobs"} 6.5
            wait_seconds_count{route="/v1/jobs"} 4

            """
        #expect(Exposition.text([family]) == text)
    }

    @Test(
        "numbers are spelled as Go reads them",
        arguments: [
            (0.0, "0"), (-3.0, "-3"), (0.1, "0.1"), (1e-7, "1e-07"), (1.5e300, "1.5e+300"), (9_007_199_254_740_991, "9007199254740991"),
            (.infinity, "+Inf"), (-.infinity, "-Inf"), (.nan, "NaN"),
        ] as [(Double, String)]
    )
    func numbers(number: Double, spelling: String) {
        var family = MetricFamily(.gauge, "x", help: "X.")
        family.set(number)
        #expect(Exposition.text([family]).hasSuffix("\nx \(spelling)\n"))
    }

    @Test("a family without series still says what it is")
    func empty() {
        #expect(Exposition.text([MetricFamily(.gauge, "x", help: "X.")]) == "# HELP x X.\n# TYPE x gauge\n")
        #expect(Exposition.text([]).isEmpty)
    }
}
