// The systemd units of Docs/OPERATIONS.md: that systemd would take them, and how much of the machine they leave open.

import Foundation
import Testing

@Suite("Service units")
struct ServiceUnitTests {
    private static let analyze = Tool("systemd-analyze")
    private static let missing: Comment = "systemd-analyze is not installed: apt-get install systemd"

    /// Name and text of each unit in the document.
    private static func units() throws -> [(name: String, text: String)] {
        try OpenAPI.text("Docs/OPERATIONS.md").matches(of: /\n```ini\n# \/etc\/systemd\/system\/(\S+)\n([\s\S]*?)```/).map {
            (String($0.output.1), String($0.output.2))
        }
    }

    @Test("a stop waits for longer than the grace that the daemon is told, and it runs as somebody who is not root")
    func settings() throws {
        let units = try Self.units()
        #expect(units.map(\.name) == ["ringmaster-coordinator.service", "ringmaster-worker.service"])
        for (name, text) in units {
            let grace = text.firstMatch(of: /--grace (\d+)/).flatMap { Int($0.output.1) }
            let stop = text.firstMatch(of: /\nTimeoutStopSec=(\d+)/).flatMap { Int($0.output.1) }
            #expect(try #require(grace) < (try #require(stop)), "\(name)")
            #expect(text.contains("\nType=notify\n") && text.contains("\nUser=ringmaster\n") && text.contains("\nStateDirectory="))
        }
    }

    @Test("systemd understands every line and rates the exposure below 2 of 10", .enabled(if: analyze != nil, missing))
    func exposure() throws {
        let analyze = try #require(Self.analyze)
        let folder = FileManager.default.temporaryDirectory.appending(path: "ringmaster-units-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        for (name, text) in try Self.units() {
            // A program that is there, so that what is said is about the unit.
            let file = folder.appending(path: name)
            try text.replacing("/usr/local/bin/ringmaster", with: "/bin/true").write(to: file, atomically: true, encoding: .utf8)
            let verified = try analyze.run(["verify", file.path(percentEncoded: false)], in: folder)
            #expect(verified.code == 0 && !verified.text.contains(name), "\(verified.text)")
            let rated = try analyze.run(
                ["security", "--offline=true", "--threshold=20", "--no-pager", file.path(percentEncoded: false)], in: folder)
            #expect(rated.code == 0, "\(rated.text)")
        }
    }
}
