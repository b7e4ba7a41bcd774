// What data between two workers travels by, as a person chooses it and sees it: the same answers over every way, and plain words
// where a way cannot be had.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Transports", .timeLimit(.minutes(10)))
    struct LaneTests {
        private static let problem = ["attend", "--tokens", "3000", "--heads", "4", "--kv-heads", "2", "--head-dim", "64", "--seed", "5"]

        /// By rank, what the workers of a job say that their data travelled by.
        private func transports(_ outcome: Binary.Outcome) -> [String] {
            let figures = outcome.json["worker_figures"] as? [[String: Any]] ?? []
            return figures.map { $0["transport"] as? String ?? "none" }
        }

        @Test("attention over shared memory and over TCP gives the same bytes", arguments: [2, 3])
        func sameResult(workers: Int) async throws {
            try await withFolder { folder in
                let ways = [
                    ([], "shared-memory"), (["--transport", "auto"], "shared-memory"), (["--transport", "shared-memory"], "shared-memory"),
                    (["--transport", "tcp"], "tcp"),
                ]
                for (place, way) in ways.enumerated() {
                    let output = ["--output", "\(folder)/\(place).safetensors", "--workers", "\(workers)", "--verify-rows", "8", "--json"]
                    let outcome = try await Binary.run(Self.problem + output + way.0)
                    #expect(outcome.code == 0, "\(outcome.err)")
                    #expect(transports(outcome) == Array(repeating: way.1, count: workers), "\(outcome.out)")
                    let found = try Data(contentsOf: URL(filePath: "\(folder)/\(place).safetensors"))
                    #expect(try found == Data(contentsOf: URL(filePath: "\(folder)/0.safetensors")), "\(way.0)")
                }
            }
        }

        @Test("a model answers the same over both, and a worker alone travels by nothing")
        func sameAnswer() async throws {
            let prompt = try await Needle.shared.prompt(task: "needle", tokens: 2048)
            for (way, workers) in [("shared-memory", 3), ("tcp", 3), ("none", 1)] {
                let outcome = try await Binary.run(
                    [
                        "run", "--model", try await Needle.shared.model(), "--prompt-file", prompt.path, "--workers", "\(workers)",
                        "--json",
                        "--expect", prompt.expected,
                    ], environment: way == "none" ? [:] : ["RINGMASTER_TRANSPORT": way])
                #expect(outcome.code == 0, "\(outcome.err)")
                #expect(transports(outcome) == Array(repeating: way, count: workers), "\(outcome.out)")
            }
        }

        @Test("a name that is none is refused, on the command line and in the environment")
        func unknown() async throws {
            let flag = try await Binary.run(Self.problem + ["--transport", "pigeon"])
            #expect(flag.code == 2 && flag.err.contains("pigeon"), "\(flag.err)")
            let variable = try await Binary.run(Self.problem + ["--verify-rows", "1"], environment: ["RINGMASTER_TRANSPORT": "pigeon"])
            #expect(
                variable.code == 78 && variable.errors.first?.contains("use one of auto, tcp, shared-memory") == true, "\(variable.err)")
        }

        @Test("where the system gives no shared memory, workers use TCP, unless they were told not to")
        func refused() async throws {
            let small = [
                "attend", "--tokens", "200", "--heads", "1", "--head-dim", "32", "--workers", "2", "--threads", "1", "--verify-rows", "4",
                "--json",
            ]
            // No file of more than a mebibyte, and so no memory of two.
            let fallback = try await Binary.run(small, limits: "ulimit -f 1024")
            #expect(fallback.code == 0 && transports(fallback) == ["tcp", "tcp"], "\(fallback.err) \(fallback.out)")
            let forced = try await Binary.run(small + ["--transport", "shared-memory"], limits: "ulimit -f 1024")
            #expect(forced.code == 1, "\(forced.out)")
            let sentence = forced.errors.first ?? ""
            #expect(
                forced.errors.count == 1 && sentence.firstMatch(of: /rank [01] at 127\.0\.0\.1 port \d+: no lane/) != nil, "\(sentence)")
            #expect(sentence.contains("shared-memory is not possible: no shared memory (memfd)"), "\(sentence)")
        }

        @Test("a ring in which one worker insists on TCP mixes, and status and logs say so")
        func mixed() async throws {
            try await Daemons.run { daemons in
                try await daemons.startCoordinator()
                for (name, way) in [("w-0", "auto"), ("w-1", "auto"), ("w-2", "tcp")] {
                    try await daemons.startWorker(name, ["--transport", way])
                }
                // Long enough to be looked at.
                let job = try await daemons.ask([
                    "submit", "attend", "--tokens", "32k", "--heads", "4", "--head-dim", "128", "--workers", "3", "--threads", "1",
                    "--parsable",
                ])
                let number = job.out.trimmingCharacters(in: .newlines)
                var seen: [String: String] = [:]
                for _ in 0..<600 where seen.count < 3 {
                    let page = try await daemons.ask(["status", "--json"]).json["workers"] as? [[String: Any]] ?? []
                    for worker in page {
                        guard let name = (worker["registration"] as? [String: Any])?["name"] as? String,
                            let progress = worker["progress"] as? [String: Any], let transport = progress["transport"] as? String
                        else { continue }
                        seen[name] = transport
                    }
                    if !seen.isEmpty, try await daemons.ask(["status"]).out.contains("over ") { seen["page"] = "over" }
                    try await Task.sleep(for: .milliseconds(50))
                }
                let mixture = "shared-memory 1, tcp 1"
                #expect(seen["w-0"] ?? mixture == mixture && seen["w-1"] ?? mixture == mixture && seen["w-2"] ?? "tcp" == "tcp", "\(seen)")
                #expect(seen["page"] != nil && seen.count > 1, "\(seen)")
                #expect(try await daemons.waits(for: number, "succeeded", within: 120))
                let figures = try await daemons.ask(["jobs", "show", number, "--json"]).json["summaries"] as? [[String: Any]] ?? []
                #expect(figures.compactMap { $0["transport"] as? String } == [mixture, mixture, "tcp"], "\(figures)")
                #expect(await daemons.workers["w-0"]?.says("ring connected") == true)
            }
        }

        @Test("a worker that stands still for a while and goes on costs its ring nothing but the time")
        func stopped() async throws {
            let running = try Running([
                "attend", "--tokens", "32k", "--heads", "4", "--head-dim", "128", "--workers", "2", "--threads", "1", "--verify-rows", "4",
                "--verbose", "--json", "--transport", "shared-memory",
            ])
            let workers = await running.workers(2)
            try #require(workers.count == 2, "\(running.errorText)")
            try #require(await running.says("job 1: running"), "\(running.errorText)")
            for _ in 0..<3 {
                kill(workers["worker-1"] ?? 0, SIGSTOP)
                try await Task.sleep(for: .milliseconds(700))
                kill(workers["worker-1"] ?? 0, SIGCONT)
                try await Task.sleep(for: .milliseconds(200))
            }
            let outcome = await running.outcome()
            #expect(outcome.code == 0 && transports(outcome) == ["shared-memory", "shared-memory"], "\(outcome.err)")
        }
    }
}
