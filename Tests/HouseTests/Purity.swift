// The pure targets: the same events give the same directives, on any machine, at any time. So they read no clock, draw no random number,
// log nothing, start nothing, and never walk over a Dictionary or a Set, whose order changes from process to process.
import Testing

private enum Purity {
    static let targets: Set<String> = ["RingCore", "RingPlacement", "RingControl", "RingSimulator"]

    /// Spellings that have no place in a pure target.
    static let banned = [
        "Date(", "ContinuousClock", "SuspendingClock", "clock_gettime", "DispatchTime", "SystemRandomNumberGenerator", ".random(",
        ".shuffled(", ".randomElement(", "print(", "Task {", "Task.", "Logger", "async ", "await ", "actor ", "Hasher()", ".hashValue",
    ]

    static func breaches(in file: SourceFile) -> [Breach] {
        let hashed = hashedNames(in: file)
        var found: [Breach] = []
        for (number, line) in file.code.enumerated() {
            for word in banned where line.contains(word) {
                found.append(Breach(file.path, number + 1, "\(word) in the pure target \(file.target)"))
            }
            if let name = hashed.first(where: { isWalked($0, in: line) }) {
                found.append(Breach(file.path, number + 1, "walks over \(name), whose order differs from process to process"))
            }
        }
        return found
    }

    /// Names declared as `[K: V]`, `Dictionary` or `Set` in the file. A bracket before a parenthesis is an array of tuples.
    private static func hashedNames(in file: SourceFile) -> [String] {
        let declaration =
            /(?:var|let|\(|,)\s*(?:_ )?(\w+)\s*(?::\s*(?:inout )?|=\s*)(?:\[[^\[\](]+ ?:[^\[\]]*\]|Set<|Set\(|Dictionary<|Dictionary\()/
        return file.code.flatMap { line in line.matches(of: declaration).map { String($0.output.1) } }
    }

    private static func isWalked(_ name: String, in line: String) -> Bool {
        guard line.contains(name) else { return false }
        let words = Token.all(in: Array(line.utf8)).map(\.text)
        let walkers: Set<String> = [
            "map", "flatMap", "compactMap", "forEach", "reduce", "first", "enumerated", "keys", "values", "prefix", "dropFirst", "lazy",
            "randomElement",
            "popFirst", "allElements", "min", "max",
        ]
        return words.indices.contains { place in
            guard words[place] == name else { return false }
            let before = place > 1 && words[place - 1] == "." && words[place - 2] == "self" ? place - 2 : place
            if before > 0, words[before - 1] == "in", words.contains("for") {
                return place + 1 >= words.count || words[place + 1] == "{" || words[place + 1] == "where"
            }
            guard place + 2 < words.count, words[place + 1] == ".", walkers.contains(words[place + 2]) else { return false }
            // Sorted at once, the order is defined again.
            return !(place + 4 < words.count && words[place + 3] == "." && words[place + 4] == "sorted")
        }
    }
}

@Suite("Purity")
struct PurityRules {
    @Test("the pure targets read no clock, draw no number and walk over nothing unordered")
    func tree() {
        let files = Tree.sources.filter { Purity.targets.contains($0.target) }
        #expect(!files.isEmpty)
        let breaches = files.flatMap(Purity.breaches)
        #expect(breaches.isEmpty, "\(breaches.list)")
    }

    @Test(
        "an impure line is seen",
        arguments: [
            "let now = ContinuousClock.now", "let n = Int.random(in: 0..<3)", "print(a)", "Task { await f() }", "let d = Date()",
            "var jobs: [JobID: Job] = [:]\nfor (id, job) in jobs { f() }", "var seen: Set<Int> = []\nfor x in self.seen { f() }",
            "let ids = Set(a)\nreturn ids.map { $0 }", "func f(_ table: [Int: Int]) {\n    table.values.forEach { g($0) }",
            "var seen = Set<Int>()\nlet one = seen.first",
        ] as [Sample]
    )
    func impure(sample: Sample) {
        #expect(!Purity.breaches(in: SourceFile(path: "Sources/RingControl/X.swift", text: sample.text)).isEmpty)
    }

    @Test(
        "ordered work on a dictionary breaks nothing",
        arguments: [
            "var jobs: [JobID: Job] = [:]\njobs[id] = job\nlet n = jobs.count",
            "var jobs: [JobID: Job] = [:]\nfor id in jobs.keys.sorted() { f() }",
            "let seen: Set<Int> = []\nif seen.contains(3) { f() }", "// print(a)", "let ranks: [Int] = []\nfor rank in ranks { f() }",
            "let pairs: [(one: Int, other: Int)] = []\nfor (one, other) in pairs { f() }",
        ] as [Sample]
    )
    func pure(sample: Sample) {
        #expect(Purity.breaches(in: SourceFile(path: "Sources/RingControl/X.swift", text: sample.text)).isEmpty)
    }
}
