// The traces of a run's ranks as one document that Perfetto and chrome://tracing open: the JSON of the trace event format, with a
// process for each rank, a thread for each compute thread, threads for what is on the wire, and an arrow for each piece of keys and
// values from the rank that sent it to the one that received it.
//
// Format: "Trace Event Format", Google, 2016 (the legacy JSON that Perfetto imports): X complete events whose slices nest, s and f
// flow events that bind to the slice around them, M metadata.

import RingCore

/// A run's trace, ready to be written.
public struct TraceDocument: Sendable {
    /// A slice with its place on a track; times in nanoseconds from the earliest.
    private struct Slice {
        let event: TraceEvent
        let process: Int
        let track: Int
        let start: Int64
        let end: Int64
    }

    /// One piece of keys and values, as both of its ends name it.
    private struct Block: Hashable {
        let layer: Int, step: Int, piece: Int, sender: Int, receiver: Int
    }

    private let traces: [RankTrace]
    private let names: [String]
    private let slices: [Slice]
    private let origin: Int64

    // Tracks of a process: compute threads from 1 on, lanes of the wire behind them.
    private static let firstSendTrack = 1001
    private static let firstReceiveTrack = 2001

    /// The document of `traces`; `names` are the workers by rank.
    public init(_ traces: [RankTrace], names: [String]) {
        self.traces = traces.sorted { $0.rank < $1.rank }
        self.names = names
        // Ranks of one machine share its monotonic clock; those of different machines are only as close as the machines' wall clocks.
        var offsets: [String: Int64] = [:]
        for trace in self.traces where offsets[trace.machine] == nil { offsets[trace.machine] = trace.clockOffset }
        let offset = { (trace: RankTrace) in offsets[trace.machine] ?? trace.clockOffset }
        let origin = self.traces.flatMap { trace in trace.events.map { $0.start.nanoseconds &+ offset(trace) } }.min() ?? 0
        slices = self.traces.flatMap { Self.slices(of: $0, shift: offset($0) &- origin) }
        self.origin = origin
    }

    /// Events that found no room, over all ranks.
    public var droppedCount: Int { traces.reduce(0) { $0 + $1.droppedCount } }

    /// The slices of one rank on their tracks. Messages overlap, and slices of a track must not: they are dealt to as many tracks as
    /// were under way at a time.
    private static func slices(of trace: RankTrace, shift: Int64) -> [Slice] {
        var lanes: [TraceEvent.Kind: [Int64]] = [:]
        return trace.events.sorted { ($0.start, $1.end) < ($1.start, $0.end) }.map { event in
            let (start, end) = (event.start.nanoseconds &+ shift, event.end.nanoseconds &+ shift)
            var track = event.thread + 1
            if event.kind == .send || event.kind == .receive {
                var ends = lanes[event.kind] ?? []
                let lane = ends.firstIndex { $0 <= start } ?? ends.count
                if lane == ends.count { ends.append(end) } else { ends[lane] = end }
                lanes[event.kind] = ends
                track = lane + (event.kind == .send ? firstSendTrack : firstReceiveTrack)
            }
            return Slice(event: event, process: trace.rank.index, track: track, start: start, end: end)
        }
    }

    /// Writes the document, in pieces, to `output`.
    public func write<Failure: Error>(to output: (String) throws(Failure) -> Void) throws(Failure) {
        try output("{\"displayTimeUnit\":\"ms\",\"otherData\":{\"dropped_events\":\"\(droppedCount)\"},\"traceEvents\":[\n")
        var separator = ""
        for line in metadata {
            try output(separator + line)
            separator = ",\n"
        }
        for slice in slices { try output(separator + Self.line(slice)) }
        for line in flows { try output(separator + line) }
        try output("\n]}\n")
    }

