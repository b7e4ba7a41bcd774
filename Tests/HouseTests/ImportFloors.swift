// Who may know whom. A floor of the house imports floors below it and nothing else; what is not in this table may not be imported.
import Testing

/// What one target may import.
private struct Floor {
    let ours: Set<String>
    let outside: Set<String>

    init(_ ours: Set<String> = [], outside: Set<String> = []) {
        self.ours = ours
        self.outside = outside
    }
}

private enum Floors {
    /// The C library and the standard library with the parts of it that are modules of their own.
    static let system: Set<String> = ["Swift", "Glibc", "Synchronization"]
    /// Foundation with its smaller half, for shells and file formats.
    static let foundation: Set<String> = ["Foundation", "FoundationEssentials", "Dispatch"]
    static let server: Set<String> = [
        "Hummingbird", "HummingbirdCore", "HTTPTypes", "NIOCore", "NIOPosix", "NIOHTTP1", "NIOConcurrencyHelpers", "Logging",
        "ServiceLifecycle", "HummingbirdTLS", "NIOSSL", "NIOTLS", "NIOHTTPTypes",
    ]
    /// Certificates and the hashes under them.
    static let security: Set<String> = ["X509", "SwiftASN1", "Crypto", "NIOSSL"]
    static let client: Set<String> = [
        "AsyncHTTPClient", "NIOCore", "NIOPosix", "NIOHTTP1", "NIOFoundationCompat", "Logging", "ServiceLifecycle", "NIOSSL",
    ]
    static let everything: Set<String> = [
        "RingCore", "RingPlacement", "RingTelemetry", "RingControl", "RingFormats", "RingKernels", "RingTransport", "RingEngine",
        "RingModels",
        "RingSimulator", "RingClient", "RingCoordinator", "RingWorker",
    ]

    static let table: [String: Floor] = [
        "RingCore": Floor(),
        "RingPlacement": Floor(["RingCore"]),
        // swift-log is an interface; who may log is said by who may import it.
        "RingTelemetry": Floor(["RingCore"], outside: system.union(foundation).union(["Logging"])),
        "RingControl": Floor(["RingCore", "RingPlacement"]),
        // Files become values: of the ring, and of machines, models and loads.
        "RingFormats": Floor(["RingCore", "RingPlacement"], outside: system.union(foundation).union(["Yams"])),
        "RingKernels": Floor(["RingCore", "CRingKernels", "COneDNN"], outside: system),
        "RingTransport": Floor(["RingCore", "COpenSSL", "CRingSystem", "CVerbs", "CNuma"], outside: system.union(["Crypto"])),
        "RingEngine": Floor(["RingCore", "RingKernels", "RingTransport", "RingTelemetry"], outside: system),
        "RingModels": Floor(["RingCore", "RingEngine", "RingKernels", "RingFormats"], outside: system),
        "RingSimulator": Floor(["RingCore", "RingControl", "RingPlacement"]),
        "RingCoordinator": Floor(
            ["RingCore", "RingControl", "RingFormats", "RingTelemetry"],
            outside: system.union(foundation).union(server).union(security).union(["GRDB"])),
        // The worker's session and the command line speak to a coordinator in the same way, and neither may see the server.
        "RingClient": Floor(["RingCore", "RingControl"], outside: system.union(foundation).union(client)),
        "RingWorker": Floor(
            // The kernels are chosen here, once, and handed down.
            [
                "RingCore", "RingControl", "RingClient", "RingFormats", "RingTelemetry", "RingTransport", "RingEngine", "RingKernels",
                "RingModels",
            ],
            outside: system.union(foundation).union(client).union(security)
        ),
        "RingTesting": Floor(everything, outside: system.union(foundation)),
        "ringmaster": Floor(
            everything, outside: system.union(foundation).union(server).union(client).union(security).union(["ArgumentParser"])),
    ]

    static func breaches(in file: SourceFile) -> [Breach] {
        guard let floor = table[file.target] else {
            return [Breach(file.path, 1, "the target \(file.target) has no floor in ImportFloors.swift")]
        }
        return imports(in: file).compactMap { name, line in
            if floor.ours.contains(name) || floor.outside.contains(name) { return nil }
            return Breach(file.path, line, "\(file.target) must not import \(name)")
        }
    }

    /// Modules that a Swift file imports, with their lines.
    static func imports(in file: SourceFile) -> [(name: String, line: Int)] {
        let kinds: Set<String> = ["struct", "class", "enum", "protocol", "func", "var", "let", "typealias"]
        return file.tokens.indices.dropLast().compactMap { place in
            let token = file.tokens[place]
            guard token.text == "import", place == 0 || file.tokens[place - 1].text != "." else { return nil }
            let next = file.tokens[place + 1].text
            let name = kinds.contains(next) && place + 2 < file.tokens.count ? file.tokens[place + 2].text : next
            return (name, token.line)
        }
    }

