// Scripts of the shell, as its own checker sees them: an unquoted word works until somebody's folder has a blank in it.
import Testing

@Suite("Shell scripts")
struct ShellRules {
    private static let isInstalled = output(of: ["shellcheck", "--version"])?.status == 0

    @Test("shellcheck finds nothing", .enabled(if: isInstalled, "shellcheck is not installed: apt-get install shellcheck"))
    func tree() throws {
        let scripts = Tree.paths.filter { path in
            (path.hasPrefix("Scripts/") || path.hasPrefix(".ci/") || path.hasSuffix(".sbatch"))
                && Tree.text(path).hasPrefix("#!/usr/bin/env bash")
        }
        #expect(scripts.count > 8)
        let result = try #require(output(of: ["shellcheck", "--external-sources", "--source-path=SCRIPTDIR"] + scripts))
        #expect(result.status == 0, "\(result.text)")
    }

    @Test("a batch script of the house goes by the same rules as Scripts")
    func batch() {
        let batches = Tree.paths.filter { $0.hasSuffix(".sbatch") }
        #expect(!batches.isEmpty)
        for path in batches { #expect(Tree.text(path).contains("\nset -euo pipefail\n"), "\(path) goes on after an error") }
    }
}
