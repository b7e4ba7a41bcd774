// A running cluster for a test: the real daemons on loopback, spoken to with the real command line.

import Foundation
import Testing

/// `ringmaster up`, from ready to gone.
struct Cluster: Sendable {
    let address: String
    /// Folder of models and of shared files.
    let folder: String

    /// Runs `body` beside a cluster of `workers` whose models and data lie in `folder`, and sees that nothing is left of it.
    static func run<Result>(
        workers: Int = 2, in folder: String, models: String? = nil, options: [String] = [], _ body: (Cluster) async throws -> Result
    ) async throws -> Result {
        let up = try Running(
            [
                "up", "--workers", "\(workers)", "--listen", "127.0.0.1:0", "--json", "--data", folder, "--models", models ?? folder,
            ] + options)
        let address = await up.announcedAddress()
        let cluster = Cluster(address: address ?? "", folder: folder)
        let outcome: Swift.Result<Result, any Error>
        var processes: [Int32] = []
        do {
            try #require(address != nil, "\(up.errorText)")
            processes = try await cluster.workerProcesses().map(\.value)
            outcome = .success(try await body(cluster))
        } catch {
            outcome = .failure(error)
        }
        up.signal(SIGINT)
        let end = await up.outcome()
        #expect([0, 130].contains(end.code), "\(end.err)")
        #expect(await vanish(processes, within: 5), "workers outlive their cluster")
        return try outcome.get()
    }

    /// Runs a command against this cluster.
    func ask(_ arguments: String...) async throws -> Binary.Outcome { try await ask(arguments) }

    /// The same.
    func ask(_ arguments: [String]) async throws -> Binary.Outcome { try await Binary.run(arguments, environment: environment) }

    /// What makes a command speak to this cluster.
    var environment: [String: String] { ["RINGMASTER_COORDINATOR": address, "RINGMASTER_DATA": folder, "RINGMASTER_MODELS": folder] }

    /// Submits a job and gives its number.
    func submit(_ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation) async throws -> String {
        let outcome = try await ask(["submit"] + arguments + ["--parsable"])
        try #require(outcome.code == 0 && outcome.out.wholeMatch(of: /\d+\n/) != nil, "\(outcome)", sourceLocation: sourceLocation)
        return outcome.out.trimmingCharacters(in: .newlines)
    }

    /// A job's state.
    func state(_ job: String) async throws -> String { try await ask("jobs", "show", job, "--json").json["state"] as? String ?? "" }

    /// Waits until a job is in this state.
    func waits(for job: String, _ state: String, within seconds: Double = 30) async throws -> Bool {
        let deadline = ContinuousClock.now + .seconds(seconds)
        while ContinuousClock.now < deadline {
            if try await self.state(job) == state { return true }
            try await Task.sleep(for: .milliseconds(50))
        }
        return false
    }

    /// Waits until a running job has told how far it is.
    func computes(_ job: String) async throws -> Bool {
        for _ in 0..<300 {
            let progress = try await ask("jobs", "show", job, "--json").json["progress"] as? [String: Any]
            if progress?["phase"] as? String == "attend" { return true }
            try await Task.sleep(for: .milliseconds(100))
        }
        return false
    }

    /// Process numbers of the workers by name.
    func workerProcesses() async throws -> [String: Int32] {
        let workers = try await ask("status", "--json").json["workers"] as? [[String: Any]] ?? []
        let pairs = workers.compactMap { worker -> (String, Int32)? in
            guard let facts = worker["registration"] as? [String: Any], let name = facts["name"] as? String, let pid = facts["pid"] as? Int
            else {
                return nil
            }
            return (name, Int32(pid))
        }
        return Dictionary(pairs) { first, _ in first }
    }
}

extension Running {
    /// The address that `up --json` prints on stdout when it is ready.
    func announcedAddress() async -> String? {
        for _ in 0..<3000 {
            if let match = outputText.firstMatch(of: /"address": ?"(http:[^"]+)"/) { return String(match.1) }
            try? await Task.sleep(for: .milliseconds(10))
        }
        return nil
    }
}

/// A seeded attention job of some tens of milliseconds.
let smallAttention = ["attend", "--tokens", "3000", "--heads", "4", "--kv-heads", "2", "--head-dim", "64", "--seed", "3"]
/// One of many seconds.
let longAttention = ["attend", "--tokens", "64k", "--heads", "8", "--head-dim", "128"]
