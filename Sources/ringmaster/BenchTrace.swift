// `ringmaster bench trace`: what `--trace` costs. The same ring with and without it, by turns, and the price of one event times how many
// there were, since the difference of two runs is smaller than what a machine does by itself.

import ArgumentParser
import Foundation
import RingControl
import RingCoordinator
import RingCore
import RingEngine
import RingFormats
import RingWorker

struct BenchTrace: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace", abstract: "A ring with and without --trace, by turns.",
        discussion: """
            Both compute the same seeded attention over worker processes on loopback. The overhead is the time with a trace over the time \
            without, less one: of the medians, and the median over the pairs. Beside it stands what the events should cost: how many \
            there were, times the time that one takes on this machine.
            """)

    @Option(help: ArgumentHelp("Tokens.", valueName: "n"), transform: { try TokenCount(parsing: $0).value })
    var tokens: Int = 65_536
    @Option(help: ArgumentHelp("Query heads.", valueName: "n"))
    var heads: Int = 2
    @Option(help: ArgumentHelp("Elements of a query, key or value.", valueName: "n"))
    var headDim: Int = 128
    @Option(help: ArgumentHelp("Storage of keys and values: f32 or bf16.", valueName: "type"))
    var dtype: KVType = .bf16
    @Option(help: ArgumentHelp("Worker processes of the ring.", valueName: "n"))
    var workers: Int = 2
    @Option(help: ArgumentHelp("Pairs of runs.", valueName: "n"))
    var pairs: Int = 9
    @Flag(help: "Print the result as JSON.")
    var json = false

    mutating func validate() throws {
        guard (1...Limits.tokens).contains(tokens) else { throw ValidationError("--tokens is 1 to \(Limits.tokens), got \(tokens)") }
        guard (1...64).contains(workers) else { throw ValidationError("--workers is 1 to 64, got \(workers)") }
        guard (1...100).contains(pairs) else { throw ValidationError("--pairs is 1 to 100, got \(pairs)") }
        try checkHeads(heads, heads)
        guard AttendCommand.takes(headDim) else { throw ValidationError("--head-dim is a multiple of 8 from 32 to 256, got \(headDim)") }
    }

    func run() async throws {
        let shape = AttentionShape(
            tokens: tokens, heads: heads, kvHeads: heads, headDim: headDim, valueDim: headDim, element: dtype.element)
        let spec = AttendSpec(input: .seeded(seed: 0), shape: shape, causal: true)
        try MemoryCheck.run(workers: workers) { () throws(ExecutionError) in try MemoryEstimate(attend: spec, workers: workers) }
        let before = TraceRecorder.secondsPerTask()
        var report = try await measure(spec)
        report.secondsPerEvent = (before + TraceRecorder.secondsPerTask()) / 2
        Console.out(json ? report.json.text(pretty: true) : report.text)
    }

    private func measure(_ spec: AttendSpec) async throws -> Report {
        let configuration = EmbeddedCluster.Configuration(binary: try JobFollower.ownBinary(), workers: workers)
        let (workers, pairs, each) = (workers, pairs, max(1, MachineFacts().cpus / workers))
        do {
            return try await EmbeddedCluster.run(configuration) { cluster in
                var report = Report()
                for turn in 0..<pairs {
                    var (with, without) = (0.0, 0.0)
                    for traces in turn % 2 == 0 ? [true, false] : [false, true] {
                        var found: [RankTrace] = []
                        let summaries = try await BenchRing.job(cluster, spec, workers: workers, threads: each, traces: traces) { job in
                            found = await cluster.traces(of: job)
                        }
                        let seconds = summaries.map(\.prefillSeconds).max() ?? 0
                        if traces { with = seconds } else { without = seconds }
                        if traces { report.note(found, hops: summaries.map(\.steps).max() ?? 1) }
                    }
                    report.pairs.append((with, without))
                }
                return report
            }
        } catch let failure as Failure {
            throw CommandError(failure)
        } catch let error as ServerError {
            throw CommandError.tryAgain(error.description)
        }
    }
}

extension BenchTrace {
    /// What came out.
    struct Report: Sendable {
        /// Seconds with a trace and without.
        var pairs: [(with: Double, without: Double)] = []
        var secondsPerEvent = 0.0
        /// Of the busiest rank, and of the busiest thread's tasks in it; the hops of its pass.
        private var events = 0, eventsOfThread = 0, hops = 1

        mutating func note(_ traces: [RankTrace], hops: Int) {
            self.hops = hops
            events = traces.map { $0.events.count + $0.droppedCount }.max() ?? 0
            // One thread notes all steps and messages beside its own tasks.
            eventsOfThread =
                traces.map { trace in trace.events.count { $0.kind != .task || $0.thread == 0 } + trace.droppedCount }.max() ?? 0
        }

        private func middle(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
        private var with: Double { middle(pairs.map(\.with)) }
        private var without: Double { middle(pairs.map(\.without)) }
        private var ofPairs: [Double] { pairs.map { $0.with / $0.without - 1 } }
        /// Share of the pass that the busiest thread's events should take.
        private var expected: Double { Double(eventsOfThread) * secondsPerEvent / without }

        var json: JSONValue {
            [
                "overhead": .number(with / without - 1), "overhead_of_pairs": .number(middle(ofPairs)),
                "seconds_with": .number(with), "seconds_without": .number(without), "expected_overhead": .number(expected),
                "seconds_per_event": .number(secondsPerEvent), "events": .integer(Int64(events)),
                "events_of_busiest_thread": .integer(Int64(eventsOfThread)), "hops": .integer(Int64(hops)),
                "pairs": .array(pairs.map { ["seconds_with": .number($0.with), "seconds_without": .number($0.without)] }),
            ]
        }

        var text: String {
            let (low, high) = (ofPairs.min() ?? 0, ofPairs.max() ?? 0)
            return """
                overhead \(fixed(100 * (with / without - 1), 2))% of the medians, \(fixed(100 * middle(ofPairs), 2))% the median of \(pairs.count) \
                pairs (\(fixed(100 * low, 1)) to \(fixed(100 * high, 1))%)
                with a trace \(fixed(with, 4)) s, without \(fixed(without, 4)) s
                an event takes \(fixed(secondsPerEvent * 1e9, 0)) ns; the busiest thread noted \(grouped(eventsOfThread)) in \(hops) hops, \
                \(grouped(eventsOfThread / max(hops, 1))) a hop: \(fixed(100 * expected, 4))% of the time

                """
        }
    }
}
