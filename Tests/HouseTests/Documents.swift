// The documents: every page can be found from the start page, every link leads somewhere, and what a person can type or meet
// (commands, options, failure codes) is described.
import Testing

private enum Documents {
    /// Targets of Markdown links that are files of ours, without anchors.
    static func links(in text: String) -> [(line: Int, target: String)] {
        var isFenced = false
        return text.split(separator: "\n", omittingEmptySubsequences: false).enumerated().flatMap { number, line -> [(Int, String)] in
            if line.hasPrefix("```") { isFenced.toggle() }
            if isFenced { return [] }
            return line.matches(of: /\]\(([^)\s]+)\)/).map { (number + 1, String($0.output.1)) }
        }.filter { !$0.1.contains("://") && !$0.1.hasPrefix("#") && !$0.1.hasPrefix("mailto:") }.map { line, target in
            (line, String(target.prefix { $0 != "#" }))
        }
    }

    /// A link's target as a path from the root; `..` climbs.
    static func resolve(_ target: String, from page: String) -> String {
        var parts = page.split(separator: "/").dropLast().map(String.init)
        for part in target.split(separator: "/") where part != "." {
            if part == ".." { _ = parts.popLast() } else { parts.append(String(part)) }
        }
        return parts.joined(separator: "/")
    }

    /// Paths of the repository that a page or a comment names, with their lines.
    static func paths(in lines: [String]) -> [(line: Int, path: String)] {
        let path = /(?:^|[\s`"(])((?:Sources|Tests|Scripts|Docs|cluster-configs|Benchmarks)\/[A-Za-z0-9_+.\/-]+)/
        return lines.enumerated().flatMap { number, line in
            line.matches(of: path).map { match in
                var name = String(match.output.1)
                while let last = name.last, ".-/".contains(last) { name.removeLast() }
                return (number + 1, name)
            }
        }
    }

    /// Values of `commandName: "..."` in a file of the command line, or the type's name as the parser would spell it.
    static func verbs(in file: SourceFile) -> [String] {
        file.uncommented.joined(separator: "\n").matches(of: /commandName: "([a-z-]+)"/).map { String($0.output.1) }
    }

    /// Long names of options and flags, as a person types them.
    static func options(in file: SourceFile) -> [String] {
        let text = file.uncommented.joined(separator: "\n")
        let declaration =
            /@(?:Option|Flag)\b(?:\((?<arguments>(?:[^()"]|"(?:[^"\\]|\\.)*"|\([^()]*\))*)\))?\s*(?:private |package )?var (?<name>\w+)/
        return text.matches(of: declaration).flatMap { match -> [String] in
            let arguments = String(match.output.arguments ?? "")
            if arguments.contains("name: .hidden") || arguments.contains("visibility: .private") { return [] }
            let customs = arguments.matches(of: /customLong\("([a-z0-9-]+)"/).map { String($0.output.1) }
            let names = customs.isEmpty ? [kebab(String(match.output.name))] : customs
            if arguments.contains("inversion: .prefixedNo") { return names.map { "no-" + $0 } }
            return names
        }
    }

    /// `maxTokens` -> `max-tokens`, `ignoreEOS` -> `ignore-eos`: the parser's rule.
    static func kebab(_ name: String) -> String {
        let letters = Array(name)
        var text = ""
        for (place, letter) in letters.enumerated() {
            let afterSmall = place > 0 && !letters[place - 1].isUppercase
            let beforeSmall = place > 0 && place + 1 < letters.count && letters[place + 1].isLowercase
            if letter.isUppercase, afterSmall || beforeSmall { text.append("-") }
            text.append(letter.lowercased())
        }
        return text
    }

    /// Messages that a file logs, where they are written at the call.
    static func messages(in file: SourceFile) -> [String] {
        let call = /(?:logger(?:\([^()]*\))?\.(?:trace|debug|info|notice|warning|error)|\bwarn)\(\s*"([^"]+)"/
        return file.uncommented.joined(separator: "\n").matches(of: call).map { String($0.output.1) }
    }

    /// Codes of an enum of strings: raw values, or the names of cases without one.
    static func codes(in file: SourceFile) -> [String] {
        file.uncommented.compactMap { line in
            guard let match = line.wholeMatch(of: /\s*case (\w+)(?: = "([a-z_]+)")?\s*/) else { return nil }
            return String(match.output.2 ?? match.output.1)
        }
    }

    /// Lines of YAML `key: value` without a comment on the line or directly above.
    static func uncommentedValues(_ path: String, _ text: String) -> [Breach] {
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
        return lines.indices.compactMap { place in
            let line = lines[place]
            guard line.contains(/^\s*(?:- )?[a-z_]+:\s*[^\s#]/), !line.contains(" #") else { return nil }
            // The frame of Kubernetes' objects, which has no other value that could be chosen.
            if path.contains("/kubernetes/"), line.contains(/^\s*(?:kind|labels|selector):/) { return nil }
            let above = place > 0 ? lines[place - 1].drop { $0 == " " } : ""
            return above.hasPrefix("#") ? nil : Breach(path, place + 1, "a value without a comment that states its consequence")
        }
    }
}

@Suite("Documents")
struct DocumentRules {
    static let pages = Tree.paths.filter { $0.hasSuffix(".md") && !$0.hasPrefix("Tests/Fixtures/") }
    static let verbFiles = Tree.sources.filter { $0.target == "ringmaster" && !$0.isTest }

    @Test("every link leads to a file that exists")
    func links() {
        #expect(Self.pages.contains("README.md"))
        let breaches = Self.pages.flatMap { page in
            Documents.links(in: Tree.text(page)).filter { !Tree.exists(Documents.resolve($0.target, from: page)) }
                .map { Breach(page, $0.line, "\($0.target) does not exist") }
        }
        #expect(breaches.isEmpty, "\(breaches.list)")
    }

    @Test("every path that a page or a comment names exists")
    func paths() {
        let texts = Self.pages.map { ($0, Tree.text($0).split(separator: "\n", omittingEmptySubsequences: false).map(String.init)) }
        let comments = Tree.sources.filter { $0.target != "HouseTests" }.map { ($0.path, $0.raw) }
        let breaches = (texts + comments).flatMap { place, lines in
            Documents.paths(in: lines).filter { !Tree.exists($0.path) }.map { Breach(place, $0.line, "\($0.path) does not exist") }
        }
        #expect(breaches.isEmpty, "\(breaches.list)")
    }

    @Test("every page is reached from README.md")
    func reached() {
        var reached: Set<String> = ["README.md"]
        var open = ["README.md"]
        while let page = open.popLast() {
            let next = Documents.links(in: Tree.text(page)).map { Documents.resolve($0.target, from: page) }
            for target in next where target.hasSuffix(".md") && reached.insert(target).inserted { open.append(target) }
        }
        #expect(Set(Self.pages).subtracting(reached).sorted() == [])
    }

    @Test("every verb of the command line is in Docs/CLI.md")
    func verbs() {
        let verbs = Self.verbFiles.flatMap(Documents.verbs)
        #expect(!verbs.isEmpty)
        let page = Tree.text("Docs/CLI.md")
        let missing = verbs.filter { !page.contains("`\($0)") && !page.contains(" \($0)`") && !page.contains("\($0) ") }
        #expect(missing.isEmpty, "not described: \(missing)")
    }

    @Test("every option of the command line is in Docs/CLI.md")
    func options() {
        let options = Set(Self.verbFiles.flatMap(Documents.options)).sorted()
        #expect(options.count > 10)
        let page = Tree.text("Docs/CLI.md")
        let missing = options.filter { !page.contains("`--\($0)") }.map { "--\($0)" }
        #expect(missing.isEmpty, "not described: \(missing)")
    }

    @Test("every failure code is in Docs/ERRORS.md", arguments: ["RingControl/Failure.swift", "RingCoordinator/APIError.swift"])
    func codes(path: String) throws {
        let file = try #require(Tree.sources.first { $0.path == "Sources/" + path })
        let codes = Documents.codes(in: file)
        #expect(codes.count > 5)
        let page = Tree.text("Docs/ERRORS.md")
        let missing = codes.filter { !page.contains("`\($0)`") }
        #expect(missing.isEmpty, "not described: \(missing)")
    }

    @Test("every message of the logs is in Docs/OPERATIONS.md")
    func messages() {
        let messages = Set(Tree.sources.filter { !$0.isTest && $0.language == .swift }.flatMap(Documents.messages)).sorted()
        #expect(messages.count > 40)
        let page = Tree.text("Docs/OPERATIONS.md")
        let missing = messages.filter { !page.contains("`\($0)`") }
        #expect(missing.isEmpty, "not described: \(missing)")
    }

    @Test("every value of cluster-configs has a comment that states its consequence")
    func configs() {
        let configs = Tree.paths.filter { $0.hasPrefix("cluster-configs/") }
        #expect(!configs.isEmpty)
        let breaches = configs.flatMap { Documents.uncommentedValues($0, Tree.text($0)) }
        #expect(breaches.isEmpty, "\(breaches.list)")
    }

    @Test("links are found outside fences and resolved from their page")
    func linkSamples() {
        let text = "[a](ARCHITECTURE.md#x) [b](https://x.org) [c](../README.md)\n```\n[d](e.md)\n```\n"
        let found = Documents.links(in: text).map { Documents.resolve($0.target, from: "Docs/README.md") }
        #expect(found == ["Docs/ARCHITECTURE.md", "README.md"])
    }

    @Test("paths are found in prose, without the full stop behind them")
    func pathSamples() {
        let found = Documents.paths(in: ["See `Docs/MATH.md`, Scripts/test.", "a/Docs/b Tests/X/Y+Z.swift"]).map(\.path)
        #expect(found == ["Docs/MATH.md", "Scripts/test", "Tests/X/Y+Z.swift"])
    }

    @Test("verbs, options and codes are read from their sources")
    func readers() {
        let text = #"""
            static let configuration = CommandConfiguration(commandName: "run", abstract: "x")
            @Option(name: .customLong("prompt-file"), help: "A (file) of text")
            var promptFile: String?
            @Flag var ignoreEOS = false
            @Option(help: "x") var maxTokens: Int
            @Flag(inversion: .prefixedNo) var causal = true
            logger.info(
                "run ended", metadata: [:])
            case workerLost = "worker_lost"
            case busy
            case .busy: 429
            """#
        let file = SourceFile(path: "Sources/ringmaster/Run.swift", text: text)
        #expect(Documents.verbs(in: file) == ["run"])
        #expect(Documents.options(in: file) == ["prompt-file", "ignore-eos", "max-tokens", "no-causal"])
        #expect(Documents.codes(in: file) == ["worker_lost", "busy"])
        #expect(Documents.messages(in: file) == ["run ended"])
    }

    @Test("a value without a comment is seen")
    func configSamples() {
        #expect(Documents.uncommentedValues("a.yaml", "# Why.\na: 1\nb:\n  # Why.\n  c: 2\n  d: 3 # why\n").isEmpty)
        #expect(Documents.uncommentedValues("a.yaml", "a: 1\nb:\n  c: 2\n").count == 2)
    }
}
