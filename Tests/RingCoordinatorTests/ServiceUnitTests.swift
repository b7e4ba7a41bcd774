// The systemd units of cluster-configs/systemd: that systemd would take them, and how much of the machine they leave open.

import Foundation
import Testing

@Suite("Service units")
struct ServiceUnitTests {
    private static let analyze = Tool("systemd-analyze")
    private static let missing: Comment = "systemd-analyze is not installed: apt-get install systemd"

    /// Name and text of each unit.
    private static func units() throws -> [(name: String, text: String)] {
        let names = ["ringmaster-coordinator.service", "ringmaster-worker.service", "ringmaster-worker@.service"]
        return try names.map { ($0, try OpenAPI.text("cluster-configs/systemd/" + $0)) }
    }

    /// What a unit says of a key, line for line.
    private static func values(_ key: String, _ text: String) -> [String] {
        text.split(separator: "\n").filter { $0.hasPrefix(key + "=") }.map { String($0.dropFirst(key.count + 1)) }
    }

    @Test("a stop waits for longer than the grace that the daemon is told, and it runs as somebody who is not root")
    func settings() throws {
        for (name, text) in try Self.units() {
            let grace = text.firstMatch(of: /--grace (\d+)/).flatMap { Int($0.output.1) }
            let stop = Self.values("TimeoutStopSec", text).first.flatMap { Int($0) }
            #expect(try #require(grace) < (try #require(stop)), "\(name)")
            for line in ["Type=notify", "WatchdogSec=30", "User=ringmaster", "NoNewPrivileges=yes", "ProtectSystem=strict"] {
                #expect(text.contains("\n\(line)\n"), "\(name) has no \(line)")
            }
            let state = try #require(Self.values("StateDirectory", text).first)
            #expect(name.contains("coordinator") || text.contains("--state %S/\(state) "), "\(name) keeps its certificate elsewhere")
        }
    }

    @Test("workers may lock all the memory that a network card reads, and an instance is bound to its node")
    func workers() throws {
        for (name, text) in try Self.units() where name.contains("worker") {
            #expect(Self.values("LimitMEMLOCK", text) == ["infinity"], "\(name)")
            let isTemplate = name.contains("@")
            #expect(text.contains("--numa-node %i ") == isTemplate && text.contains("--name %H-%i ") == isTemplate, "\(name)")
            // Instances share a user: when one stops it must not take the others' shared memory.
            #expect(Self.values("RemoveIPC", text) == [isTemplate ? "no" : "yes"], "\(name)")
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
            let stem = name.replacing("@.service", with: "@")
            #expect(verified.code == 0 && !verified.text.contains(stem), "\(verified.text)")
            let rated = try analyze.run(
                ["security", "--offline=true", "--threshold=20", "--no-pager", file.path(percentEncoded: false)], in: folder)
            #expect(rated.code == 0, "\(rated.text)")
        }
    }
}
