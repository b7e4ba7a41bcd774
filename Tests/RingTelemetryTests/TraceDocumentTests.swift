// The JSON of a trace: small documents line by line. Whole ones are read by a strict checker in EndToEndTests.

import Foundation
import RingCore
import RingTelemetry
import Testing

@Suite("Trace documents")
struct TraceDocumentTests {
    private static func text(_ traces: [RankTrace], names: [String] = ["a", "b"]) -> String {
        var text = ""
        TraceDocument(traces, names: names).write { text += $0 }
        return text
    }

    private static func event(
        _ kind: TraceEvent.Kind, _ start: Int64, _ end: Int64, peer: Int, step: Int = 1, piece: Int = 0, thread: Int = 0, bytes: Int = 0
    ) -> TraceEvent {
        TraceEvent(
            kind, from: Moment(nanoseconds: start), to: Moment(nanoseconds: end), layer: 2, step: step, piece: piece, peer: Rank(peer),
            thread: thread, byteCount: bytes)
    }

    private static func trace(_ rank: Int, _ events: [TraceEvent], machine: String = "m", offset: Int64 = 0, dropped: Int = 0) -> RankTrace
    {
        RankTrace(rank: Rank(rank), machine: machine, clockOffset: offset, droppedCount: dropped, events: events)
    }

    private static func events(_ text: String) throws -> [[String: Any]] {
        let top = try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
        return try #require(top["traceEvents"] as? [[String: Any]])
    }

    @Test("two ranks, a slice each and an arrow from one to the other")
    func document() {
        let text = Self.text([
            Self.trace(1, [Self.event(.receive, 900, 4_000_200, peer: 0, bytes: 8)], dropped: 3),
            Self.trace(
                0, [Self.event(.compute, 1_000, 2_000, peer: 0, step: 0), Self.event(.send, 1_500, 3_700, peer: 1, bytes: 8)], dropped: 1),
        ])
        let expected = """
            {"displayTimeUnit":"ms","otherData":{"dropped_events":"4"},"traceEvents":[
            {"ph":"M","name":"process_name","pid":0,"tid":0,"args":{"name":"rank 0, a on m"}},
            {"ph":"M","name":"process_sort_index","pid":0,"tid":0,"args":{"sort_index":0}},
            {"ph":"M","name":"thread_name","pid":0,"tid":1,"args":{"name":"thread 0 (engine)"}},
            {"ph":"M","name":"thread_sort_index","pid":0,"tid":1,"args":{"sort_index":1}},
            {"ph":"M","name":"thread_name","pid":0,"tid":1001,"args":{"name":"wire: send"}},
            {"ph":"M","name":"thread_sort_index","pid":0,"tid":1001,"args":{"sort_index":1001}},
            {"ph":"M","name":"process_name","pid":1,"tid":0,"args":{"name":"rank 1, b on m"}},
            {"ph":"M","name":"process_sort_index","pid":1,"tid":0,"args":{"sort_index":1}},
            {"ph":"M","name":"thread_name","pid":1,"tid":2001,"args":{"name":"wire: receive"}},
            {"ph":"M","name":"thread_sort_index","pid":1,"tid":2001,"args":{"sort_index":2001}},
            {"ph":"X","name":"compute step 0","cat":"compute","pid":0,"tid":1,"ts":0.100,"dur":1.000,"args":{"layer":2,"step":0}},
            {"ph":"X","name":"send to rank 1","cat":"wire","pid":0,"tid":1001,"ts":0.600,"dur":2.200,"args":{"layer":2,"step":1,"piece":0,"bytes":8}},
            {"ph":"X","name":"receive from rank 0","cat":"wire","pid":1,"tid":2001,"ts":0.000,"dur":3999.300,"args":{"layer":2,"step":1,"piece":0,"bytes":8}},
            {"ph":"s","name":"block","cat":"wire","id":1,"pid":0,"tid":1001,"ts":0.600},
            {"ph":"f","bp":"e","name":"block","cat":"wire","id":1,"pid":1,"tid":2001,"ts":0.600}
            ]}

            """
        #expect(text == expected)
    }

    @Test("messages that overlap have tracks of their own, and those that do not share one")
    func lanes() throws {
        let sends = [
            Self.event(.send, 0, 100, peer: 1, piece: 0), Self.event(.send, 10, 300, peer: 1, piece: 1),
            Self.event(.send, 100, 200, peer: 1, piece: 2),
            Self.event(.send, 200, 250, peer: 1, piece: 3),
        ]
        let slices = try Self.events(Self.text([Self.trace(0, sends.reversed())])).filter { $0["ph"] as? String == "X" }
        #expect(slices.map { ($0["args"] as? [String: Int])?["piece"] } == [0, 1, 2, 3])
        #expect(slices.map { $0["tid"] as? Int } == [1001, 1002, 1001, 1001])
    }

    @Test("an end that was dropped has no arrow, nor has one that would lead back in time")
    func unmatched() throws {
        let lonely = Self.text([
            Self.trace(0, [Self.event(.send, 0, 10, peer: 1)]), Self.trace(1, [Self.event(.receive, 0, 10, peer: 0, piece: 1)]),
        ])
        #expect(try Self.events(lonely).allSatisfy { !["s", "f"].contains($0["ph"] as? String) })
        let back = Self.text([Self.trace(0, [Self.event(.send, 50, 60, peer: 1)]), Self.trace(1, [Self.event(.receive, 0, 10, peer: 0)])])
        #expect(try Self.events(back).allSatisfy { !["s", "f"].contains($0["ph"] as? String) })
    }

    @Test("ranks of one machine share its clock, and machines are put side by side by their wall clocks")
    func clocks() throws {
        // Two machines whose monotonic clocks are far apart; on the first, the second rank read its wall clock a little later.
        let text = Self.text([
            Self.trace(0, [Self.event(.pass, 1_000_000, 2_000_000, peer: 0)], machine: "m", offset: 500),
            Self.trace(1, [Self.event(.pass, 1_000_000, 2_000_000, peer: 1)], machine: "m", offset: 700),
            Self.trace(2, [Self.event(.pass, 9_000_000_000, 9_001_000_000, peer: 2)], machine: "n", offset: -8_999_000_000 + 500),
        ])
        #expect(try Self.events(text).filter { $0["ph"] as? String == "X" }.map { $0["ts"] as? Double } == [0, 0, 0])
    }

    @Test("names of machines and workers may hold anything")
    func names() throws {
        let hostile = "a\"b\\c\u{1}\n</script>ü"
        let text = Self.text([Self.trace(0, [Self.event(.wait, 0, 1, peer: 0)], machine: hostile)], names: [hostile])
        let names = try Self.events(text).filter { $0["name"] as? String == "process_name" }.map {
            ($0["args"] as? [String: String])?["name"]
        }
        #expect(names == ["rank 0, \(hostile) on \(hostile)"])
    }

    @Test("no trace at all is an empty document")
    func nothing() throws {
        #expect(try Self.events(Self.text([], names: [])).isEmpty)
    }
}
