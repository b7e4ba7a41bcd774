// Runs one job on an embedded cluster and follows it to its end: progress to the bar, tokens to whoever wants them.

import Foundation
import RingControl
import RingCoordinator
import RingFormats

/// How a job is run from the command line.
struct JobFollower: Sendable {
    /// The work.
    let spec: JobSpec
    /// Worker processes.
    let workers: Int
    /// Compute threads of each; `nil` shares the cores.
    let threads: Int?
    /// Token ids of the prompt; empty for `attend`.
    let prompt: [UInt32]
    /// What the workers' data travels by, as their arguments.
    let lane: [String]
    /// Whether to tell more on stderr.
    let verbose: Bool
    /// Where a trace of the job goes, if one is wanted.
    var trace: TraceFile?
    /// Whether workers are dealt over the machine's NUMA nodes.
    var numa = true

    /// Starts a cluster, runs the job, ends the cluster, and gives the figures of every worker, by rank.
    func run(onToken: @escaping @Sendable (UInt32) -> Void = { _ in }) async throws -> [WorkerSummary] {
        var configuration = EmbeddedCluster.Configuration(binary: try Self.ownBinary(), workers: workers)
        configuration.workerArguments = lane
        if verbose { configuration.mirror = { Console.message($1) } }
        if numa { configuration.ownArguments = NodeOptions.dealt(workers) }
        // Nothing is left of a file that did not get its name.
        defer { trace?.discard() }
        do {
            return try await EmbeddedCluster.run(configuration) { cluster in try await follow(cluster, onToken) }
        } catch let failure as Failure {
            throw CommandError(failure)
        } catch let error as ServerError {
            throw CommandError.tryAgain(error.description)
        }
    }

    static func ownBinary() throws -> String {
        if let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe") { return path }
        throw CommandError.failed("cannot find this program's own file through /proc/self/exe: is /proc mounted?")
    }

    private func follow(_ cluster: EmbeddedCluster, _ onToken: @Sendable (UInt32) -> Void) async throws -> [WorkerSummary] {
        let (job, events) = try await cluster.submit(spec, threads: threads, prompt: prompt, traces: trace != nil)
        if verbose {
            Console.message("coordinator at \(cluster.address)")
            for (name, process) in cluster.processNumbers { Console.message("\(name) is process \(process)") }
            let homes: [[String]] = numa ? NodeOptions.dealt(workers) : []
            for (worker, home) in zip(cluster.processNumbers, homes) { Console.message("\(worker.name) lives on node \(home.last ?? "")") }
        }
        var screen = JobScreen(job, verbose: verbose)
        defer { screen.clear() }
        for await item in events {
            guard case .news(let news) = item, let end = try screen.show(news.event, onToken: onToken) else { continue }
            switch end {
            case .succeeded(let summaries):
                screen.clear()
                try await trace?.write(cluster.traces(of: job), workers: cluster.processNumbers.map(\.name))
                return summaries
            case .failed(let failure):
                explain(failure, cluster)
                throw failure
            case .cancelled(let reason): throw Failure(.shuttingDown, "the job was cancelled: \(reason)")
            }
        }
        // The feed ends without a final event only when this task is cancelled.
        throw CancellationError()
    }

    /// Shows the end of what a worker that died had to say; a worker that reported its own error has said it.
    private func explain(_ failure: Failure, _ cluster: EmbeddedCluster) {
        let mayHaveSaid = failure.code == .workerLost || failure.code == .workersMissing
        guard mayHaveSaid, !verbose, let worker = failure.worker, let tail = cluster.stderrTail(of: worker) else { return }
        let lines = tail.split(separator: "\n").suffix(8)
        for line in lines { Console.message("\(worker): \(line)") }
    }
}

/// The table of workers that a run prints for people.
func workerTable(_ summaries: [WorkerSummary]) -> String {
    let isBound = summaries.contains { $0.locality != nil }
    var header = ["worker", "tokens", "compute s", "exposed s", "exposed", "sent", "received", "over", "GFLOP/s", "memory"]
    if isBound { header.append("local") }
    var table = Table(header)
    for summary in summaries {
        let busy = summary.computeSeconds + summary.exposedSeconds
        var row = [
            "rank \(summary.rank)", grouped(summary.tokensOwned), fixed(summary.computeSeconds, 2), fixed(summary.exposedSeconds, 2),
            busy > 0 ? fixed(100 * summary.exposedSeconds / busy, 1) + "%" : "-", humanBytes(summary.bytesSent),
            humanBytes(summary.bytesReceived), summary.transport.map(printable) ?? "-",
            summary.computeSeconds > 0 ? fixed(summary.flops / summary.computeSeconds / 1e9, 1) : "-",
            humanBytes(summary.peakResidentBytes),
        ]
        if isBound { row.append(summary.locality.map { percent($0.share) } ?? "-") }
        table.add(row)
    }
    return table.text
}

/// Where a worker's memory lay, for `--json`.
private func localityObject(_ locality: MemoryLocality) -> JSONValue {
    let nodes: [JSONValue] = locality.nodes.map { .integer(Int64($0)) }
    return [
        "nodes": .array(nodes), "pages": .integer(Int64(locality.pages)), "pages_local": .integer(Int64(locality.pagesLocal)),
        "huge_bytes": .integer(Int64(locality.hugeBytes)),
    ]
}

/// `99.8%`.
func percent(_ share: Double) -> String { fixed(100 * share, 1) + "%" }

/// Seconds that communication was waited for, as a share of all seconds in which the engine was on the job.
func exposedFraction(_ summaries: [WorkerSummary]) -> Double {
    let exposed = summaries.reduce(0) { $0 + $1.exposedSeconds }
    let busy = summaries.reduce(0) { $0 + $1.computeSeconds + $1.exposedSeconds }
    return busy > 0 ? exposed / busy : 0
}

/// The figures of every worker for `--json`.
func workerObjects(_ summaries: [WorkerSummary]) -> JSONValue {
    .array(
        summaries.map { summary -> JSONValue in
            let locality: JSONValue = summary.locality.map(localityObject) ?? .null
            return [
                "rank": .integer(Int64(summary.rank)), "tokens": .integer(Int64(summary.tokensOwned)),
                "load_seconds": .number(summary.loadSeconds), "prefill_seconds": .number(summary.prefillSeconds),
                "decode_seconds": .number(summary.decodeSeconds), "compute_seconds": .number(summary.computeSeconds),
                "exposed_seconds": .number(summary.exposedSeconds), "bytes_sent": .integer(Int64(summary.bytesSent)),
                "bytes_received": .integer(Int64(summary.bytesReceived)), "flops": .number(summary.flops),
                "steps": .integer(Int64(summary.steps)), "peak_resident_bytes": .integer(Int64(summary.peakResidentBytes)),
                "retransmissions": .integer(Int64(summary.retransmissions)), "isa": .string(summary.isa),
                "transport": summary.transport.map { .string($0) } ?? .null,
                "locality": locality,
                "ring_steps": stepObjects(summary.ringSteps ?? []),
            ]
        })
}
