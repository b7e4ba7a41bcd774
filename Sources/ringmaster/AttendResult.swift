// The file that workers write their rows into. It is made under another name beside its place and gets its own name only
// when it is whole, so that nobody ever reads half a result.

import Foundation
import RingControl
import RingFormats
import RingKernels
import RingModels
import RingWorker

struct AttendResult {
    /// Where the workers write; `nil` when nobody wants the result.
    private let path: String?
    /// Its name in the end; `nil` for a file that is only for checking.
    private let output: String?
    /// Rows that are checked, ascending.
    private let rows: [Int]

    /// Creates the file at its full size and tells the specification of it.
    init(for spec: inout AttendSpec, output: String?, verifyRows: Int?) throws(CommandError) {
        rows = verifyRows.map { Self.choose($0, of: spec.shape.tokens) } ?? []
        self.output = output.map(absolutePath)
        if let output = self.output {
            path = output + ".part-\(ProcessInfo.processInfo.processIdentifier)"
        } else if verifyRows != nil {
            path = FileManager.default.temporaryDirectory.appending(path: "ringmaster-\(UUID().uuidString).safetensors")
                .path(percentEncoded: false)
        } else {
            path = nil
        }
        guard let path else { return }
        let (tokens, heads, width) = (spec.shape.tokens, spec.shape.heads, spec.shape.valueDim)
        _ = try reading { () throws(FormatError) in
            try SafetensorsWriter(
                creating: path, tensors: [TensorSpec("out", .f32, [tokens, heads, width]), TensorSpec("lse", .f32, [tokens, heads])])
        }
        spec.outputPath = path
        // Without an output the file stays sparse: only the checked rows are written.
        if output == nil { spec.outputRows = rows }
    }

    /// Different random rows, ascending, always with the first and the last: that is where edges go wrong.
    private static func choose(_ count: Int, of tokens: Int) -> [Int] {
        if count >= tokens { return Array(0..<tokens) }
        var chosen: Set<Int> = [tokens - 1]
        if count > 1 { chosen.insert(0) }
        while chosen.count < count { chosen.insert(Int.random(in: 0..<tokens)) }
        return chosen.sorted()
    }

    /// Compares the chosen rows with the oracle; `nil` when none were asked for.
    func check(_ source: AttentionSource, _ spec: AttendSpec) throws(CommandError) -> OracleCheck.Outcome? {
        guard !rows.isEmpty, let path else { return nil }
        let check = OracleCheck(source: source, causal: spec.causal, scale: spec.scale, kvElement: spec.kvElement == .f32 ? .f32 : .bf16)
        let file = try reading { () throws(FormatError) in try SafetensorsFile(path: path) }
        do {
            return try check.run(rows: rows) { row throws(FormatError) in
                (try Self.row(row, of: try file.require("out"), in: file), try Self.row(row, of: try file.require("lse"), in: file))
            }
        } catch {
            throw CommandError.failed(error.message)
        }
    }

    private static func row(_ row: Int, of tensor: TensorInfo, in file: SafetensorsFile) throws(FormatError) -> [Float] {
        let width = tensor.shape.dropFirst().reduce(1, *)
        var values = [Float](repeating: 0, count: width)
        var span = values.mutableSpan
        try file.copyFloats(of: tensor, elements: row * width..<(row + 1) * width, into: &span)
        return values
    }

    /// Gives the whole file its name.
    func keep() throws(CommandError) {
        guard let path else { return }
        guard let output else {
            discard()
            return
        }
        do {
            if FileManager.default.fileExists(atPath: output) {
                _ = try FileManager.default.replaceItemAt(URL(filePath: output), withItemAt: URL(filePath: path))
            } else {
                try FileManager.default.moveItem(atPath: path, toPath: output)
            }
        } catch {
            throw .failed("cannot give the result its name \(output): \(error)")
        }
    }

    /// Takes the file away.
    func discard() {
        if let path { try? FileManager.default.removeItem(atPath: path) }
    }
}
