// `ringmaster bench links`: what every link between a cluster's workers really does. The coordinator keeps it and plans by it.

import ArgumentParser
import Foundation
import RingClient
import RingControl
import RingCore
import RingFormats

/// `ringmaster bench links`.
struct BenchLinks: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "links", abstract: "Every link between the workers of a cluster, each with each.",
        discussion: """
            A job like any other, which waits for its turn and for idle workers: pairs of workers send each other large messages both ways at \
            once, and small ones there and back, as many pairs at a time as there can be. The slowest link comes first. The coordinator \
            keeps the figures and weighs schedules by them, unless it was told --link-gbits.
            """)

    @Option(help: ArgumentHelp("Workers that take part (default: all that are idle, at most 64).", valueName: "n"))
    var workers: Int?
    @Option(
        help: ArgumentHelp("Bytes of a large message.", valueName: "bytes"),
        transform: { try ByteCount(parsing: $0).value })
    var messageBytes: Int = 1 << 20
    @Option(help: ArgumentHelp("Large messages each way at once between two workers.", valueName: "n"))
    var messages: Int = 16
    @Flag(help: "Measure between worker processes of this machine, started for it, instead of a running cluster; needs --workers.")
    var here = false
    @OptionGroup var lane: LaneOptions
    @Flag(help: "Print the result as JSON.")
    var json = false
    @OptionGroup(title: "Connection") var connection: ConnectionOptions

    mutating func validate() throws {
        let most = ControlLimits.measuredWorkers
        if let workers, !(2...most).contains(workers) { throw ValidationError("--workers is 2 to \(most), got \(workers)") }
        guard (4096...ControlLimits.measuredMessageBytes).contains(messageBytes) else {
            throw ValidationError("--message-bytes is 4096 to \(ControlLimits.measuredMessageBytes), got \(messageBytes)")
        }
        guard (1...ControlLimits.measuredMessages).contains(messages), messages * messageBytes <= ControlLimits.measuredBytes else {
            throw ValidationError(
                "--messages is 1 to \(ControlLimits.measuredMessages), and all of them together at most 256 MiB, got \(messages)")
        }
        if here && workers == nil { throw ValidationError("--here starts workers: say how many with --workers") }
    }

    func run() async throws {
        let spec = JobSpec.measure(MeasureSpec(messageBytes: messageBytes, messages: messages))
        let summaries: [WorkerSummary]
        if here {
            let follower = JobFollower(
                spec: spec, workers: workers ?? 2, threads: 1, prompt: [], lane: try lane.workerArguments(), verbose: false)
            summaries = try await follower.run()
        } else {
            var order = JobOrder(spec)
            order.workers = workers
            let ready = order
            summaries = try await connection.use { client in
                let job = try await client.submit(ready, prompt: [], idempotencyKey: UUID().uuidString)
                return try await RemoteJob(client: client, number: job.id).follow { _ in }
            }
        }
        let report = LinkReport(summaries)
        Console.out(json ? report.json.text(pretty: true) : report.text)
    }
}

/// The links of a measure job.
struct LinkReport {
    private struct Link {
        let from: Int, to: Int
        let figures: LinkFigures
    }

    private let names: [String]
    /// The slowest first.
    private let links: [Link]

    init(_ summaries: [WorkerSummary]) {
        var names = summaries.indices.map { "rank \($0)" }
        var links: [Link] = []
        for (rank, summary) in summaries.enumerated() {
            for figures in summary.links ?? [] where names.indices.contains(figures.peer) {
                if let worker = figures.worker { names[figures.peer] = printable(worker) }
                links.append(Link(from: figures.peer, to: rank, figures: figures))
            }
        }
        self.names = names
        self.links = links.sorted { ($0.figures.bytesPerSecond, $0.from, $0.to) < ($1.figures.bytesPerSecond, $1.from, $1.to) }
    }

    private func median(_ values: [Double]) -> Double { values.isEmpty ? 0 : values.sorted()[values.count / 2] }
    private var rate: Double { median(links.map(\.figures.bytesPerSecond)) }
    private var delay: Double { median(links.map(\.figures.roundTripSeconds)) }

    /// For people.
    var text: String {
        guard let slowest = links.first else { return "one worker has no links\n" }
        let share = fixed(100 * slowest.figures.bytesPerSecond / rate, 0)
        let head =
            "slowest link: \(share)% of the median, \(describe(slowest)); median \(fixed(rate / 1e9, 3)) GB/s each way at once, "
            + "\(fixed(delay * 1e6, 1)) us there and back"
        return head + "\n\n" + (names.count <= 12 ? matrix : list) + "\n"
    }

    private func describe(_ link: Link) -> String {
        "\(fixed(link.figures.bytesPerSecond / 1e9, 3)) GB/s from \(names[link.from]) to \(names[link.to]) over \(link.figures.transport)"
    }

    /// Rows receive, columns send.
    private var matrix: String {
        var table = Table(["GB/s to \\ from"] + names)
        for to in names.indices {
            table.add(
                [names[to]]
                    + names.indices.map { from in
                        links.first { $0.from == from && $0.to == to }.map { fixed($0.figures.bytesPerSecond / 1e9, 3) } ?? "-"
                    })
        }
        return table.text
    }

    /// The slowest of many.
    private var list: String {
        var table = Table(["from", "to", "GB/s", "us there and back", "over"], textual: [0, 1, 4])
        for link in links.prefix(24) {
            table.add([
                names[link.from], names[link.to], fixed(link.figures.bytesPerSecond / 1e9, 3),
                fixed(link.figures.roundTripSeconds * 1e6, 1),
                link.figures.transport,
            ])
        }
        return table.text + (links.count > 24 ? "\n... and \(links.count - 24) faster ones: --json has all" : "")
    }

    /// For programs.
    var json: JSONValue {
        [
            "median_bytes_per_second": .number(rate), "median_round_trip_seconds": .number(delay),
            "slowest_share": links.first.map { .number($0.figures.bytesPerSecond / rate) } ?? .null,
            "links": .array(
                links.map { link in
                    [
                        "from": .string(names[link.from]), "to": .string(names[link.to]),
                        "bytes_per_second": .number(link.figures.bytesPerSecond),
                        "round_trip_seconds": .number(link.figures.roundTripSeconds), "transport": .string(link.figures.transport),
                    ]
                }),
        ]
    }
}
