// Interrupted, killed, disturbed: what a person sees then, and that nothing is left of it.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Faults", .timeLimit(.minutes(10)))
    struct FaultTests {
        /// An attention job of many seconds, whose temporary files go to `folder`.
        private func start(_ folder: String, workers: Int = 3) throws -> Running {
            try Running(
                [
                    "attend", "--tokens", "128k", "--heads", "16", "--head-dim", "128", "--workers", "\(workers)", "--threads", "1",
                    "--verify-rows", "2", "--verbose",
                ],
                environment: ["TMPDIR": folder])
        }

        /// Waits until the job has computed for a moment and gives the workers' process numbers.
        private func computing(_ running: Running, workers count: Int = 3) async throws -> [String: Int32] {
            let workers = await running.workers(count)
            try #require(workers.count == count, "\(running.errorText)")
            try #require(await running.says("job 1: running"), "\(running.errorText)")
            try await Task.sleep(for: .milliseconds(300))
            return workers
        }

        private func isEmpty(_ folder: String) throws -> Bool { try FileManager.default.contentsOfDirectory(atPath: folder).isEmpty }

        @Test("a worker killed in mid-run fails the job within five seconds, named with its step")
        func workerKilled() async throws {
            try await withFolder { folder in
                let running = try start(folder)
                let workers = try await computing(running)
                let killed = ContinuousClock.now
                kill(workers["worker-1"] ?? 0, SIGKILL)
                let outcome = await running.outcome()
                #expect(ContinuousClock.now - killed < .seconds(5))
                #expect(outcome.code == 1)
                let sentence = outcome.errors.first ?? ""
                #expect(
                    outcome.errors.count == 1 && sentence.contains("worker worker-1 (rank 1 of 3) was killed by SIGKILL"), "\(outcome.err)")
                #expect(sentence.contains("ring step"), "\(sentence)")
                #expect(workers.values.allSatisfy { !isAlive($0) })
                #expect(try isEmpty(folder))
            }
        }

        @Test("a worker killed while it decodes or prefills fails a run the same way")
        func workerKilledInRun() async throws {
            let prompt = try await Needle.shared.prompt(task: "chain", tokens: 32768)
            let running = try Running([
                "run", "--model", try await Needle.shared.model(), "--prompt-file", prompt.path, "--workers", "2", "--threads", "1",
                "--verbose",
            ])
            let workers = await running.workers(2)
            try #require(await running.says("prefill "), "\(running.errorText)")
            kill(workers["worker-0"] ?? 0, SIGKILL)
            let outcome = await running.outcome()
            #expect(outcome.code == 1)
            #expect(outcome.errors.first?.contains("worker worker-0 (rank 0 of 2) was killed by SIGKILL") == true, "\(outcome.err)")
            #expect(workers.values.allSatisfy { !isAlive($0) })
        }

        @Test("Ctrl-C and SIGTERM end everything with 130 and 143", arguments: [(SIGINT, 130), (SIGTERM, 143)] as [(Int32, Int32)])
        func interrupted(signal: Int32, code: Int32) async throws {
            try await withFolder { folder in
                let running = try start(folder)
                let workers = try await computing(running)
                running.signal(signal)
                let outcome = await running.outcome()
                #expect(outcome.code == code && outcome.errors.count == 1, "\(outcome.err)")
                #expect(await vanish(workers.values, within: 1))
                #expect(try isEmpty(folder))
            }
        }

        @Test("when the parent is killed its workers vanish")
        func parentKilled() async throws {
            try await withFolder { folder in
                let running = try start(folder)
                let workers = try await computing(running)
                running.signal(SIGKILL)
                _ = await running.outcome()
                #expect(await vanish(workers.values, within: 5), "workers outlive their parent")
            }
        }

        @Test("a worker that stops answering is given up, named, and killed")
        func workerStopped() async throws {
            try await withFolder { folder in
                let running = try start(folder)
                let workers = try await computing(running)
                kill(workers["worker-2"] ?? 0, SIGSTOP)
                let outcome = await running.outcome()
                #expect(outcome.code == 1)
                #expect(outcome.errors.first?.contains("worker-2 (rank 2 of 3)") == true, "\(outcome.err)")
                #expect(await vanish(workers.values, within: 1))
            }
        }

        @Test("garbage on every port of a running cluster changes nothing")
        func garbage() async throws {
            let prompt = try await Needle.shared.prompt(task: "needle", tokens: 16384)
            let running = try Running([
                "run", "--model", try await Needle.shared.model(), "--prompt-file", prompt.path, "--workers", "3", "--threads", "1",
                "--verbose", "--expect",
                prompt.expected,
            ])
            try #require(await running.says("job 1: running"), "\(running.errorText)")
            let address = running.errorText.firstMatch(of: /coordinator at http:\/\/127.0.0.1:(\d+)/)
            var ports = listeningPorts(of: Array(await running.workers(3).values))
            if let address, let port = Int(address.1) { ports.append(port) }
            #expect(ports.count >= 4, "\(ports)")
            for port in ports {
                let shell = Process()
                shell.executableURL = URL(filePath: "/bin/bash")
                shell.arguments = ["-c", "head -c 100000 /dev/urandom > /dev/tcp/127.0.0.1/\(port)"]
                shell.standardError = FileHandle.nullDevice
                try shell.run()
                shell.waitUntilExit()
            }
            let outcome = await running.outcome()
            #expect(outcome.code == 0 && outcome.err.contains("the answer is right"), "\(outcome.err)")
        }

        /// Ports on which `processes` listen on 127.0.0.1.
        private func listeningPorts(of processes: [Int32]) -> [Int] {
            var sockets: Set<String> = []
            for process in processes {
                let folder = "/proc/\(process)/fd"
                for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
                    if let link = try? FileManager.default.destinationOfSymbolicLink(atPath: "\(folder)/\(name)"),
                        link.hasPrefix("socket:[")
                    {
                        sockets.insert(String(link.dropFirst(8).dropLast()))
                    }
                }
            }
            let table = String(decoding: FileManager.default.contents(atPath: "/proc/net/tcp") ?? Data(), as: UTF8.self)
            return table.split(separator: "\n").dropFirst().compactMap { line in
                let words = line.split(separator: " ")
                guard words.count > 9, words[3] == "0A", sockets.contains(String(words[9])) else { return nil }
                return Int(words[1].split(separator: ":")[1], radix: 16)
            }
        }
    }
}
