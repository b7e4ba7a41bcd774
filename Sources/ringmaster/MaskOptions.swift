// What hides keys beyond the causal rule: windows, prefixes, chunks and packed documents, as `attend` and `submit attend` are told.

import ArgumentParser
import Foundation
import RingControl
import RingCore
import RingFormats

struct MaskOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp("A query sees only this many keys, its own the last (sliding window).", valueName: "n"),
        transform: { try TokenCount(parsing: $0).value })
    var window: Int?
    @Option(
        help: ArgumentHelp("With --window: the first n tokens of each document stay in sight.", valueName: "n"),
        transform: { try TokenCount(parsing: $0).value })
    var sinks: Int?
    @Option(
        help: ArgumentHelp("The first n tokens of each document are seen by all of it (prefix-LM).", valueName: "n"),
        transform: { try TokenCount(parsing: $0).value })
    var prefix: Int?
    @Option(
        help: ArgumentHelp("A query sees only its own chunk of n tokens, counted from its document's start.", valueName: "n"),
        transform: { try TokenCount(parsing: $0).value })
    var chunk: Int?
    @Option(
        help: ArgumentHelp(
            "Lengths of documents packed in the context, each of which sees only itself: 1000,24,3K, or @FILE with one a line.",
            valueName: "lengths"), transform: { try DocumentLengths(parsing: $0).lengths })
    var documents: [Int]?

    /// What was asked for; `nil` if nothing was.
    var spec: MaskSpec? {
        var spec = MaskSpec()
        (spec.window, spec.sinks, spec.prefix, spec.chunk, spec.documents) = (window, sinks, prefix, chunk, documents)
        return spec == MaskSpec() ? nil : spec
    }
}

/// Lengths of documents: numbers with commas between, or a file of lines.
struct DocumentLengths {
    /// Most bytes of such a file: as many lines as there may be documents, 32 bytes each.
    private static let fileBytesMax = 32 * ControlLimits.documents

    let lengths: [Int]

    init(parsing text: String) throws {
        var items = text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        if text.hasPrefix("@") {
            let path = String(text.dropFirst())
            guard let handle = FileHandle(forReadingAtPath: path), let bytes = try? handle.read(upToCount: Self.fileBytesMax + 1) else {
                throw ValidationError("cannot read \(path): --documents @FILE wants a file with one length a line")
            }
            guard bytes.count <= Self.fileBytesMax, let file = String(data: bytes, encoding: .utf8) else {
                throw ValidationError("\(path) is no text of at most \(Self.fileBytesMax) bytes with one length a line")
            }
            items = file.split(whereSeparator: \.isNewline).map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        }
        guard items.count <= ControlLimits.documents else {
            throw ValidationError("at most \(ControlLimits.documents) documents, got \(items.count)")
        }
        lengths = try items.map { try TokenCount(parsing: $0.trimmingCharacters(in: .whitespaces)).value }
    }
}
