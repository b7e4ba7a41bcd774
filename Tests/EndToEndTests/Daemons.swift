// A coordinator and workers as their operator starts them, each a process of its own, on loopback.

import Foundation
import Testing

/// Daemons of one test; ended with it, however it ends.
actor Daemons {
    let folder: String
    private(set) var address = ""
    private var coordinator: Running?
    private(set) var workers: [String: Running] = [:]
    private var old: [Running] = []

    init(_ folder: String) { self.folder = folder }

    /// Runs `body` with nothing started yet.
    static func run<Result>(_ body: (Daemons) async throws -> Result) async throws -> Result {
        try await withFolder { folder in
            let daemons = Daemons(folder)
            let outcome: Swift.Result<Result, any Error>
            do {
                outcome = .success(try await body(daemons))
            } catch {
                outcome = .failure(error)
            }
            await daemons.end()
            return try outcome.get()
        }
    }

    /// Starts the coordinator: on a free port the first time, on the same one after that.
    func startCoordinator(_ arguments: [String] = []) async throws {
        let port = address.split(separator: ":").last.map(String.init) ?? "0"
        let running = try Running(["coordinator", "--listen", "127.0.0.1:\(port)", "--state", folder + "/state"] + arguments)
        if let coordinator { old.append(coordinator) }
        coordinator = running
        address = try #require(await running.readyAddress(), "\(running.errorText)")
    }

    /// Starts a worker and waits until it is in.
    func startWorker(_ name: String, _ arguments: [String] = [], environment: [String: String] = [:]) async throws {
        let running = try Running(
            // A speed that is given is not measured, so that shards do not depend on what else the machine does.
            ["worker", "--coordinator", address, "--name", name, "--data", folder, "--models", folder, "--speed", "1"] + arguments,
            environment: environment)
        if let before = workers[name] { old.append(before) }
        workers[name] = running
        try #require(await running.says("joined the coordinator"), "\(running.errorText)")
    }

    func coordinatorSays(_ text: String) async -> Bool { await coordinator?.says(text) ?? false }
    func signalCoordinator(_ number: Int32) { coordinator?.signal(number) }
    func signalWorker(_ name: String, _ number: Int32) { workers[name]?.signal(number) }
    func coordinatorOutcome() async -> Binary.Outcome? { await coordinator?.outcome() }
    func workerOutcome(_ name: String) async -> Binary.Outcome? { await workers[name]?.outcome() }

    /// A command against this cluster.
    func ask(_ arguments: [String], environment: [String: String] = [:]) async throws -> Binary.Outcome {
        let own = ["RINGMASTER_COORDINATOR": address, "RINGMASTER_DATA": folder, "RINGMASTER_MODELS": folder]
        return try await Binary.run(arguments, environment: own.merging(environment) { $1 })
    }

    /// Waits until a job is in this state.
    func waits(for job: String, _ state: String, within seconds: Double = 30) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < deadline {
            if try await ask(["jobs", "show", job, "--json"]).json["state"] as? String == state { return true }
            try await Task.sleep(for: .milliseconds(50))
        }
        return false
    }

    private func end() async {
        let all = [coordinator].compactMap { $0 } + workers.values + old
        for running in all { running.signal(SIGKILL) }
        for running in all { _ = await running.outcome() }
    }
}

extension Running {
    /// Waits until a coordinator's log says that it is ready, in either format, and gives its address.
    func readyAddress() async -> String? {
        for _ in 0..<3000 {
            let found =
                errorText.firstMatch(of: /ready address=(https?:\S+)/)?.1
                ?? errorText.firstMatch(of: /"msg":"ready","address":"([^"]+)"/)?.1
            if let found { return String(found) }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return nil
    }
}
