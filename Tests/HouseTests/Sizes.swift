// Sizes: what does not fit on a few screens holds more than one idea.
import Testing

private enum Sizes {
    static let fileLines = 600
    static let functionLines = 60
    static let columns = 140

    static func fileBreach(in file: SourceFile) -> Breach? {
        guard file.raw.count > fileLines else { return nil }
        return Breach(file.path, file.raw.count, "\(file.raw.count) lines; a file has at most \(fileLines)")
    }

    static func functionBreaches(in file: SourceFile) -> [Breach] {
        file.functions.filter { $0.lineCount > functionLines }.map {
            Breach(file.path, $0.firstLine, "\($0.name) has \($0.lineCount) lines; a function has at most \(functionLines)")
        }
    }

    /// For C; Swift's lines are the formatter's business.
    static func columnBreaches(in file: SourceFile) -> [Breach] {
        file.raw.enumerated().filter { $0.element.count > columns }.map {
            Breach(file.path, $0.offset + 1, "\($0.element.count) columns; a line has at most \(columns)")
        }
    }

    /// A file opens with the reason for its existence.
    static func openingBreach(in file: SourceFile) -> Breach? {
        let first = file.raw.first { !$0.isEmpty } ?? ""
        return first.hasPrefix("//") ? nil : Breach(file.path, 1, "the first line must say why the file exists")
    }
}

@Suite("Sizes")
struct SizeRules {
    @Test("no source file is longer than 600 lines")
    func files() {
        let breaches = Tree.sources.compactMap(Sizes.fileBreach)
        #expect(breaches.isEmpty, "\(breaches.list)")
    }

    @Test("no function of Swift or C is longer than 60 lines")
    func functions() {
        #expect(Tree.sources.flatMap(\.functions).count > 100)
        let breaches = Tree.sources.flatMap(Sizes.functionBreaches)
        #expect(breaches.isEmpty, "\(breaches.list)")
    }

    @Test("no line of C is longer than 140 columns")
    func columns() {
        let breaches = Tree.sources.filter { $0.language == .c }.flatMap(Sizes.columnBreaches)
        #expect(breaches.isEmpty, "\(breaches.list)")
    }

    @Test("every source file opens with a comment")
    func openings() {
        let breaches = Tree.sources.compactMap(Sizes.openingBreach)
        #expect(breaches.isEmpty, "\(breaches.list)")
    }

    @Test(
        "a function of 61 lines is seen, one of 60 is not",
        arguments: [
            "struct S { func long(_ a: [Int] = [], b: () -> Void = {}) throws(E) -> Int", "struct S { init(a: Int)",
            "struct S { var long: Int",
            "struct S { subscript(place: Int) -> Int", "extension S { func f<T>(_ t: T) where T: P",
        ]
    )
    func swiftFunctions(head: String) {
        let filler = { (count: Int) in String(repeating: "    if a { b() } // }\n", count: count) }
        let long = SourceFile(path: "Sources/X/X.swift", text: head + " {\n" + filler(59) + "} }\n")
        #expect(Sizes.functionBreaches(in: long).count == 1)
        let short = SourceFile(path: "Sources/X/X.swift", text: head + " {\n" + filler(58) + "} }\n")
        #expect(Sizes.functionBreaches(in: short).isEmpty)
    }

    @Test("braces in strings, comments and interpolations do not mislead the scanner")
    func misleading() {
        let text = #"""
            func f() {
                let a = "{ \(b.map { "}\($0)" }) {", c = #"}"#
                /* } /* } */ { */
                let d = """
                    }
                    """
            }
            func g() {}
            """#
        let found = SourceFile(path: "Sources/X/X.swift", text: text).functions
        #expect(found == [FunctionBody(name: "f", firstLine: 1, lineCount: 7), FunctionBody(name: "g", firstLine: 8, lineCount: 1)])
    }

    @Test("requirements of protocols and stored properties have no body")
    func requirements() {
        let text =
            "protocol P {\n    func f() -> Int\n    init(x: Int)\n    var a: Int { get }\n}\nstruct S {\n    var b: Int\n    var c = { 1 }()\n}\n"
        #expect(SourceFile(path: "Sources/X/X.swift", text: text).functions.map(\.name) == ["a"])
    }

    @Test("long functions and long macros of C are seen; tables and prototypes are not functions")
    func cFunctions() {
        let body = String(repeating: "    x++; /* { */ y('}');\n", count: 59)
        let file = SourceFile(
            path: "Sources/X/x.c", text: "int p(int);\nstatic const int t[] = {\n1,\n};\nstatic int f(int (*g)(int)) {\n\(body)}\n")
        #expect(file.functions == [FunctionBody(name: "f", firstLine: 5, lineCount: 61)])
        #expect(Sizes.functionBreaches(in: file).count == 1)
        let macro = SourceFile(path: "Sources/X/x.h", text: "#define M(x) \\\n" + String(repeating: "    x { \\\n", count: 60) + "    }\n")
        #expect(Sizes.functionBreaches(in: macro).count == 1)
    }

    @Test("long files, long lines and silent openings are seen")
    func samples() {
        #expect(Sizes.fileBreach(in: SourceFile(path: "Sources/X/x.c", text: String(repeating: "\n", count: 601))) != nil)
        #expect(Sizes.fileBreach(in: SourceFile(path: "Sources/X/x.c", text: String(repeating: "\n", count: 600))) == nil)
        #expect(Sizes.columnBreaches(in: SourceFile(path: "Sources/X/x.c", text: String(repeating: "x", count: 141))).count == 1)
        #expect(Sizes.openingBreach(in: SourceFile(path: "Sources/X/X.swift", text: "import Testing\n// Late.\n")) != nil)
    }
}
