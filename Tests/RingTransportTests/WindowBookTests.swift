// Memory windows as a device sees them: each request is checked against what the window is at that moment, while messages come, end
// and are given up in every order.
import RingCore
import RingTransport
import Testing

@Suite("RDMA windows' accounts")
struct WindowBookTests {
    /// A device and the frames that wait for it, in order.
    private struct Play {
        var book = WindowBook(capacity: 16)
        /// The key under which each window is bound; `nil` for those that are not.
        var bound: [UInt32?] = []
        /// Kinds of frames that were queued and not posted yet.
        var queued: [FrameHeader.Kind] = []
        /// Keys of messages under way.
        var keys: [UInt32] = []
        var given: Set<UInt32> = []
        var breaches: [String] = []

        mutating func name() {
            if !book.hasFree {
                book.add(key: UInt32(bound.count + 1) << 8)
                bound.append(nil)
            }
            guard let (_, key) = book.name() else { return breaches.append("no window, though one is free") }
            if keys.contains(key) || bound.contains(key) { breaches.append("a key that is in use was given again") }
            keys.append(key)
            given.insert(key)
            queued.append(.consent)
        }

        mutating func forget(_ place: Int, answering: Bool) {
            book.forget(keys.remove(at: place))
            if answering { queued.append(.acknowledge) }
        }

        mutating func post(_ kind: FrameHeader.Kind) {
            switch book.change(before: kind) {
            case nil: if kind == .consent { breaches.append("a consent without its bind") }
            case .bind(let window, let key):
                if kind != .consent { breaches.append("a bind before \(kind)") }
                if bound[window] != nil { breaches.append("window \(window) was bound twice") }
                bound[window] = key
            case .end(let window, let key):
                if bound[window] != key { breaches.append("window \(window) was ended, which is not bound by this key") }
                bound[window] = nil
            }
        }
    }

    @Test("binds and ends come in an order that a device takes, whatever becomes of messages", arguments: 1...8)
    func played(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var play = Play()
        for _ in 0..<20_000 {
            switch Int.random(in: 0..<12, using: &random) {
            case 0, 1: if play.keys.count < 12 { play.name() }
            case 2: if let place = play.keys.indices.randomElement(using: &random) { play.forget(place, answering: true) }
            // Given up by the sender, perhaps before its consent is out.
            case 3: if let place = play.keys.indices.randomElement(using: &random) { play.forget(place, answering: false) }
            // More often than anything else, as a lane that keeps up does; an idle one says that it lives.
            default: play.post(play.queued.isEmpty ? .heartbeat : play.queued.removeFirst())
            }
        }
        for place in play.keys.indices.reversed() { play.forget(place, answering: false) }
        while !play.queued.isEmpty { play.post(play.queued.removeFirst()) }
        for _ in 0..<play.bound.count { play.post(.heartbeat) }
        #expect(play.breaches.isEmpty, "\(play.breaches.prefix(3)) (seed \(seed))")
        #expect(play.bound.allSatisfy { $0 == nil }, "a key opens something after its message (seed \(seed))")
        #expect(play.book.ended == play.book.forgotten && play.book.forgotten > 1000)
        #expect(play.bound.count < 40, "windows are not used again")
        #expect(play.given.count > 255, "keys are not new")
    }

    @Test("a key that was never given, and one that has ended, end nothing")
    func strangers() {
        var book = WindowBook(capacity: 4)
        book.add(key: 0x100)
        let names = [book.name()?.key, book.name()?.key]
        #expect(names == [0x101, nil])
        let changes = [book.change(before: .slice), book.change(before: .consent)]
        #expect(changes == [nil, .bind(window: 0, key: 0x101)])
        book.forget(0x102)
        let afterStranger = book.change(before: .heartbeat)
        #expect(afterStranger == nil && book.forgotten == 0)
        book.forget(0x101)
        book.forget(0x101)
        let ends = [book.change(before: .acknowledge), book.change(before: .acknowledge)]
        #expect(ends == [.end(window: 0, key: 0x101), nil] && book.forgotten == 1 && book.ended == 1)
        let next = book.name()?.key
        #expect(next == 0x102)
    }
}
