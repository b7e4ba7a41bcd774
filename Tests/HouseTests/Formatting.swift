// Layout is the formatter's business, so that nobody discusses it.
import Foundation
import Testing

@Suite("Formatting")
struct FormattingRules {
    private static let isInstalled = output(of: ["swift", "format", "--version"])?.status == 0

    @Test("swift format finds nothing to do", .enabled(if: isInstalled, "`swift format` is not installed"))
    func tree() throws {
        let paths = ["Sources", "Tests", "Package.swift"].filter(Tree.exists)
        let result = try #require(output(of: ["swift", "format", "lint", "--strict", "--recursive"] + paths))
        #expect(result.status == 0, "run Scripts/format:\n\(result.text)")
    }

    @Test("the formatter's settings are in force", .enabled(if: isInstalled, "`swift format` is not installed"))
    func sample() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent("house-\(ProcessInfo.processInfo.processIdentifier).swift")
        defer { try? FileManager.default.removeItem(at: file) }
        try ("// Why.\nfunc f() {\n  g()\n}\n").write(to: file, atomically: true, encoding: .utf8)
        let settings = Tree.root.appendingPathComponent(".swift-format").path
        let result = try #require(output(of: ["swift", "format", "lint", "--strict", "--configuration", settings, file.path]))
        #expect(result.status != 0)
        #expect(result.text.contains("[Indentation]"))
    }
}
