// Bounds and counting.

import RingTelemetry
import Testing

@Suite("Metrics")
struct MetricTests {
    @Test("a value at a bound counts below it, NaN nowhere")
    func bounds() {
        var histogram = Histogram(bounds: [1, 2])
        for value in [-1.0, 1, 1.5, 2, 2.0000001, .infinity, .nan] { histogram.observe(value) }
        #expect(histogram.counts == [2, 2, 2] && histogram.cumulative == [2, 4, 6] && histogram.count == 6)
        #expect(histogram.sum == .infinity)
    }

    @Test("every value falls into the one range that holds it", arguments: 0..<50)
    func ranges(seed: Int) {
        var histogram = Histogram(bounds: Histogram.requestSeconds)
        // A step that is no multiple of any bound.
        let values = (0..<200).map { Double($0 * (seed + 1)) * 0.000_37 }
        for value in values { histogram.observe(value) }
        for (bound, count) in zip(histogram.bounds, histogram.cumulative) {
            #expect(count == values.count { $0 <= bound }, "at or below \(bound)")
        }
        #expect(histogram.count == values.count)
    }

    @Test("the same labels replace a value, more than the limit are counted as dropped")
    func limit() {
        var family = MetricFamily(.gauge, "x", help: "X.", labels: ["worker"], limit: 3)
        for name in ["c", "a", "b", "d", "a", "e"] { family.set(Double(name.utf8.first ?? 0), name) }
        #expect(family.series.map(\.labels) == [["a"], ["b"], ["c"]] && family.droppedCount == 2)
        family.set(5, "b")
        #expect(family.series[1].value == .number(5))
    }

    @Test("made-up label values end in one entry and no count is lost")
    func overflow() {
        var table = SeriesTable(limit: 4, initial: 0)
        for number in 0..<100 { table.update(["route-\(number)", "2xx"]) { $0 += 1 } }
        for _ in 0..<10 { table.update(["route-0", "2xx"]) { $0 += 1 } }
        #expect(table.entries.count == 4)
        #expect(table.entries.map(\.value).reduce(0, +) == 110)
        #expect(table.entries.first { $0.labels == ["route-0", "2xx"] }?.value == 11)
        #expect(table.entries.first { $0.labels == ["other", "other"] }?.value == 97)
        #expect(zip(table.entries, table.entries.dropFirst()).allSatisfy { $0.labels.lexicographicallyPrecedes($1.labels) })
    }

    @Test("the order of updates does not show")
    func determinism() {
        let updates = (0..<30).map { [String($0 % 7), String($0 % 3)] }
        let counted = [updates, updates.reversed()].map { updates in
            var table = SeriesTable(initial: 0)
            for labels in updates { table.update(labels) { $0 += 1 } }
            return table.entries.map { "\($0.labels) \($0.value)" }
        }
        #expect(counted[0] == counted[1] && counted[0].count == 21)
    }

    @Test("a name that promtool would not accept stops the program", arguments: 0..<5)
    func names(sample: Int) async {
        // Processes of their own: each must end in a failed precondition.
        switch sample {
        case 0: await #expect(processExitsWith: .failure) { _ = MetricFamily(.counter, "jobs", help: "X.") }
        case 1: await #expect(processExitsWith: .failure) { _ = MetricFamily(.gauge, "jobs_total", help: "X.") }
        case 2: await #expect(processExitsWith: .failure) { _ = MetricFamily(.gauge, "Jobs", help: "X.") }
        case 3: await #expect(processExitsWith: .failure) { _ = MetricFamily(.gauge, "jobs", help: "X.", labels: ["a-b"]) }
        default: await #expect(processExitsWith: .failure) { _ = MetricFamily(.histogram, "jobs_count", help: "X.") }
        }
    }
}
