// What every kind of submitted job shares: how much of the cluster it takes, how urgent it is, and what is printed of it.

import ArgumentParser
import Foundation
import RingClient
import RingControl
import RingCore
import RingFormats

/// The options of a submitted job.
struct SubmitOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Workers that do it (default: as many as are idle when its turn comes).", valueName: "n"))
    var workers: Int?
    @Option(help: ArgumentHelp("Compute threads of each worker (default: a machine's cores over its workers).", valueName: "n"))
    var threads: Int?
    @Option(help: ArgumentHelp("-100 to 100; a job of higher priority goes first (default: 0).", valueName: "p"))
    var priority: Int?
    @Option(
        help: ArgumentHelp(
            "A name of your own for this job: submitting again under it gives the same job. Random unless given.", valueName: "key"))
    var idempotencyKey: String?
    @Option(
        help: ArgumentHelp("Fail the job if it has not ended after this long, like 30s or 2h (default: no limit).", valueName: "time"),
        transform: { try DurationText(parsing: $0).value })
    var timeout: Duration?
    @Option(help: ArgumentHelp("Further attempts when a worker is lost (default: 1).", valueName: "n"))
    var retries: Int?
    @Flag(name: .shortAndLong, help: "Stay until the job has ended, show its progress and its answer, and end with its exit code.")
    var follow = false
    @Flag(help: "Print the job's number and nothing else.")
    var parsable = false
    @Flag(help: "Print the job, or with --follow its result, as JSON.")
    var json = false

    mutating func validate() throws {
        if parsable && (json || follow) {
            throw ValidationError("--parsable prints the number only: it goes with neither --json nor --follow")
        }
        if let workers, !(1...Limits.ranks).contains(workers) { throw ValidationError("--workers is 1 to \(Limits.ranks), got \(workers)") }
        if let threads, !(1...1024).contains(threads) { throw ValidationError("--threads is 1 to 1024, got \(threads)") }
        if let priority, !(-100...100).contains(priority) { throw ValidationError("--priority is -100 to 100, got \(priority)") }
        if let retries, !(0...ControlLimits.retries).contains(retries) {
            throw ValidationError("--retries is 0 to \(ControlLimits.retries), got \(retries)")
        }
        if let timeout, timeout <= .zero { throw ValidationError("--timeout is above zero") }
        if let key = idempotencyKey,
            key.isEmpty || key.utf8.count > ControlLimits.keyBytes || !key.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F })
        {
            throw ValidationError("--idempotency-key has 1 to \(ControlLimits.keyBytes) visible ASCII characters")
        }
    }

    /// Submits a job, says so, and follows it if asked to. Gives the figures of its workers if it was followed.
    func submit(
        _ spec: JobSpec, prompt: [UInt32], to connection: ConnectionOptions, onToken: @escaping (UInt32) -> Void = { _ in }
    ) async throws -> [WorkerSummary]? {
        var order = JobOrder(spec)
        order.workers = workers
        order.threads = threads
        order.priority = priority
        order.timeoutSeconds = timeout.map(seconds)
        order.retries = retries
        return try await connection.use { client in
            let job = try await client.submit(order, prompt: prompt, idempotencyKey: idempotencyKey ?? UUID().uuidString)
            if follow {
                Console.message("job \(job.id)")
                return try await RemoteJob(client: client, number: job.id).follow(onToken: onToken)
            }
            if json {
                Console.out(try ControlJSON.pretty(job) + "\n")
            } else {
                Console.out(parsable ? "\(job.id)\n" : "job \(job.id) submitted\n")
            }
            return nil
        }
    }
}

/// A job of a running cluster.
struct RemoteJob {
    let client: ClusterClient
    let number: JobNumber

    /// Shows a job until it has ended; an end that is no success is thrown with the job's exit code. Whoever interrupts this
    /// cancels the job.
    func follow(onToken: (UInt32) -> Void) async throws -> [WorkerSummary] {
        var screen = JobScreen(number, verbose: false)
        defer { screen.clear() }
        do {
            for try await news in client.events(of: number) {
                guard let end = try screen.show(news.event, onToken: onToken) else { continue }
                switch end {
                case .succeeded(let summaries): return summaries
                case .failed(var failure):
                    failure.message = printable(failure.message)
                    throw CommandError(failure)
                case .cancelled(let reason): throw CommandError(message: "job \(number) was cancelled: \(printable(reason))", exitCode: 130)
                }
            }
        } catch  where Task.isCancelled {
            screen.clear()
            // In a task of its own, since this one is cancelled and can wait for nothing; and not for long.
            let brief = ClusterClient(client.connection, patienceSeconds: 2)
            let answer = await Task.detached { try? await brief.cancel(number) }.value
            let told = answer == nil ? "could not be told to stop; try ringmaster jobs cancel \(number)" : "is cancelled"
            throw CommandError(message: "interrupted: job \(number) \(told)", exitCode: 130)
        }
        throw CommandError.failed("job \(number) has ended, and its coordinator does not say how: see ringmaster jobs show \(number)")
    }
}
