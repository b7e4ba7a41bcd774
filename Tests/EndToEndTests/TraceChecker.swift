// A strict reader of the trace event format (Google, 2016; what Perfetto imports as legacy JSON). It knows the forms that we write and
// refuses every other, so that what it lets through is a trace and not merely JSON.

import Foundation

struct TraceChecker {
    /// A complete event. Times in whole nanoseconds.
    struct Slice {
        let name: String
        let category: String
        let process: Int
        let track: Int
        let start: Int64
        let end: Int64
        let arguments: [String: Int]
    }

    /// One end of an arrow.
    struct End {
        let process: Int
        let track: Int
        let at: Int64
    }

    private(set) var slices: [Slice] = []
    private(set) var flows: [(from: End, to: End)] = []
    private(set) var processNames: [Int: String] = [:]
    private(set) var trackNames: [String: String] = [:]
    private(set) var dropped = -1
    /// Every rule that is broken, in words.
    private(set) var breaches: [String] = []
    private var starts: [Int: End] = [:]
    private var ends: [Int: End] = [:]

    /// Reads the file at `path`.
    init(path: String) throws {
        let data = try Data(contentsOf: URL(filePath: path))
        guard let top = try JSONSerialization.jsonObject(with: data) as? [String: Any],
            let events = top["traceEvents"] as? [[String: Any]]
        else {
            breaches.append("no object with traceEvents")
            return
        }
        if top.keys.sorted() != ["displayTimeUnit", "otherData", "traceEvents"] { breaches.append("other fields: \(top.keys.sorted())") }
        if !["ms", "ns"].contains(top["displayTimeUnit"] as? String) { breaches.append("displayTimeUnit is ms or ns") }
        dropped = ((top["otherData"] as? [String: String])?["dropped_events"]).flatMap { Int($0) } ?? -1
        for event in events { read(event) }
        pairFlows()
        checkNames()
        checkNesting()
    }

    private mutating func read(_ event: [String: Any]) {
        guard let process = event["pid"] as? Int, let track = event["tid"] as? Int, let name = event["name"] as? String, !name.isEmpty
        else {
            breaches.append("an event without pid, tid or name: \(event)")
            return
        }
        switch event["ph"] as? String {
        case "M": readName(name, process, track, event)
        case "X":
            guard let start = Self.nanoseconds(event["ts"]), let length = Self.nanoseconds(event["dur"]), start >= 0, length >= 0,
                let category = event["cat"] as? String, let arguments = event["args"] as? [String: Int], event.count == 8
            else { return breaches.append("no complete event: \(event)") }
            slices.append(
                Slice(
                    name: name, category: category, process: process, track: track, start: start, end: start + length, arguments: arguments)
            )
        case "s", "f":
            let isStart = event["ph"] as? String == "s"
            guard let at = Self.nanoseconds(event["ts"]), let id = event["id"] as? Int, let category = event["cat"] as? String,
                (event["bp"] as? String) == (isStart ? nil : "e"), event.count == (isStart ? 7 : 8)
            else { return breaches.append("no flow event: \(event)") }
            // Two ends belong together by name, category and id.
            if name != "block" || category != "wire" { breaches.append("a flow called \(name), \(category)") }
            let end = End(process: process, track: track, at: at)
            let before = isStart ? starts.updateValue(end, forKey: id) : ends.updateValue(end, forKey: id)
            if before != nil { breaches.append("flow \(id) has two ends of a kind") }
        default: breaches.append("a phase that is not written: \(event)")
        }
    }

    private mutating func readName(_ name: String, _ process: Int, _ track: Int, _ event: [String: Any]) {
        let arguments = event["args"] as? [String: Any] ?? [:]
        switch name {
        case "process_name": processNames[process] = arguments["name"] as? String
        case "thread_name": trackNames["\(process)/\(track)"] = arguments["name"] as? String
        case "process_sort_index", "thread_sort_index":
            if arguments["sort_index"] as? Int == nil { breaches.append("no sort index: \(event)") }
        default: breaches.append("metadata called \(name)")
        }
        if event.count != 5 || arguments.count != 1 { breaches.append("no metadata: \(event)") }
    }

    private mutating func pairFlows() {
        if starts.keys.sorted() != ends.keys.sorted() { breaches.append("\(starts.count) flows begin, \(ends.count) end") }
        for id in starts.keys.sorted() {
            guard let from = starts[id], let to = ends[id] else { continue }
            if from.at > to.at { breaches.append("flow \(id) leads back in time") }
            for end in [from, to] {
                let isInSlice = slices.contains {
                    $0.process == end.process && $0.track == end.track && $0.start <= end.at && end.at <= $0.end
                }
                if !isInSlice { breaches.append("flow \(id) is bound to no slice") }
            }
            flows.append((from, to))
        }
    }

    private mutating func checkNames() {
        for slice in slices {
            if processNames[slice.process] == nil { breaches.append("process \(slice.process) has no name") }
            if trackNames["\(slice.process)/\(slice.track)"] == nil { breaches.append("track \(slice.track) has no name") }
        }
    }

    /// Slices of one track lie inside each other or apart.
    private mutating func checkNesting() {
        for (track, own) in Dictionary(grouping: slices, by: { "\($0.process)/\($0.track)" }) {
            var open: [Slice] = []
            for slice in own.sorted(by: { ($0.start, $1.end) < ($1.start, $0.end) }) {
                while let last = open.last, last.end <= slice.start { open.removeLast() }
                if let last = open.last, slice.end > last.end { breaches.append("\(slice.name) on \(track) sticks out of \(last.name)") }
                open.append(slice)
            }
        }
    }

    private static func nanoseconds(_ value: Any?) -> Int64? {
        (value as? NSNumber).map { Int64(($0.doubleValue * 1000).rounded()) }
    }
}
