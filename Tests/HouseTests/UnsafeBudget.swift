// Where memory safety rests on us instead of the compiler: fenced, listed, and each claim of thread safety argued.
import Testing

private enum UnsafeBudget {
    /// Places made for it.
    static func isFenced(_ path: String) -> Bool {
        let name = path.split(separator: "/").last ?? ""
        return path.hasPrefix("Sources/RingKernels/") || path.hasPrefix("Sources/RingTransport/")
            || path.hasPrefix("Sources/RingEngine/Memory") || (path.hasPrefix("Sources/RingFormats/") && name.hasPrefix("Mapped"))
    }

    /// Files elsewhere that may say `unsafe`, each with the reason why a safe wrapper would not do.
    static let allowances: [String: String] = [
        "Sources/RingCoordinator/WorkerProcess.swift":
            "waitid fills a C structure, the only way to learn of a child's end and leave it for Foundation to collect"
    ]

    /// Types that promise to be `Sendable` without the compiler's check, by file. The proof stands beside each of them.
    static let promises: [String: Int] = [
        "Sources/RingEngine/Memory/Gate.swift": 1,
        "Sources/RingFormats/MappedFile.swift": 1,
        "Sources/RingKernels/ByteRegion.swift": 1,
        "Sources/RingKernels/FloatRows.swift": 1,
        "Sources/RingKernels/Kernels.swift": 1,
        "Sources/RingTransport/AnonymousMemory.swift": 1,
        "Sources/RingTransport/HandoffRing.swift": 1,
        "Sources/RingTransport/InProcess/InProcessMover.swift": 1,
        "Sources/RingTransport/TCP/Reception.swift": 1,
        "Sources/RingTransport/TCP/TCPLoop.swift": 1,
        "Sources/RingTransport/TransportFront.swift": 1,
        "Sources/RingTransport/Verbs/RDMABenchmark.swift": 1,
        "Sources/RingTransport/Verbs/VerbsContext.swift": 2,
    ]

    static func breaches(in file: SourceFile) -> [Breach] {
        guard !isFenced(file.path), allowances[file.path] == nil else { return [] }
        return file.tokens.filter { $0.text == "unsafe" }.map { Breach(file.path, $0.line, "unsafe outside its fence") }
    }

    /// Lines of `@unchecked Sendable`.
    static func promiseLines(in file: SourceFile) -> [Int] {
        file.tokens.indices.dropLast(2).filter {
            file.tokens[$0].text == "@" && file.tokens[$0 + 1].text == "unchecked" && file.tokens[$0 + 2].text == "Sendable"
        }.map { file.tokens[$0].line }
    }

    /// A promise is argued in the comment above the declaration or in the first lines of its body.
    static func isProven(_ line: Int, in file: SourceFile) -> Bool {
        var comment: [Substring] = []
        var above = line - 2
        while above >= 0,
            file.raw[above].drop(while: { $0 == " " }).hasPrefix("//") || file.code[above].drop(while: { $0 == " " }).hasPrefix("@")
        {
            comment.append(file.raw[above][...])
            above -= 1
        }
        for below in file.raw.dropFirst(line).prefix(6) {
            guard below.drop(while: { $0 == " " }).hasPrefix("//") else { break }
            comment.append(below[...])
        }
        let text = comment.joined(separator: " ").lowercased()
        return (text.contains("sendable") || text.contains("unchecked")) && text.split(separator: " ").count >= 8
    }

    static func promiseBreaches(in file: SourceFile) -> [Breach] {
        promiseLines(in: file).filter { !isProven($0, in: file) }.map {
            Breach(
                file.path, $0,
                "@unchecked Sendable without a comment beside it that says why it holds (with the word Sendable or unchecked)")
        }
    }
}

@Suite("Unsafe budget")
struct UnsafeRules {
    @Test("unsafe stands only where it is fenced or allowed with a reason")
    func tree() {
        let breaches = Tree.sources.filter { $0.language == .swift && !$0.isTest }.flatMap(UnsafeBudget.breaches)
        #expect(breaches.isEmpty, "\(breaches.list)")
    }

    @Test("every @unchecked Sendable is argued beside its declaration")
    func promises() {
        let breaches = Tree.sources.filter { $0.language == .swift }.flatMap(UnsafeBudget.promiseBreaches)
        #expect(breaches.isEmpty, "\(breaches.list)")
    }

    @Test("the list of unchecked promises is complete and has no dead entry")
    func promiseList() {
        var found: [String: Int] = [:]
        for file in Tree.sources where !file.isTest {
            let count = UnsafeBudget.promiseLines(in: file).count
            if count > 0 { found[file.path] = count }
        }
        let paths = Set(found.keys).union(UnsafeBudget.promises.keys)
        let wrong = paths.filter { found[$0] != UnsafeBudget.promises[$0] }.sorted()
        #expect(wrong.isEmpty, "correct the list in UnsafeBudget.swift: \(wrong.map { "\($0): \(found[$0] ?? 0)" })")
    }

    @Test("every allowance names a file that exists and still needs it")
    func allowances() {
        for (path, reason) in UnsafeBudget.allowances {
            let file = Tree.sources.first { $0.path == path }
            #expect(file?.tokens.contains { $0.text == "unsafe" } == true, "\(path) needs no allowance")
            #expect(reason.split(separator: " ").count > 4, "\(path) has no reason")
        }
    }

    @Test("unsafe outside the fence is seen, inside it or in a comment it is not")
    func samples() {
        let text = "// unsafe\nlet a = unsafe b\nnonisolated(unsafe) var c = 1\n"
        #expect(UnsafeBudget.breaches(in: SourceFile(path: "Sources/RingModels/X.swift", text: text)).count == 2)
        #expect(UnsafeBudget.breaches(in: SourceFile(path: "Sources/RingFormats/JSON.swift", text: text)).count == 2)
        #expect(UnsafeBudget.breaches(in: SourceFile(path: "Sources/RingFormats/MappedFile.swift", text: text)).isEmpty)
        #expect(UnsafeBudget.breaches(in: SourceFile(path: "Sources/RingEngine/Memory/X.swift", text: text)).isEmpty)
    }

    @Test("an unargued promise is seen, an argued one is not")
    func promiseSamples() {
        let bare = "/// A box.\nfinal class Box: @unchecked Sendable {\n    let a = 1\n}\n"
        #expect(UnsafeBudget.promiseBreaches(in: SourceFile(path: "Sources/X/X.swift", text: bare)).count == 1)
        let argued = "/// A box.\nfinal class Box: @unchecked Sendable {\n    // Proof of Sendable: nothing in it changes after init.\n}\n"
        #expect(UnsafeBudget.promiseBreaches(in: SourceFile(path: "Sources/X/X.swift", text: argued)).isEmpty)
        let above = "/// A box. Sendable, because nothing in it changes after init.\n@safe\nfinal class Box: @unchecked Sendable {}\n"
        #expect(UnsafeBudget.promiseBreaches(in: SourceFile(path: "Sources/X/X.swift", text: above)).isEmpty)
    }
}
