// Rings over shaped links: Scripts/bench-links with few tokens, for what it prints and for what it leaves behind.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Shaped links", .timeLimit(.minutes(5)))
    struct LinksTests {
        private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path(percentEncoded: false)
        private static let script = root + "Scripts/bench-links"

        /// Whether this machine lets us have namespaces, virtual links and shaped queues.
        private static let canShape: Bool = {
            let process = Process()
            process.executableURL = URL(filePath: "/usr/bin/env")
            let queue = "tc qdisc add dev port1 root tbf rate 1gbit burst 128k latency 1ms"
            process.arguments = ["unshare", "--net", "sh", "-c", "ip link add name port1 type veth peer name port2 && \(queue)"]
            (process.standardOutput, process.standardError) = (FileHandle.nullDevice, FileHandle.nullDevice)
            guard (try? process.run()) != nil else { return false }
            process.waitUntilExit()
            return process.terminationStatus == 0 && Foreign("nsenter") != nil && Foreign("setpriv") != nil
        }()

        /// Runs the script with its temporary folder in `folder`, and says what is left of it.
        private func run(_ arguments: [String], under wrapper: [String] = [], in folder: String) async throws -> (
            outcome: (code: Int32, out: String, err: String), left: [String]
        ) {
            let shell = try #require(Foreign("env"))
            let settings = ["TMPDIR=\(folder)/links", "RINGMASTER_BINARY=\(Binary.path)"]
            try FileManager.default.createDirectory(atPath: folder + "/links", withIntermediateDirectories: true)
            let outcome = try await shell.run(settings + wrapper + [Self.script] + arguments, in: folder, seconds: 240)
            var left = try FileManager.default.contentsOfDirectory(atPath: folder + "/links")
            for process in try FileManager.default.contentsOfDirectory(atPath: "/proc") where Int(process) != nil {
                guard let bytes = FileManager.default.contents(atPath: "/proc/\(process)/cmdline") else { continue }
                let words = String(decoding: bytes, as: UTF8.self)
                if words.contains(folder + "/links") { left.append(words) }
            }
            return (outcome, left)
        }

        @Test(
            "two daemons over links of 100 Mbit/s: the link carries that, the figures are there, nothing is left",
            .enabled(if: canShape, "network namespaces, veth and tbf are not to be had: run as root, with iproute2 and util-linux"))
        func ring() async throws {
            try await withFolder { folder in
                let shape = ["--workers", "2", "--tokens", "1500", "--pairs", "1", "--rate", "0.1", "--json"]
                let (outcome, left) = try await run(shape, in: folder)
                #expect(outcome.code == 0, "\(outcome.err)")
                #expect(left.isEmpty)
                let report = try #require(try JSONSerialization.jsonObject(with: Data(outcome.out.utf8)) as? [String: Any])
                let probed = try #require((report["probed_gbits"] as? [String: Double])?["2"])
                // Not more than the rate beside what the bucket and the queue let through at first.
                #expect(probed > 0.02 && probed < 0.12, "\(probed)")
                let row = try #require((report["rows"] as? [[String: Any]])?.first)
                for name in ["efficiency", "ring_seconds", "single_seconds", "predicted_seconds", "wire_seconds", "gflops"] {
                    #expect((row[name] as? Double ?? 0) > 0, "\(name): \(outcome.out)")
                }
                let exposed = try #require(row["exposed"] as? Double)
                #expect((0...1).contains(exposed))
                // Keys and values of one bf16 head of 128 that another rank's queries see; blocks of 64 tokens.
                #expect(row["bytes_sent_by_rank"] as? Int ?? 0 > 0 && (row["bytes_sent_by_rank"] as? Int ?? 0) <= 1536 / 2 * 512)
                // No ring is sooner than its bytes.
                #expect((row["ring_seconds"] as? Double ?? 0) > 0.5 * (row["wire_seconds"] as? Double ?? 1))
            }
        }

        @Test(
            "interrupted in the middle of a job it leaves nothing",
            .enabled(if: canShape, "network namespaces, veth and tbf are not to be had: run as root, with iproute2 and util-linux"))
        func interrupted() async throws {
            try await withFolder { folder in
                // Minutes of attention; the interrupt comes while daemons start or the job runs, whichever it is by then.
                let shape = ["--workers", "2", "--tokens", "256k", "--pairs", "1"]
                let (outcome, left) = try await run(shape, under: ["timeout", "--signal", "INT", "6"], in: folder)
                #expect(outcome.code == 124 && outcome.out.isEmpty, "\(outcome)")
                #expect(left.isEmpty)
            }
        }

        @Test("what is missing is named, with exit code 75")
        func missing() async throws {
            try await withFolder { folder in
                let tools = folder + "/tools"
                try FileManager.default.createDirectory(atPath: tools, withIntermediateDirectories: true)
                // What a search path leads to may be a wrapper that needs more than Python itself.
                let python = try #require(Foreign("python3"))
                let found = try await python.run(["-c", "import sys; print(sys.executable, end='')"], in: folder)
                for name in ["bash", "dirname"] {
                    let program = try #require(Foreign(name)).path
                    try FileManager.default.createSymbolicLink(atPath: "\(tools)/\(name)", withDestinationPath: program)
                }
                let (outcome, left) = try await run([], under: ["PATH=\(tools)", "PYTHON=\(found.out)"], in: folder)
                #expect(outcome.code == 75 && outcome.out.isEmpty && outcome.err.contains("the program ip"), "\(outcome)")
                #expect(left.isEmpty)
            }
        }
    }
}
