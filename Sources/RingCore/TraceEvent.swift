// One thing that a rank did, from when to when: what a trace is made of. Small and of one size, so that a thread can note one without
// allocating and a whole run's fit in a few MiB.

/// A slice of a rank's time.
public struct TraceEvent: Hashable, Sendable {
    /// What was done.
    public enum Kind: UInt8, Hashable, Sendable, CaseIterable {
        /// A trip round the ring, from its beginning to its last send.
        case pass = 1
        /// The attention of one ring step, on all compute threads.
        case compute = 2
        /// Nothing to compute: keys and values, or the last sends, are not there yet.
        case wait = 3
        /// A piece of keys and values on its way to the next rank, from its post to the news that the peer has it.
        case send = 4
        /// The same at its receiver, from its post to the news that it is whole.
        case receive = 5
        /// One task of a step on one compute thread.
        case task = 6
        /// The linear layers of a model, before or after a layer's attention.
        case linear = 7
    }

    /// When it began and ended, by the rank's own monotonic clock.
    public let start: Moment, end: Moment
    /// Layer, step, peer, thread: 16 bits each, from the bottom.
    private let place: UInt64
    /// Bytes 32 bits, piece 24, kind 8, from the bottom.
    private let what: UInt64

    /// What was done.
    public var kind: Kind {
        guard let kind = Kind(rawValue: UInt8(what >> 56)) else { preconditionFailure("a trace event of no kind: \(what)") }
        return kind
    }
    /// The model's layer; 0 for bare attention.
    public var layer: Int { Int(place & 0xFFFF) }
    /// The ring step at this rank, counted from zero; of a message the one at which its receiver attends to it.
    public var step: Int { Int(place >> 16 & 0xFFFF) }
    /// The other rank of a message; this rank else.
    public var peer: Rank { Rank(Int(place >> 32 & 0xFFFF)) }
    /// The compute thread; 0 is the engine's own.
    public var thread: Int { Int(place >> 48) }
    /// Which piece of a message, or which task of a step.
    public var piece: Int { Int(what >> 32 & 0xFF_FFFF) }
    /// Payload of a message.
    public var byteCount: Int { Int(what & 0xFFFF_FFFF) }

    /// Bytes of one event, in memory and in a record.
    public static let recordBytes = 32

    /// A slice of its parts, none of which is negative; what does not fit is cut to the largest that does.
    public init(
        _ kind: Kind, from start: Moment, to end: Moment, layer: Int, step: Int, piece: Int = 0, peer: Rank, thread: Int = 0,
        byteCount: Int = 0
    ) {
        self.start = start
        self.end = end
        place =
            UInt64(min(layer, 0xFFFF)) | UInt64(min(step, 0xFFFF)) << 16 | UInt64(min(peer.index, 0xFFFF)) << 32
            | UInt64(min(thread, 0xFFFF)) << 48
        what = UInt64(min(byteCount, 0xFFFF_FFFF)) | UInt64(min(piece, 0xFF_FFFF)) << 32 | UInt64(kind.rawValue) << 56
    }

    /// The event as four words.
    var words: [UInt64] { [UInt64(bitPattern: start.nanoseconds), UInt64(bitPattern: end.nanoseconds), place, what] }

    /// The event of four words; `nil` if its kind is unknown.
    init?(_ words: [UInt64]) {
        guard words.count == 4, Kind(rawValue: UInt8(words[3] >> 56)) != nil else { return nil }
        start = Moment(nanoseconds: Int64(bitPattern: words[0]))
        end = Moment(nanoseconds: Int64(bitPattern: words[1]))
        (place, what) = (words[2], words[3])
    }
}

/// What one rank noted in a run, as it travels: a header, the machine's name, 32 bytes an event, all words little-endian.
public struct RankTrace: Hashable, Sendable {
    /// Whose it is.
    public var rank: Rank
    /// The machine on which the rank ran: ranks of one machine read the same monotonic clock.
    public var machine: String
    /// Nanoseconds from the monotonic clock's origin to 1970, by the machine's wall clock.
    public var clockOffset: Int64
    /// Events that did not find room; the oldest go first.
    public var droppedCount: Int
    /// What is left, in no particular order.
    public var events: [TraceEvent]

    private static let magic: UInt64 = 0x3145_4341_5254_4D52  // "RMTRACE1"
    private static let headerWords = 6

    /// A trace of its parts.
    public init(rank: Rank, machine: String, clockOffset: Int64, droppedCount: Int, events: [TraceEvent]) {
        self.rank = rank
        self.machine = machine
        self.clockOffset = clockOffset
        self.droppedCount = droppedCount
        self.events = events
    }

    /// The trace as it travels.
    public var bytes: [UInt8] {
        let name = Array(machine.utf8)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(8 * Self.headerWords + name.count + events.count * TraceEvent.recordBytes)
        func put(_ word: UInt64) { for shift in stride(from: 0, to: 64, by: 8) { bytes.append(UInt8(word >> UInt64(shift) & 0xFF)) } }
        let header = [
            Self.magic, UInt64(rank.index), UInt64(bitPattern: clockOffset), UInt64(droppedCount), UInt64(name.count), UInt64(events.count),
        ]
        for word in header { put(word) }
        bytes += name
        for event in events { for word in event.words { put(word) } }
        return bytes
    }

    /// The trace of bytes that travelled; `nil` if they are not one.
    public init?(bytes: [UInt8]) {
        func word(at place: Int) -> UInt64 { (0..<8).reduce(0) { $0 | UInt64(bytes[place + $1]) << UInt64(8 * $1) } }
        let first = 8 * Self.headerWords
        guard bytes.count >= first, word(at: 0) == Self.magic, word(at: 8) < UInt64(Limits.ranks), word(at: 24) < 1 << 48 else {
            return nil
        }
        let (nameBytes, count) = (word(at: 32), word(at: 40))
        guard nameBytes <= 255, count <= UInt64(bytes.count / TraceEvent.recordBytes),
            bytes.count == first + Int(nameBytes) + Int(count) * TraceEvent.recordBytes
        else { return nil }
        rank = Rank(Int(word(at: 8)))
        clockOffset = Int64(bitPattern: word(at: 16))
        droppedCount = Int(word(at: 24))
        let body = first + Int(nameBytes)
        machine = String(decoding: bytes[first..<body], as: UTF8.self)
        events = []
        events.reserveCapacity(Int(count))
        for place in stride(from: body, to: bytes.count, by: TraceEvent.recordBytes) {
            guard let event = TraceEvent((0..<4).map { word(at: place + 8 * $0) }) else { return nil }
            events.append(event)
        }
    }
}
