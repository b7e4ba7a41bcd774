// The demo model and prompts for it, made once by the program itself and shared by the tests of this run.

import Foundation
import Synchronization
import Testing

/// The needle model under test.
actor Needle {
    static let shared = Needle()

    private var folder: Task<String, any Error>?
    private var prompts: [String: Task<(path: String, expected: String), any Error>] = [:]

    /// The model's folder, made at first use and removed when the process ends.
    func model() async throws -> String {
        if let folder { return try await folder.value }
        let task = Task {
            let folder = FileManager.default.temporaryDirectory.appending(
                path: "ringmaster-needle-\(ProcessInfo.processInfo.processIdentifier)"
            )
            .path(percentEncoded: false)
            Cleanup.remove(atExit: folder)
            let made = try await Binary.run(["model", "make-needle", "--output", folder + "/model"])
            try #require(made.code == 0, "\(made.err)")
            return folder + "/model"
        }
        folder = task
        return try await task.value
    }

    /// A prompt of `tokens` tokens and the answer it expects.
    func prompt(task: String, tokens: Int, seed: Int = 1) async throws -> (path: String, expected: String) {
        let key = "\(task)-\(tokens)-\(seed)"
        if let prompt = prompts[key] { return try await prompt.value }
        let model = try await model()
        let work = Task { () -> (path: String, expected: String) in
            let path = URL(filePath: model).deletingLastPathComponent().appending(path: "\(key).txt").path(percentEncoded: false)
            let made = try await Binary.run([
                "model", "make-haystack", "--model", model, "--tokens", "\(tokens)", "--task", task, "--seed", "\(seed)", "--output", path,
            ])
            try #require(made.code == 0, "\(made.err)")
            return (path, made.out.trimmingCharacters(in: .whitespacesAndNewlines))
        }
        prompts[key] = work
        return try await work.value
    }
}

/// Removes folders when the process ends.
enum Cleanup {
    private static let folders = Mutex<[String]>([])

    static func remove(atExit folder: String) {
        let isFirst = folders.withLock { folders in
            folders.append(folder)
            return folders.count == 1
        }
        if isFirst { atexit { for folder in Cleanup.folders.withLock({ $0 }) { try? FileManager.default.removeItem(atPath: folder) } } }
    }
}