    /// Headers that a C target must not see: arithmetic takes buffers and gives them back.
    static let bannedHeaders = ["CRingKernels": ["pthread.h", "stdio.h", "stdlib.h", "malloc.h", "threads.h", "unistd.h"]]
    static let bannedCalls = ["CRingKernels": ["malloc", "calloc", "realloc", "free", "alloca", "printf", "pthread_create"]]

    static func headerBreaches(in file: SourceFile) -> [Breach] {
        var found: [Breach] = []
        for (number, line) in file.uncommented.enumerated() where line.contains("#include") {
            for header in bannedHeaders[file.target] ?? [] where line.contains("<\(header)>") {
                found.append(Breach(file.path, number + 1, "\(file.target) must not include \(header)"))
            }
        }
        for token in file.tokens where (bannedCalls[file.target] ?? []).contains(token.text) {
            found.append(Breach(file.path, token.line, "\(file.target) must not call \(token.text)"))
        }
        return found
    }

    /// Registers of an instruction set, or its header, in a header that Swift's importer reads.
    static func intrinsicBreaches(in file: SourceFile) -> [Breach] {
        guard file.path.contains("/include/") else { return [] }
        let signs = ["immintrin.h", "x86intrin.h", "arm_neon.h", "arm_sve.h", "__m128", "__m256", "__m512", "float32x4_t"]
        return file.uncommented.enumerated().flatMap { number, line in
            signs.filter(line.contains).map { Breach(file.path, number + 1, "\($0) in a header that Swift reads") }
        }
    }
}

@Suite("Import floors")
struct ImportFloors {
    @Test("every target imports only what its floor allows")
    func tree() {
        let files = Tree.sources.filter { $0.language == .swift && !$0.isTest }
        #expect(!files.isEmpty)
        let breaches = files.flatMap(Floors.breaches)
        #expect(breaches.isEmpty, "\(breaches.list)")
    }

    @Test("C arithmetic allocates nothing, prints nothing, starts no thread, and shows no register to Swift")
    func cTree() {
        let files = Tree.sources.filter { $0.language == .c && !$0.isTest }
        let breaches = files.flatMap { Floors.headerBreaches(in: $0) + Floors.intrinsicBreaches(in: $0) }
        #expect(breaches.isEmpty, "\(breaches.list)")
    }

    @Test(
        "a forbidden import is seen in every spelling",
        arguments: ["import RingEngine", "public import NIOCore", "@preconcurrency import Foundation", "import struct Foundation.URL"]
    )
    func forbidden(line: String) {
        #expect(Floors.breaches(in: SourceFile(path: "Sources/RingControl/X.swift", text: "// Why.\n" + line + "\n")).count == 1)
    }

    @Test("an allowed import, and the word in a comment or a string, break nothing")
    func allowed() {
        let text = "// import NIOCore\nimport RingCore\nlet a = \"import NIOCore\"\n"
        #expect(Floors.breaches(in: SourceFile(path: "Sources/RingControl/X.swift", text: text)).isEmpty)
    }

    @Test("a target without a floor is seen")
    func unknown() {
        #expect(Floors.breaches(in: SourceFile(path: "Sources/RingNew/X.swift", text: "")).count == 1)
    }

    @Test("control plane and data plane are strangers in the table itself")
    func strangers() {
        let data: Set<String> = ["RingKernels", "RingTransport", "RingEngine", "RingModels", "CRingKernels", "CRingSystem"]
        let control: Set<String> = ["RingControl", "RingCoordinator", "RingWorker"]
        for name in ["RingControl", "RingCoordinator"] { #expect(Floors.table[name]?.ours.isDisjoint(with: data) == true) }
        for name in data where !name.hasPrefix("C") { #expect(Floors.table[name]?.ours.isDisjoint(with: control) == true) }
    }

    @Test("threads, memory, printing and registers in C are seen")
    func cSamples() {
        let kernel = SourceFile(path: "Sources/CRingKernels/x.c", text: "#include <stdio.h>\nvoid f(void) { malloc(1); }\n")
        #expect(Floors.headerBreaches(in: kernel).count == 2)
        let header = SourceFile(path: "Sources/CRingKernels/include/x.h", text: "#include <immintrin.h>\n__m512 f(void);\n// __m256\n")
        #expect(Floors.intrinsicBreaches(in: header).count == 2)
    }
}
