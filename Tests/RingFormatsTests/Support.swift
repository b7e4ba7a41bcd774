// What the tests of this target share: where fixtures lie, temporary folders, a seeded generator, and reading errors as sentences.

import Foundation
import RingFormats
import Testing

/// Path of a file under Tests/Fixtures, found from the place of this source file.
func fixture(_ name: String) -> String {
    let parts = #filePath.split(separator: "/").dropLast(2)
    return "/" + parts.joined(separator: "/") + "/Fixtures/" + name
}

/// Runs `body` with a fresh folder that is removed afterwards, unless the body fails.
func withTemporaryFolder<Result>(_ body: (String) throws -> Result) throws -> Result {
    let folder = FileManager.default.temporaryDirectory.path + "/ringformats-\(UUID().uuidString)"
    try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
    let result = try body(folder)
    try FileManager.default.removeItem(atPath: folder)
    return result
}

func writeFile(_ bytes: [UInt8], _ path: String) throws {
    let output = try MappedOutput(creating: path, byteCount: bytes.count)
    try output.write(bytes, at: 0)
}

func writeFile(_ text: String, _ path: String) throws { try writeFile(Array(text.utf8), path) }

/// SplitMix64: the same seed gives the same numbers everywhere.
struct SeededGenerator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }
}

/// The sentence of the error that `body` throws; a test failure if it throws none. Every sentence must be fit to print: one line, no
/// prefix, a reasonable length.
func sentence(_ comment: Comment? = nil, location: SourceLocation = #_sourceLocation, _ body: () throws -> Void) -> String {
    do {
        try body()
    } catch let error as FormatError {
        let text = error.message
        #expect(!text.isEmpty && text.count < 1000 && !text.contains("\n") && !text.hasPrefix("error"), "\(text)", sourceLocation: location)
        return text
    } catch {
        Issue.record("an error of a foreign type: \(error)", sourceLocation: location)
        return ""
    }
    Issue.record(comment ?? "nothing was thrown", sourceLocation: location)
    return ""
}

func json(_ text: String) throws(FormatError) -> JSONValue { try JSONValue(parsing: Array(text.utf8), file: "test.json") }
