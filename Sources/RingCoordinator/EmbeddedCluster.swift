// A whole cluster for the length of one command: the coordinator in this process, workers as child processes that join
// over the same HTTP session and speak the same data plane as on many machines.

import Foundation
import Logging
import RingControl
import RingCore
import RingTelemetry

/// A coordinator and its child processes.
public struct EmbeddedCluster: Sendable {
    /// What to start.
    public struct Configuration: Sendable {
        /// The program; normally this one.
        public var binary: String
        /// How many workers.
        public var workers: Int
        /// Environment of the workers.
        public var environment: [String: String]
        /// Told each line of workers' stderr while they run; `nil` keeps only its end, for when one fails.
        public var mirror: (@Sendable (_ worker: String, _ line: String) -> Void)?
        /// Told what becomes of workers, jobs and requests.
        public var logger = Logger.silent
        /// How long to wait for what.
        public var policy: CoordinatorPolicy
        /// Further arguments of each worker.
        public var workerArguments: [String] = []
        /// Arguments of each single worker, by place: where on the machine it lives. Empty, or one entry a worker.
        public var ownArguments: [[String]] = []
        /// Where jobs are kept.
        public var store: any JobStore = MemoryJobStore()
        /// Where the coordinator listens, a loopback address; port 0 takes any free one.
        public var listen = (host: "127.0.0.1", port: 0)
        /// Whether others may use the cluster without its token, as on any loopback daemon.
        public var isOpen = false

        /// `workers` processes of `binary`.
        public init(binary: String, workers: Int, environment: [String: String] = ProcessInfo.processInfo.environment) {
            self.binary = binary
            self.workers = workers
            self.environment = environment
            // A child's crash is told by its exit; a backtrace would delay that by seconds.
            self.environment["SWIFT_BACKTRACE"] = environment["SWIFT_BACKTRACE"] ?? "enable=no"
            policy = CoordinatorPolicy()
        }
    }

    /// The coordinator.
    public let shell: CoordinatorShell
    private let processes: [WorkerProcess]
    /// The coordinator's address.
    public let address: String

    /// Starts everything, calls `body`, and ends everything, also when `body` throws or the task is cancelled.
    public static func run<Result: Sendable>(
        _ configuration: Configuration, _ body: @escaping @Sendable (EmbeddedCluster) async throws -> Result
    ) async throws -> Result {
        let shell = try CoordinatorShell(
            version: RingmasterVersion.text, policy: configuration.policy, store: configuration.store,
            logger: configuration.logger)
        let token = JoinToken.random()
        var server = CoordinatorServer(shell: shell, security: configuration.isOpen ? .open : .embedded(token))
        server.logger = configuration.logger
        let (host, wantedPort) = configuration.listen
        return try await server.run(host: host, port: wantedPort) { port in
            let address = "http://\(host):\(port)"
            var processes: [WorkerProcess] = []
            do {
                for place in 0..<configuration.workers {
                    processes.append(
                        try WorkerProcess(
                            name: workerName(place, of: configuration.workers), binary: configuration.binary,
                            arguments: ["--coordinator", address] + configuration.workerArguments
                                + (place < configuration.ownArguments.count ? configuration.ownArguments[place] : []),
                            token: token,
                            environment: configuration.environment,
                            mirror: configuration.mirror))
                }
            } catch {
                await stop(processes, shell: shell)
                throw Failure(.workersMissing, "cannot start \(configuration.binary): \(error)")
            }
            let watches = processes.map { process in
                Task { for await how in process.ended { await shell.processEnded(process.name, reason: how) } }
            }
            let cluster = EmbeddedCluster(shell: shell, processes: processes, address: address)
            let result: Swift.Result<Result, any Error>
            do {
                result = .success(try await body(cluster))
            } catch {
                result = .failure(error)
            }
            for watch in watches { watch.cancel() }
            await stop(processes, shell: shell)
            return try result.get()
        }
    }

    /// Names sort in the order of their numbers, since ranks are given in the order of names.
    static func workerName(_ place: Int, of count: Int) -> String {
        let width = String(count - 1).count
        let digits = String(place)
        return "worker-" + String(repeating: "0", count: width - digits.count) + digits
    }

    /// Submits a job with its prompt (empty for `attend`) and follows it; all workers do it unless `workers` says how many.
    public func submit(
        _ spec: JobSpec, workers: Int? = nil, threads: Int?, prompt: [UInt32], traces: Bool = false
    ) async throws -> (job: JobNumber, events: JobFeed) {
        do {
            var submission = Submission(spec: spec, workers: workers ?? processes.count, threads: threads)
            if traces { submission.traces = true }
            let (job, _) = try await shell.submit(submission)
            let events = try await shell.follow(job)
            if !prompt.isEmpty { try await shell.storePrompt(prompt, at: 0, of: job) }
            return (job, events)
        } catch {
            throw Failure(.invalidInput, error.message)
        }
    }

    /// What the ranks of a job noted that was submitted with `traces` and has succeeded, once. A rank whose trace did not come is missing.
    public func traces(of job: JobNumber) async -> [RankTrace] { await shell.takeTraces(of: job) }

    /// Gives a job up.
    public func cancel(_ job: JobNumber, reason: String) async { try? await shell.cancel(job, reason: reason) }

    /// The last that a worker wrote on its stderr.
    public func stderrTail(of worker: String) -> String? { processes.first { $0.name == worker }?.stderrTail }

    /// The process numbers of the workers, by name.
    public var processNumbers: [(name: String, process: Int)] { processes.map { ($0.name, Int($0.identifier)) } }

    /// Ends every process: by word, by SIGTERM, and after a grace by SIGKILL. Runs to its end in a cancelled task too.
    private static func stop(_ processes: [WorkerProcess], shell: CoordinatorShell) async {
        await Task.detached {
            await shell.finish(reason: "the command is over")
            for process in processes { process.signal(SIGTERM) }
            let deadline = ContinuousClock.now + .seconds(CoordinatorLimits.stopGraceSeconds)
            while processes.contains(where: \.isRunning) && ContinuousClock.now < deadline {
                try? await Task.sleep(for: .milliseconds(10))
            }
            for process in processes { process.signal(SIGKILL) }
            let last = ContinuousClock.now + .seconds(CoordinatorLimits.stopGraceSeconds)
            while processes.contains(where: \.isRunning) && ContinuousClock.now < last {
                try? await Task.sleep(for: .milliseconds(10))
            }
        }.value
    }
}
