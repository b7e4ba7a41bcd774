// A ring in which one worker gets a fifth of its time: everybody who asks is told which one it is.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Stragglers", .timeLimit(.minutes(5)))
    struct StragglerTests {
        /// Stops a process for 160 of every 200 ms, less than what makes a worker suspected, until the task is cancelled.
        private static func slow(_ process: Int32) -> Task<Void, Never> {
            Task {
                while !Task.isCancelled {
                    kill(process, SIGSTOP)
                    try? await Task.sleep(for: .milliseconds(160))
                    kill(process, SIGCONT)
                    try? await Task.sleep(for: .milliseconds(40))
                }
            }
        }

        @Test("a worker that computes at a fraction of the others' speed is named in status, in the job and in its events")
        func named() async throws {
            try await withFolder { folder in
                try await Cluster.run(in: folder) { cluster in
                    let process = try #require(try await cluster.workerProcesses()["worker-1"])
                    let job = try await cluster.submit(longAttention + ["--workers", "2", "--threads", "1"])
                    #expect(try await cluster.computes(job))
                    let slowing = Self.slow(process)
                    defer { slowing.cancel() }
                    var slow: [String: Any]?
                    // However long it takes a loaded machine to compute for two seconds on each of them.
                    for _ in 0..<600 where slow == nil {
                        try await Task.sleep(for: .milliseconds(200))
                        let workers = try await cluster.ask("status", "--json").json["workers"] as? [[String: Any]] ?? []
                        slow = workers.first { $0["health"] as? String == "slow" }
                    }
                    let last = try await cluster.ask("status").out
                    let found = try #require(slow, "nobody was named: \(last)")
                    #expect((found["registration"] as? [String: Any])?["name"] as? String == "worker-1", "\(found)")
                    #expect(found["pace"] as? Double ?? 0 >= 1.25, "\(found)")
                    let page = try await cluster.ask("status").out
                    #expect(page.contains("worker worker-1 on ") && page.contains(" is slow: "), "\(page)")
                    let shown = try await cluster.ask("jobs", "show", job, "--json").json
                    #expect((shown["straggler"] as? [String: Any])?["worker"] as? String == "worker-1", "\(shown)")
                    #expect(try await cluster.ask("jobs", "show", job).out.contains("waits for worker-1 (pace "))
                    let events = try await cluster.ask("jobs", "logs", job).out.split(separator: "\n").filter {
                        $0.contains(#""type":"slow""#)
                    }
                    #expect(events.count == 1 && events[0].contains(#""worker":"worker-1""#), "\(events)")
                    slowing.cancel()
                    await slowing.value
                    #expect(try await cluster.ask("jobs", "cancel", job).code == 0)
                }
            }
        }
    }
}