    private var metadata: [String] {
        var lines: [String] = []
        func name(_ what: String, _ process: Int, _ track: Int, _ argument: String) {
            lines.append("{\"ph\":\"M\",\"name\":\"\(what)\",\"pid\":\(process),\"tid\":\(track),\"args\":{\(argument)}}")
        }
        for trace in traces {
            let rank = trace.rank.index
            let worker = names.indices.contains(rank) ? ", \(names[rank])" : ""
            name("process_name", rank, 0, "\"name\":\(Self.quoted("rank \(rank)\(worker) on \(trace.machine)"))")
            name("process_sort_index", rank, 0, "\"sort_index\":\(rank)")
            for track in Set(slices.filter { $0.process == rank }.map(\.track)).sorted() {
                name("thread_name", rank, track, "\"name\":\(Self.quoted(Self.name(ofTrack: track)))")
                name("thread_sort_index", rank, track, "\"sort_index\":\(track)")
            }
        }
        return lines
    }

    private static func name(ofTrack track: Int) -> String {
        func lane(_ what: String, _ place: Int) -> String { place == 0 ? "wire: \(what)" : "wire: \(what) \(place + 1)" }
        if track >= firstReceiveTrack { return lane("receive", track - firstReceiveTrack) }
        if track >= firstSendTrack { return lane("send", track - firstSendTrack) }
        return track == 1 ? "thread 0 (engine)" : "thread \(track - 1)"
    }

    private static func line(_ slice: Slice) -> String {
        let event = slice.event
        let (name, category, arguments): (String, String, String)
        switch event.kind {
        case .pass: (name, category, arguments) = ("pass", "ring", "\"layer\":\(event.layer)")
        case .compute:
            (name, category, arguments) = ("compute step \(event.step)", "compute", "\"layer\":\(event.layer),\"step\":\(event.step)")
        case .wait: (name, category, arguments) = ("wait", "exposed", "\"layer\":\(event.layer),\"step\":\(event.step)")
        case .task:
            (name, category, arguments) = ("task", "compute", "\"layer\":\(event.layer),\"step\":\(event.step),\"task\":\(event.piece)")
        case .linear: (name, category, arguments) = ("linear", "compute", "\"layer\":\(event.layer)")
        case .send, .receive:
            name = "\(event.kind == .send ? "send to" : "receive from") \(event.peer)"
            category = "wire"
            arguments = "\"layer\":\(event.layer),\"step\":\(event.step),\"piece\":\(event.piece),\"bytes\":\(event.byteCount)"
        }
        return "{\"ph\":\"X\",\"name\":\"\(name)\",\"cat\":\"\(category)\",\"pid\":\(slice.process),\"tid\":\(slice.track),"
            + "\"ts\":\(microseconds(slice.start)),\"dur\":\(microseconds(slice.end - slice.start)),\"args\":{\(arguments)}}"
    }

    /// An arrow for each piece both of whose ends are there, and lie in order: what a full recorder dropped, or clocks of two machines
    /// turned round, has none.
    private var flows: [String] {
        var sends: [Block: Slice] = [:]
        for slice in slices where slice.event.kind == .send {
            sends[Self.block(slice, from: slice.process, to: slice.event.peer.index)] = slice
        }
        var lines: [String] = []
        for slice in slices where slice.event.kind == .receive {
            let block = Self.block(slice, from: slice.event.peer.index, to: slice.process)
            guard let send = sends.removeValue(forKey: block), send.start <= slice.end else { continue }
            let common = "\"name\":\"block\",\"cat\":\"wire\",\"id\":\(lines.count / 2 + 1)"
            lines.append(
                "{\"ph\":\"s\",\(common),\"pid\":\(send.process),\"tid\":\(send.track),\"ts\":\(Self.microseconds(send.start))}")
            lines.append(
                "{\"ph\":\"f\",\"bp\":\"e\",\(common),\"pid\":\(slice.process),\"tid\":\(slice.track),"
                    + "\"ts\":\(Self.microseconds(max(send.start, slice.start)))}")
        }
        return lines
    }

    private static func block(_ slice: Slice, from sender: Int, to receiver: Int) -> Block {
        Block(layer: slice.event.layer, step: slice.event.step, piece: slice.event.piece, sender: sender, receiver: receiver)
    }

    /// Nanoseconds as the format has them: microseconds with three digits behind the point.
    private static func microseconds(_ nanoseconds: Int64) -> String {
        let value = max(nanoseconds, 0)
        let rest = String(value % 1000)
        return "\(value / 1000)." + String(repeating: "0", count: 3 - rest.count) + rest
    }

    /// A JSON string; names of machines and workers may hold anything.
    private static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case _ where scalar.value < 0x20:
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
