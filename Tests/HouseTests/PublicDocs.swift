// Public API explains itself: every public declaration, every case of a public enum and every requirement of a public protocol has a
// doc comment directly above it.
import Testing

private enum PublicDocs {
    static func breaches(in file: SourceFile) -> [Breach] {
        (publicLines(in: file) + memberLines(in: file)).filter { !isDocumented($0, in: file) }.map {
            Breach(file.path, $0, "no doc comment above: " + file.raw[$0 - 1].drop { $0 == " " })
        }
    }

    /// Lines that declare something `public`. Extensions have nothing to document; their members are looked at one by one.
    private static func publicLines(in file: SourceFile) -> [Int] {
        file.tokens.indices.dropLast().compactMap { place in
            let next = file.tokens[place + 1].text
            guard file.tokens[place].text == "public", next != "import", next != "extension" else { return nil }
            return file.tokens[place].line
        }
    }

    /// Lines of cases and requirements directly inside a public enum or protocol.
    private static func memberLines(in file: SourceFile) -> [Int] {
        file.tokens.indices.flatMap { place -> [Int] in
            let kind = file.tokens[place].text
            guard kind == "enum" || kind == "protocol", place > 0, isPublic(before: place, in: file.tokens) else { return [] }
            return members(of: kind, after: place, in: file)
        }
    }

    private static func isPublic(before place: Int, in tokens: [Token]) -> Bool {
        tokens[max(0, place - 3)..<place].contains { $0.text == "public" && $0.line == tokens[place].line }
    }

    private static func members(of kind: String, after place: Int, in file: SourceFile) -> [Int] {
        let openers: Set<String> =
            kind == "enum" ? ["case", "indirect"] : ["func", "var", "init", "static", "mutating", "associatedtype", "subscript"]
        var depth = 0
        var lines: [Int] = []
        for next in file.tokens.indices[place...] {
            let token = file.tokens[next]
            if token.text == "{" { depth += 1 }
            if token.text == "}" { depth -= 1 }
            if token.text == "}", depth == 0 { break }
            let opensLine = file.tokens[next - 1].line < token.line
            // A case with a raw value is explained by the value: it is the spelling in a file or on the wire.
            let hasRawValue = kind == "enum" && next + 2 < file.tokens.count && file.tokens[next + 2].text == "="
            if depth == 1, opensLine, openers.contains(token.text), !hasRawValue { lines.append(token.line) }
        }
        return lines
    }

    private static func isDocumented(_ line: Int, in file: SourceFile) -> Bool {
        var above = line - 2
        while above >= 0, file.code[above].drop(while: { $0 == " " }).first == "@" { above -= 1 }
        guard above >= 0 else { return false }
        return file.raw[above].drop { $0 == " " }.hasPrefix("///")
    }
}

@Suite("Public documentation")
struct PublicDocumentation {
    @Test("every public declaration has a doc comment")
    func tree() {
        let breaches = Tree.sources.filter { $0.language == .swift && !$0.isTest }.flatMap(PublicDocs.breaches)
        #expect(breaches.isEmpty, "\(breaches.list)")
    }

    @Test(
        "a bare declaration is seen",
        arguments: [
            "public struct S {}", "    public init(a: Int) {}", "/// Doc.\n\npublic var a: Int",
            "// Not a doc comment.\npublic func f() {}",
            "@safe public final class C {}", "@inlinable\npublic func f() {}", "    public private(set) var a = 1",
            "/// Doc.\npublic enum E {\n    case bare\n}", "/// Doc.\npublic protocol P: Sendable {\n    func bare()\n}",
        ] as [Sample]
    )
    func bare(sample: Sample) {
        #expect(PublicDocs.breaches(in: SourceFile(path: "Sources/X/X.swift", text: sample.text)).count == 1)
    }

    @Test(
        "a documented or private one breaks nothing",
        arguments: [
            "/// Doc.\npublic struct S {}", "/// Doc.\n@inlinable\n@safe\npublic func f() {}", "func f() {}", "public import Foo",
            "public extension S {}", "let a = \"public var\" // public let", "/// Doc.\npublic enum E: String {\n    case a = \"A\"\n}",
            "/// Doc.\npublic enum E {\n    /// One.\n    case a\n    func f() {\n        switch self {\n        case .a: 1\n        }\n    }\n}",
        ] as [Sample]
    )
    func documented(sample: Sample) {
        #expect(PublicDocs.breaches(in: SourceFile(path: "Sources/X/X.swift", text: sample.text)).isEmpty)
    }
}
