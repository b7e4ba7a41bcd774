// The words every other target speaks: places in a ring, runs of tokens, versions of a membership, moments in time.
// Values only: the standard library is all this target may import.

/// A place in a ring, `0 ..< world.count`.
public struct Rank: Hashable, Comparable, Sendable, CustomStringConvertible {
    /// The place, counted from zero.
    public let index: Int

    /// A rank at `index`, which must not be negative.
    public init(_ index: Int) {
        precondition(index >= 0, "a rank is never negative, got \(index)")
        self.index = index
    }

    /// Orders ranks by place.
    public static func < (left: Rank, right: Rank) -> Bool { left.index < right.index }

    /// `rank 3`.
    public var description: String { "rank \(index)" }
}

/// The number of ranks in a ring, at least one.
public struct WorldSize: Hashable, Sendable, CustomStringConvertible {
    /// How many ranks there are.
    public let count: Int

    /// A world of `count` ranks, `1 ... Limits.ranks`.
    public init(_ count: Int) {
        precondition(count >= 1 && count <= Limits.ranks, "a world has 1 to \(Limits.ranks) ranks, got \(count)")
        self.count = count
    }

    /// Every rank in order.
    public var ranks: [Rank] { (0..<count).map(Rank.init) }

    /// The rank to which `rank` sends in a ring.
    public func next(after rank: Rank) -> Rank { Rank((rank.index + 1) % count) }

    /// The rank from which `rank` receives in a ring.
    public func previous(before rank: Rank) -> Rank { Rank((rank.index + count - 1) % count) }

    /// The rank to whose keys and values `rank` attends at a step of its trip: its own at step 0, then those of the ranks before it.
    public func kvOwner(for rank: Rank, atStep step: Int) -> Rank {
        precondition(rank.index < count && step >= 0 && step < count, "\(rank), step \(step) is outside a ring of \(count)")
        return Rank((rank.index - step + count) % count)
    }

    /// The count as text.
    public var description: String { "\(count)" }
}

/// A version of the membership; every frame and directive carries one, and stale ones are dropped.
public struct Epoch: Hashable, Comparable, Sendable {
    /// The version number.
    public let number: UInt64

    /// Version `number`.
    public init(_ number: UInt64) { self.number = number }

    /// Orders epochs by age.
    public static func < (left: Epoch, right: Epoch) -> Bool { left.number < right.number }
}

/// A job's number on the wire, unique within a coordinator.
public struct JobNumber: Hashable, Comparable, Sendable {
    /// The number itself.
    public let number: UInt64

    /// Job `number`.
    public init(_ number: UInt64) { self.number = number }

    /// Orders jobs by age.
    public static func < (left: JobNumber, right: JobNumber) -> Bool { left.number < right.number }
}

/// A run of consecutive tokens of the context: global positions `start ..< start + length`.
public struct Chunk: Hashable, Sendable, CustomStringConvertible {
    /// Global position of the first token.
    public let start: Int
    /// Number of tokens; zero is legal.
    public let length: Int

    /// Tokens `start ..< start + length`; neither may be negative.
    public init(start: Int, length: Int) {
        precondition(start >= 0 && length >= 0, "a chunk has no negative edge")
        self.start = start
        self.length = length
    }

    /// One past the last token.
    public var end: Int { start + length }
    /// The positions as a range.
    public var range: Range<Int> { start..<end }
    /// True when the chunk holds no token.
    public var isEmpty: Bool { length == 0 }
    /// `[start, end)`.
    public var description: String { "[\(start), \(end))" }
}

/// A point on a monotonic clock, in nanoseconds; pure code gets it as an argument and never reads a clock.
public struct Moment: Hashable, Comparable, Sendable {
    /// Nanoseconds since an arbitrary origin.
    public let nanoseconds: Int64

    /// The moment `nanoseconds` after the origin.
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Orders moments in time.
    public static func < (left: Moment, right: Moment) -> Bool { left.nanoseconds < right.nanoseconds }

    /// The moment `seconds` later.
    public func advanced(bySeconds seconds: Double) -> Moment {
        Moment(nanoseconds: nanoseconds &+ Int64(seconds * 1e9))
    }

    /// Seconds from `earlier` to this moment.
    public func seconds(since earlier: Moment) -> Double {
        Double(nanoseconds &- earlier.nanoseconds) / 1e9
    }
}
