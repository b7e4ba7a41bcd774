// What git holds: sources and small fixtures, nothing that a command makes.
import Foundation
import Testing

private enum Committed {
    static let fixtureBytes = 3 << 20
    static let tensorBytes = 700_000

    /// Why a path must not be committed, or nil.
    static func breach(_ path: String, byteCount: Int) -> Breach? {
        let parts = path.split(separator: "/").map(String.init)
        let name = parts.last ?? ""
        if parts.contains(where: { $0.hasPrefix(".build") || $0 == ".swiftpm" || $0 == "__pycache__" || $0 == "venv" || $0 == ".venv" }) {
            return Breach(path, 1, "a folder that a tool makes")
        }
        if name == "Package.resolved" { return Breach(path, 1, "differs from mirror to mirror") }
        if [".o", ".a", ".so", ".log", ".profdata", ".pyc"].contains(where: name.hasSuffix) { return Breach(path, 1, "a built file") }
        let isTensor = [".safetensors", ".npy", ".bin", ".gguf", ".pt"].contains(where: name.hasSuffix)
        if isTensor, !path.hasPrefix("Tests/Fixtures/") || byteCount > tensorBytes {
            return Breach(path, 1, "\(byteCount) bytes of tensors; only fixtures below \(tensorBytes) bytes are committed")
        }
        return nil
    }
}

@Suite("Committed files")
struct CommittedRules {
    /// Paths that git tracks or would track, or nil outside a repository.
    static let tracked: [String]? = {
        guard let listed = output(of: ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]), listed.status == 0 else {
            return nil
        }
        return listed.text.split(separator: "\0").map(String.init).filter(Tree.exists)
    }()

    @Test("no built, downloaded or large file is committed", .enabled(if: tracked != nil, "this is not a git repository"))
    func tree() throws {
        let paths = try #require(Self.tracked)
        #expect(paths.count > 50)
        let breaches = paths.compactMap { Committed.breach($0, byteCount: Self.byteCount($0)) }
        #expect(breaches.isEmpty, "\(breaches.list)")
        let fixtures = paths.filter { $0.hasPrefix("Tests/Fixtures/") }.map(Self.byteCount).reduce(0, +)
        #expect(fixtures < Committed.fixtureBytes, "fixtures have \(fixtures) bytes in all")
    }

    @Test("scripts are executable and say which shell they need")
    func scripts() {
        let scripts = Tree.paths.filter { $0.hasPrefix("Scripts/") || $0.hasPrefix(".ci/") }
        #expect(scripts.count > 2)
        for path in scripts {
            #expect(FileManager.default.isExecutableFile(atPath: Tree.root.appendingPathComponent(path).path), "\(path) is not executable")
            let text = Tree.text(path)
            #expect(text.hasPrefix("#!/usr/bin/env "), "\(path) does not begin with a #! line")
            #expect(!text.hasPrefix("#!/usr/bin/env bash") || text.contains("set -euo pipefail"), "\(path) goes on after an error")
        }
    }

    @Test(
        "build output, resolved versions and stray tensors are seen",
        arguments: [".build/a.swift", ".build-x/b", "Package.resolved", "Docs/a.safetensors", "Sources/A/x.o", "Benchmarks/a.log"]
    )
    func samples(path: String) {
        #expect(Committed.breach(path, byteCount: 10) != nil)
    }

    @Test("a small fixture may be committed, a large one may not")
    func fixtures() {
        #expect(Committed.breach("Tests/Fixtures/m/model.safetensors", byteCount: 600_000) == nil)
        #expect(Committed.breach("Tests/Fixtures/m/model.safetensors", byteCount: 800_000) != nil)
        #expect(Committed.breach("Sources/A/a.swift", byteCount: 10) == nil)
    }

    private static func byteCount(_ path: String) -> Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: Tree.root.appendingPathComponent(path).path)
        return (attributes?[.size] as? NSNumber)?.intValue ?? 0
    }
}
