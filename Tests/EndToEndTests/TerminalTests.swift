// What a person at a terminal sees: a bar that fits, colour only where it is wanted, an answer that nothing overwrites.

import Foundation
import Testing

extension EndToEnd {
    @Suite("Terminal", .timeLimit(.minutes(10)))
    struct TerminalTests {
        /// Runs the program under `script`, which gives it a terminal, and returns what the terminal was sent.
        /// Test runners set NO_COLOR where they have no terminal themselves; an empty one counts as unset.
        private func typed(_ command: String, environment: [String: String] = [:]) throws -> String {
            let script = Process()
            script.executableURL = URL(filePath: "/usr/bin/env")
            script.arguments = ["script", "-qec", command, "/dev/null"]
            script.environment = ProcessInfo.processInfo.environment.merging(["TERM": "xterm", "NO_COLOR": ""]) { $1 }.merging(environment)
            { $1 }
            let output = Pipe()
            script.standardOutput = output
            script.standardInput = FileHandle.nullDevice
            try script.run()
            let bytes = output.fileHandleForReading.readDataToEndOfFile()
            script.waitUntilExit()
            return String(decoding: bytes, as: UTF8.self)
        }

        @Test("the bar fits the terminal and is gone before the answer", arguments: [40, 60, 120])
        func bar(columns: Int) async throws {
            let prompt = try await Needle.shared.prompt(task: "chain", tokens: 16384)
            let run = "\(Binary.path) run --model \(try await Needle.shared.model()) --prompt-file \(prompt.path) --workers 2"
            let text = try typed("stty cols \(columns); \(run)", environment: ["COLUMNS": ""])
            let frames = text.components(separatedBy: "\r\u{1B}[K")
            #expect(frames.contains { $0.hasPrefix("prefill") }, "\(text)")
            for frame in frames.dropFirst().dropLast() { #expect(frame.count < columns, "\(frame)") }
            // The last frame is what stays: the answer and the figures.
            #expect(frames.last?.hasPrefix(prompt.expected) == true, "\(text)")
        }

        @Test("errors are coloured on a terminal, and plain with NO_COLOR or elsewhere")
        func colour() async throws {
            #expect(try typed("\(Binary.path) fly").contains("\u{1B}[31merror:"))
            #expect(try !typed("\(Binary.path) fly", environment: ["NO_COLOR": "1"]).contains("\u{1B}"))
            #expect(!(try await Binary.run(["fly"])).err.contains("\u{1B}"))
        }

        @Test("without a terminal there is no bar; --verbose writes plain lines")
        func plain() async throws {
            let prompt = try await Needle.shared.prompt(task: "needle", tokens: 2048)
            let run = ["run", "--model", try await Needle.shared.model(), "--prompt-file", prompt.path, "--workers", "2"]
            let quiet = try await Binary.run(run)
            #expect(!quiet.err.contains("prefill [") && !quiet.err.contains("\r"), "\(quiet.err)")
            let verbose = try await Binary.run(run + ["--verbose"])
            #expect(verbose.err.contains("job 1: running") && !verbose.err.contains("\r"), "\(verbose.err)")
        }
    }
}
