// A cluster as its operator sees it: status, top, drain, a coordinator that is killed, and what is said when nobody answers.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Operation", .timeLimit(.minutes(10)))
    struct OperationTests {
        @Test("status names what each worker holds, and a worker that stops answering first of all")
        func status() async throws {
            try await withFolder { folder in
                try await Cluster.run(in: folder) { cluster in
                    let idle = try await cluster.ask("status")
                    #expect(idle.code == 0 && idle.out.hasPrefix("cluster \(cluster.address)"), "\(idle)")
                    for word in ["2 workers: 2 idle, 0 busy", "worker-0", "worker-1", "ok", "idle", "0 running"] {
                        #expect(idle.out.contains(word), "\(word): \(idle.out)")
                    }
                    let job = try await cluster.submit(longAttention)
                    #expect(try await cluster.waits(for: job, "running"))
                    #expect(try await cluster.computes(job))
                    let busy = try await cluster.ask("status")
                    #expect(busy.out.contains("2 busy") && busy.out.contains("attend ") && busy.out.contains("hop "), "\(busy.out)")
                    let stopped = try #require(try await cluster.workerProcesses()["worker-1"])
                    kill(stopped, SIGSTOP)
                    defer { kill(stopped, SIGCONT) }
                    try await Task.sleep(for: .milliseconds(1500))
                    let suspicious = try await cluster.ask("status")
                    #expect(suspicious.out.hasPrefix("! worker worker-1 on "), "\(suspicious.out)")
                    #expect(suspicious.out.contains("suspected: silent for"), "\(suspicious.out)")
                    let findings = try await cluster.ask("status", "--json").json["findings"] as? [String] ?? []
                    #expect(findings.first?.contains("worker-1") == true, "\(findings)")
                    kill(stopped, SIGCONT)
                    #expect(try await cluster.ask("jobs", "cancel", job).code == 0)
                }
            }
        }

        @Test("top prints one plain page elsewhere, and on a terminal draws, and gives it back at q")
        func top() async throws {
            try await withFolder { folder in
                try await Cluster.run(in: folder) { cluster in
                    let job = try await cluster.submit(longAttention)
                    #expect(try await cluster.waits(for: job, "running"))
                    #expect(try await cluster.computes(job))
                    let page = try await cluster.ask("top")
                    #expect(page.code == 0 && !page.out.contains("\u{1B}"), "\(page)")
                    for word in ["worker-0 -> worker-1 -> worker-0", "hop ", "job \(job)", "2 busy"] {
                        #expect(page.out.contains(word), "\(word): \(page.out)")
                    }
                    let drawn = try typed("stty cols 90 rows 20; \(Binary.path) top; stty -a", keys: "q", after: 2.5, cluster)
                    #expect(drawn.contains("\u{1B}[?1049h") && drawn.contains("\u{1B}[?1049l"), "\(drawn)")
                    let frames = drawn.components(separatedBy: "\u{1B}[H")
                    #expect(frames.count >= 3, "\(frames.count)")
                    for frame in frames.dropFirst().dropLast() {
                        let plain = frame.unicodeScalars.filter { $0 != "\r" }.map(String.init).joined()
                        let lines = plain.replacing(/\u{1B}\[[KJ]/, with: "").components(separatedBy: "\n")
                        #expect(lines.count <= 20 && lines.allSatisfy { $0.count <= 90 }, "\(frame)")
                    }
                    let after = drawn.components(separatedBy: "\u{1B}[?1049l").last ?? ""
                    #expect(after.contains(" icanon") && after.contains(" echo "), "the terminal was left as it was not: \(after)")
                    #expect(try await cluster.ask("jobs", "cancel", job).code == 0)
                }
            }
        }

        /// Runs a command under `script`, which gives it a terminal, and presses keys after some seconds.
        private func typed(_ command: String, keys: String, after seconds: Double, _ cluster: Cluster) throws -> String {
            let script = Process()
            script.executableURL = URL(filePath: "/usr/bin/env")
            script.arguments = ["script", "-qec", command, "/dev/null"]
            script.environment = ProcessInfo.processInfo.environment.merging(cluster.environment) { $1 }.merging(["TERM": "xterm"]) { $1 }
            let (input, output) = (Pipe(), Pipe())
            (script.standardInput, script.standardOutput) = (input, output)
            try script.run()
            Thread.sleep(forTimeInterval: seconds)
            try input.fileHandleForWriting.write(contentsOf: Data(keys.utf8))
            let bytes = output.fileHandleForReading.readDataToEndOfFile()
            script.waitUntilExit()
            return String(decoding: bytes, as: UTF8.self)
        }

        @Test("a drained worker leaves when it is idle; a drained cluster takes no job")
        func drain() async throws {
            try await withFolder { folder in
                try await Cluster.run(workers: 3, in: folder) { cluster in
                    let drained = try await cluster.ask("drain", "worker-1")
                    #expect(drained.code == 0 && drained.err.contains("worker-1 drains"), "\(drained)")
                    var names: [String] = []
                    for _ in 0..<100 {
                        names = try await cluster.workerProcesses().keys.sorted()
                        if names.count == 2 { break }
                        try await Task.sleep(for: .milliseconds(50))
                    }
                    #expect(names == ["worker-0", "worker-2"])
                    let next = try await cluster.ask(["submit"] + smallAttention + ["--follow", "--json"])
                    #expect(next.json["workers"] as? Int == 2, "\(next)")
                    #expect(try await cluster.ask("drain", "nobody").code == 1)
                    let long = try await cluster.submit(longAttention)
                    #expect(try await cluster.waits(for: long, "running"))
                    #expect(try await cluster.ask("drain", "--cluster").code == 0)
                    let refused = try await cluster.ask(["submit"] + smallAttention)
                    #expect(refused.code == 75 && refused.errors.count == 1, "\(refused)")
                    #expect(try await cluster.ask("status").out.contains("! the cluster drains"))
                    #expect(try await cluster.ask("jobs", "cancel", long).code == 0)
                }
            }
        }

        @Test("a followed job goes on when its coordinator is killed and comes back")
        func coordinatorKilled() async throws {
            try await withFolder { folder in
                var coordinator = try Running(["coordinator", "--listen", "127.0.0.1:0", "--state", folder + "/state"])
                let address = try #require(await coordinator.readyAddress(), "\(coordinator.errorText)")
                let workers = try ["a", "b"].map { try Running(["worker", "--coordinator", address, "--name", $0, "--data", folder]) }
                let cluster = Cluster(address: address, folder: folder)
                let attention = ["attend", "--tokens", "16k", "--heads", "16", "--head-dim", "128"]
                let followed = try Running(
                    ["submit"] + attention + ["--workers", "2", "--retries", "3", "--follow", "--json", "--verify-rows", "3"],
                    environment: cluster.environment)
                #expect(try await cluster.waits(for: "1", "running"))
                coordinator.signal(SIGKILL)
                _ = await coordinator.outcome()
                try await Task.sleep(for: .seconds(1))
                let port = try #require(address.split(separator: ":").last)
                coordinator = try Running(["coordinator", "--listen", "127.0.0.1:\(port)", "--state", folder + "/state"])
                let outcome = await followed.outcome()
                #expect(outcome.code == 0 && outcome.json["workers"] as? Int == 2, "\(outcome)")
                let jobs = try await cluster.ask("jobs", "list", "--json").json["jobs"] as? [[String: Any]] ?? []
                #expect(jobs.count == 1 && jobs.first?["state"] as? String == "succeeded", "\(jobs)")
                for process in workers + [coordinator] { process.signal(SIGTERM) }
                for process in workers + [coordinator] { _ = await process.outcome() }
            }
        }

        @Test("each way of not being answered has its exit code and its sentence")
        func refusals() async throws {
            try await withFolder { folder in
                let key = folder + "/key"
                try Data("secret\n".utf8).write(to: URL(filePath: key))
                let plain = "http://127.0.0.1:1"
                for (mode, code, word) in [(0o644, 78, "chmod 600"), (0o640, 78, "chmod 600"), (0o600, 75, "refused")] {
                    try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: key)
                    let outcome = try await Binary.run(["status", "--coordinator", plain, "--key-file", key])
                    #expect(
                        outcome.code == Int32(code) && outcome.errors.first?.contains(word) == true, "\(String(mode, radix: 8)): \(outcome)"
                    )
                }
                let cases: [([String], [String: String], Int32, String)] = [
                    (["status", "--coordinator", "http://10.0.0.1:7411"], [:], 2, "https"),
                    (["status"], ["RINGMASTER_COORDINATOR": "http://10.0.0.1:7411"], 78, "https"),
                    (["status", "--coordinator", plain, "--key-file", folder + "/none"], [:], 78, "/none"),
                    (["status", "--coordinator", "https://127.0.0.1:1", "--authority", key], [:], 2, "PEM"),
                    (["drain"], [:], 2, "--cluster"), (["jobs", "show", "x"], [:], 2, "x"),
                    (["submit", "attend", "--tokens", "10", "--parsable", "--follow"], [:], 2, "--parsable"),
                    (["submit", "attend", "--tokens", "10", "--priority", "101"], [:], 2, "--priority"),
                    (["submit", "attend", "--tokens", "10", "--timeout", "soon"], [:], 2, "soon"),
                    (["submit", "generate", "--model", "/m", "--prompt", "a"], [:], 2, "--model"),
                ]
                for (arguments, environment, code, word) in cases {
                    let outcome = try await Binary.run(arguments, environment: environment)
                    #expect(outcome.code == code && outcome.errors.first?.contains(word) == true, "\(arguments): \(outcome)")
                }
                try await Cluster.run(workers: 1, in: folder) { cluster in
                    let unknown = try await cluster.ask("jobs", "show", "77")
                    #expect(unknown.code == 1 && unknown.errors.first?.contains("77") == true, "\(unknown)")
                }
            }
        }
    }
}
