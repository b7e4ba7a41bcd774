// The tree and Package.swift say the same thing, and Package.swift asks for nothing that would not run on an older CPU or hide a warning.
import Testing

private enum Manifest {
    /// Names in `.target(name: "...")` and its sisters.
    static func targets(in manifest: String) -> Set<String> {
        let declaration = /\.(?:target|executableTarget|testTarget|systemLibrary)\(\s*name: "(\w+)"/
        return Set(manifest.matches(of: declaration).map { String($0.output.1) })
    }

    /// Folders of Sources and Tests that no target claims, and targets without a folder.
    static func orphans(paths: [String], targets: Set<String>) -> [Breach] {
        var folders: Set<String> = []
        var found: [Breach] = []
        for path in paths {
            let parts = path.split(separator: "/")
            guard parts[0] == "Sources" || parts[0] == "Tests", parts.count < 2 || parts[1] != "Fixtures" else { continue }
            if parts.count == 2 {
                found.append(Breach(path, 1, "lies in no target's folder"))
            } else if folders.insert(String(parts[1])).inserted, !targets.contains(String(parts[1])) {
                found.append(Breach(path, 1, "\(parts[1]) is no target of Package.swift"))
            }
        }
        return found + targets.subtracting(folders).sorted().map { Breach("Package.swift", 1, "the target \($0) has no folder") }
    }

    /// Spellings that a manifest must not hold.
    static func bannedFlags(in manifest: String) -> [String] {
        ["unsafeFlags", "-march", "-mcpu", "-mavx", "-Ofast", "-ffast-math", "-Ounchecked", "-suppress-warnings"].filter(manifest.contains)
    }

    /// Targets without settings of their own; the shared settings make warnings errors.
    static func unsettled(in manifest: String) -> [String] {
        let heads = manifest.ranges(of: /\.(?:target|executableTarget|testTarget)\(/)
        return heads.indices.compactMap { place in
            let end = place + 1 < heads.count ? heads[place + 1].lowerBound : manifest.endIndex
            let body = manifest[heads[place].lowerBound..<end]
            if body.contains("wiftSettings: swift") || body.contains("cSettings: c") { return nil }
            return String(body.prefix(60))
        }
    }
}

@Suite("Manifest")
struct ManifestRules {
    @Test("every source lies in a declared target and every target has a folder")
    func orphans() {
        let targets = Manifest.targets(in: Tree.text("Package.swift"))
        #expect(targets.count > 8)
        let breaches = Manifest.orphans(paths: Tree.paths, targets: targets)
        #expect(breaches.isEmpty, "\(breaches.list)")
    }

    @Test("no flag of Package.swift needs a newer CPU, loosens arithmetic or hides warnings")
    func flags() {
        let manifest = Tree.text("Package.swift")
        #expect(Manifest.bannedFlags(in: manifest).isEmpty)
        for wanted in [".swiftLanguageMode(.v6)", ".treatAllWarnings(as: .error)", ".strictMemorySafety()"] {
            #expect(manifest.contains(wanted), "Package.swift lost \(wanted)")
        }
        #expect(Manifest.unsettled(in: manifest).isEmpty)
    }

    @Test("a folder without a target, a stray file and a target without a folder are seen")
    func samples() {
        let targets = Manifest.targets(in: ".target(name: \"A\"), .testTarget(\n    name: \"ATests\", dependencies: [])")
        #expect(targets == ["A", "ATests"])
        let sound = ["Sources/A/a.swift", "Tests/ATests/a.swift", "Tests/Fixtures/a.json", "README.md"]
        #expect(Manifest.orphans(paths: sound, targets: targets).isEmpty)
        #expect(Manifest.orphans(paths: sound + ["Sources/B/b.swift"], targets: targets).count == 1)
        #expect(Manifest.orphans(paths: sound + ["Sources/b.swift"], targets: targets).count == 1)
        #expect(Manifest.orphans(paths: sound, targets: targets.union(["C"])).count == 1)
    }

    @Test("a banned flag and a target without the shared settings are seen")
    func flagSamples() {
        #expect(Manifest.bannedFlags(in: "cSettings: [.unsafeFlags([\"-march=native\"])]").count == 2)
        #expect(Manifest.unsettled(in: ".target(name: \"A\", swiftSettings: swift), .target(name: \"B\")").count == 1)
    }
}
