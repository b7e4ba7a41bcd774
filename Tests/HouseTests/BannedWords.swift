// Words that do not belong in a commit: notes to self, and paths of somebody's machine.
import Testing

private enum BannedWords {
    // Put together here, so that this file does not break its own rule.
    static let notes = ["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK:"]
    static let homes = ["/ro" + "ot/", "/ho" + "me/", "/Us" + "ers/", "/wo" + "rk/", "/tmp/" + "dev"]

    static func breaches(_ path: String, _ text: String) -> [Breach] {
        text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().flatMap { number, line in
            let words = notes.filter { hasWord($0, in: line) } + homes.filter { line.contains($0) }
            return words.map { Breach(path, number + 1, "\($0) does not belong in a commit") }
        }
    }

    /// Whether `word` stands alone: XXXL or mktemp's row of them is not a note.
    private static func hasWord(_ word: String, in line: Substring) -> Bool {
        line.ranges(of: word).contains { range in
            let before = range.lowerBound > line.startIndex ? line[line.index(before: range.lowerBound)] : " "
            let after = range.upperBound < line.endIndex ? line[range.upperBound] : " "
            return !before.isLetter && !after.isLetter
        }
    }

    /// Files that people write; fixtures are data.
    static func isWritten(_ path: String) -> Bool {
        guard !path.hasPrefix("Tests/Fixtures/") else { return false }
        return [".swift", ".c", ".h", ".md", ".yaml", ".yml", ".modulemap", ".txt"].contains { path.hasSuffix($0) }
            || path.hasPrefix("Scripts/") || path.hasPrefix(".ci/")
    }
}

@Suite("Banned words")
struct BannedWordRules {
    @Test("nobody's notes and nobody's home folder are committed")
    func tree() {
        let paths = Tree.paths.filter(BannedWords.isWritten)
        #expect(paths.count > 50)
        let breaches = paths.flatMap { BannedWords.breaches($0, Tree.text($0)) }
        #expect(breaches.isEmpty, "\(breaches.list)")
    }

    @Test("each banned word is seen, in a comment too", arguments: BannedWords.notes + BannedWords.homes)
    func seen(word: String) {
        #expect(
            BannedWords.breaches("X.swift", "let a = 1\n// \(word)somebody else: later\n".replacing("\(word)s", with: "\(word) s")).count
                == 1)
    }

    @Test("a template of mktemp and the network's root are no such words")
    func unseen() {
        #expect(BannedWords.breaches("x.sh", "mktemp -d ring.XXXX" + "XX\ncd /\n").isEmpty)
    }
}
