// The file that workers write their rows into. It is made under another name beside its place and gets its own name only
// when it is whole, so that nobody ever reads half a result.

import Foundation
import RingControl
import RingCore
import RingFormats
import RingKernels
import RingModels
import RingWorker

struct AttendResult {
    /// Where the file is made.
    enum Place {
        /// On the machine on which the workers run too.
        case here
        /// In a folder that the workers share, each below a path of its own: they know the file by its name in it. `renames` is
        /// false when nobody waits for the result: then the file has its name from the beginning.
        case shared(root: String, renames: Bool)
    }

    /// Where the workers write; `nil` when nobody wants the result.
    private let path: String?
    /// Its name in the end, if it has another one until then.
    private let output: String?
    /// Whether the file is only for checking.
    private let isPassing: Bool
    /// Rows that are checked, ascending.
    private let rows: [Int]

    /// Creates the file at its full size and tells the specification of it.
    init(for spec: inout AttendSpec, output: String?, verifyRows: Int?, place: Place = .here) throws(CommandError) {
        rows = verifyRows.map { Self.choose($0, of: spec) } ?? []
        isPassing = output == nil
        guard let name = Self.name(output, verifyRows, place) else {
            (path, self.output) = (nil, nil)
            return
        }
        switch place {
        case .here: (path, self.output) = (name, output.map(absolutePath))
        case .shared(let root, let renames):
            (path, self.output) = (absolutePath(root + "/" + name), renames ? output.map { absolutePath(root + "/" + $0) } : nil)
        }
        guard let path else { return }
        let (tokens, heads, width) = (spec.shape.tokens, spec.shape.heads, spec.shape.valueDim)
        _ = try reading { () throws(FormatError) in
            try SafetensorsWriter(
                creating: path, tensors: [TensorSpec("out", .f32, [tokens, heads, width]), TensorSpec("lse", .f32, [tokens, heads])])
        }
        spec.outputPath = name
        // Without an output the file stays sparse: only the checked rows are written.
        if output == nil { spec.outputRows = rows }
    }

    /// What the workers are to call the file; `nil` when nobody wants one.
    private static func name(_ output: String?, _ verifyRows: Int?, _ place: Place) -> String? {
        if let output {
            if case .shared(_, renames: false) = place { return output }
            let whole = if case .here = place { absolutePath(output) } else { output }
            return whole + ".part-\(ProcessInfo.processInfo.processIdentifier)"
        }
        guard verifyRows != nil else { return nil }
        let passing = "ringmaster-\(UUID().uuidString).safetensors"
        if case .shared = place { return passing }
        return FileManager.default.temporaryDirectory.appending(path: passing).path(percentEncoded: false)
    }

    /// Random rows of those that are computed, other ones each time.
    private static func choose(_ count: Int, of spec: AttendSpec) -> [Int] {
        let computed = spec.queryRows?.count ?? spec.shape.tokens
        let places = SampledRows.choose(count, of: computed, seed: .random(in: 0...UInt64.max))
        return spec.queryRows.map { rows in places.map { rows[$0] } } ?? places
    }

    /// Compares the chosen rows with the oracle; `nil` when none were asked for.
    func check(
        _ source: AttentionSource, _ spec: AttendSpec, _ summaries: [WorkerSummary]
    ) throws(CommandError) -> OracleCheck.Outcome? {
        guard !rows.isEmpty, let path else { return nil }
        let mask: Mask
        do throws(MaskError) { mask = try spec.resolvedMask() } catch { throw .failed("\(error)") }
        let kept = KeptKeys(spec, summaries)
        let check = OracleCheck(
            source: source, mask: mask, scale: spec.scale, kvElement: ElementType(kept.element), errorBound: kept.errorBound ?? 0)
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
            if isPassing { discard() }
            return
        }
        do throws(FormatError) { try FileText.move(path, to: output) } catch {
            throw .failed("cannot give the result its name \(output): \(error.message)")
        }
    }

    /// Takes the file away.
    func discard() {
        if let path { try? FileManager.default.removeItem(atPath: path) }
    }
}
