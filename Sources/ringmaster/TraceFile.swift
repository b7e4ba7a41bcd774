// The file of `--trace`. It is made before the job starts, so that a bad path is told at once, and gets its name when it is whole.

import Foundation
import RingCore
import RingFormats
import RingTelemetry

struct TraceFile: Sendable {
    private let path: String
    private let part: String

    /// Begins a file for `path`.
    init(_ path: String) throws(CommandError) {
        self.path = absolutePath(path)
        part = self.path + ".part-\(ProcessInfo.processInfo.processIdentifier)"
        guard FileManager.default.createFile(atPath: part, contents: nil) else {
            throw .failed("cannot write \(path): does its folder exist, and may you write in it?")
        }
    }

    /// Writes the traces of a job's ranks, says so, and gives the file its name. `workers` are the workers' names by rank.
    func write(_ traces: [RankTrace], workers: [String]) throws {
        let document = TraceDocument(traces, names: workers)
        do {
            let file = try FileHandle(forWritingTo: URL(filePath: part))
            var buffer = Data()
            try document.write { (text: String) throws(any Error) in
                buffer.append(contentsOf: text.utf8)
                guard buffer.count > 1 << 20 else { return }
                try file.write(contentsOf: buffer)
                buffer.removeAll(keepingCapacity: true)
            }
            try file.write(contentsOf: buffer)
            try file.close()
            try FileText.move(part, to: path)
        } catch {
            throw CommandError.failed("cannot write the trace to \(path): \(error)")
        }
        let count = traces.reduce(0) { $0 + $1.events.count }
        var notes = "trace of \(grouped(count)) events in \(path)"
        if document.droppedCount > 0 { notes += "; the oldest \(grouped(document.droppedCount)) found no room" }
        if traces.count < workers.count { notes += "; \(workers.count - traces.count) of \(workers.count) ranks are missing" }
        Console.message(notes)
    }

    /// Takes away what was begun and not finished.
    func discard() { try? FileManager.default.removeItem(atPath: part) }
}
