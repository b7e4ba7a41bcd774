// The clock of one connection, turned by hand.

import NIOCore
import RingCoordinator
import Testing

@Suite("Security: patience")
struct SecurityPatienceTests {
    private static func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(1_000_000_000_000) + .seconds(seconds) }
    private static let limits = ClientPatience()

    @Test("a new connection has the time of a head, an idle one that has been served more")
    func idle() {
        var patience = Patience(Self.limits, at: Self.at(0))
        #expect(patience.deadline == Self.at(10))
        patience.bytesCame(at: Self.at(3))
        #expect(patience.deadline == Self.at(13))
        // More bytes do not prolong it.
        patience.bytesCame(at: Self.at(12))
        #expect(patience.deadline == Self.at(13))
        patience.headCame(at: Self.at(4))
        patience.requestEnded(at: Self.at(4))
        #expect(patience.deadline == nil)
        patience.answerEnded(at: Self.at(100))
        #expect(patience.deadline == Self.at(175))
    }

    @Test("a body has its time and that of its bytes at the least rate")
    func body() {
        var patience = Patience(Self.limits, at: Self.at(0))
        patience.bytesCame(at: Self.at(0))
        patience.headCame(at: Self.at(1))
        #expect(patience.deadline == Self.at(11))
        patience.bodyCame(64 << 10)
        #expect(patience.deadline == Self.at(13))
        // Answered before it was whole: the rest is not waited for long.
        patience.answerEnded(at: Self.at(2))
        #expect(patience.deadline == Self.at(4))
    }

    @Test("a stream may last for ever as long as it is read")
    func stream() {
        var patience = Patience(Self.limits, at: Self.at(0))
        patience.bytesCame(at: Self.at(0))
        patience.headCame(at: Self.at(0))
        patience.requestEnded(at: Self.at(0))
        #expect(patience.deadline == nil)
        patience.becameWritable(false, at: Self.at(1000))
        #expect(patience.deadline == Self.at(1030))
        patience.becameWritable(false, at: Self.at(1020))
        #expect(patience.deadline == Self.at(1030))
        patience.becameWritable(true, at: Self.at(1025))
        #expect(patience.deadline == nil)
    }

    @Test("requests in a row are each waited for")
    func pipeline() {
        var patience = Patience(Self.limits, at: Self.at(0))
        for _ in 0..<2 {
            patience.bytesCame(at: Self.at(1))
            patience.headCame(at: Self.at(1))
            patience.requestEnded(at: Self.at(1))
        }
        patience.answerEnded(at: Self.at(2))
        #expect(patience.deadline == nil)
        patience.answerEnded(at: Self.at(3))
        #expect(patience.deadline == Self.at(78))
    }
}
