// Events of a trace and the record in which they travel.
import RingCore
import Testing

@Suite("Trace events")
struct TraceEventTests {
    private static func trace(_ count: Int) -> RankTrace {
        var random = SeededGenerator(seed: 11)
        let events = (0..<count).map { _ in
            let start = Int64.random(in: 0..<1 << 60, using: &random)
            return TraceEvent(
                TraceEvent.Kind.allCases.randomElement(using: &random) ?? .task, from: Moment(nanoseconds: start),
                to: Moment(nanoseconds: start + Int64.random(in: 0..<1 << 40, using: &random)),
                layer: Int.random(in: 0..<4096, using: &random),
                step: Int.random(in: 0..<1024, using: &random), piece: Int.random(in: 0..<1 << 24, using: &random),
                peer: Rank(Int.random(in: 0..<1024, using: &random)), thread: Int.random(in: 0..<512, using: &random),
                byteCount: Int.random(in: 0..<1 << 32, using: &random))
        }
        return RankTrace(rank: Rank(3), machine: "nöde-1", clockOffset: -5_000_000_000, droppedCount: 17, events: events)
    }

    @Test("an event is 32 bytes, and says what it was made of")
    func event() {
        #expect(MemoryLayout<TraceEvent>.size == TraceEvent.recordBytes)
        let event = TraceEvent(
            .send, from: Moment(nanoseconds: 5), to: Moment(nanoseconds: 9), layer: 60, step: 15, piece: 8, peer: Rank(7), thread: 3,
            byteCount: 8 << 20)
        #expect(event.kind == .send && event.layer == 60 && event.step == 15 && event.piece == 8 && event.peer == Rank(7))
        #expect(event.thread == 3 && event.byteCount == 8 << 20 && event.start.nanoseconds == 5 && event.end.nanoseconds == 9)
        let huge = TraceEvent(
            .send, from: event.start, to: event.end, layer: 1 << 40, step: 1 << 40, piece: 1 << 40, peer: Rank(1 << 40), byteCount: 1 << 40)
        #expect(huge.layer == 0xFFFF && huge.piece == 0xFF_FFFF && huge.byteCount == 0xFFFF_FFFF && huge.kind == .send && huge.thread == 0)
    }

    @Test("a trace comes back from its bytes, and bytes that are none give none")
    func record() {
        let trace = Self.trace(200)
        #expect(RankTrace(bytes: trace.bytes) == trace)
        let bytes = trace.bytes
        #expect(RankTrace(bytes: []) == nil && RankTrace(bytes: Array(bytes.dropLast())) == nil && RankTrace(bytes: bytes + [0]) == nil)
        // Whatever is wrong with a byte of the header, nothing is read past the end.
        for place in 0..<48 {
            for bit in 0..<8 {
                var broken = bytes
                broken[place] ^= 1 << bit
                if let read = RankTrace(bytes: broken) { #expect(read.events.count == 200) }
            }
        }
    }
}
