// Which memory window is in use for what, as a value: windows whose key stands in a consent that waits to be written, windows
// that are bound, windows whose end waits for a frame to go before. Nothing here knows the library.
import RingCore

/// The windows of one queue pair, by number. Frames go out in the order in which they were queued, and the queue pair carries
/// requests out in order; so a window may be bound again as soon as its end has been posted.
package struct WindowBook: Sendable {
    /// What must be posted before a frame.
    package enum Change: Hashable, Sendable {
        case bind(window: Int, key: UInt32)
        case end(window: Int, key: UInt32)
    }

    private enum State {
        case free
        /// Its key stands in a consent that waits to be written.
        case named
        /// The consent is out.
        case bound
        /// Its message ended before the consent was out.
        case dropped
        /// Its end waits for a frame.
        case ending
    }

    private var keys: [UInt32] = []
    private var states: [State] = []
    /// The last given back is the first taken.
    private var free: [Int] = []
    /// In the order of their consents.
    private var named: [Int] = []
    private var ending: [Int] = []
    /// Windows that were to be ended since the beginning, and whose end was posted.
    package private(set) var forgotten = 0
    package private(set) var ended = 0

    /// For at most `capacity` windows without allocating later.
    package init(capacity: Int) {
        keys.reserveCapacity(capacity)
        states.reserveCapacity(capacity)
        free.reserveCapacity(capacity)
        named.reserveCapacity(capacity)
        ending.reserveCapacity(capacity)
    }

    package var count: Int { keys.count }
    package var hasFree: Bool { !free.isEmpty }

    /// A further window, as the device made it.
    package mutating func add(key: UInt32) {
        free.append(keys.count)
        keys.append(key)
        states.append(.free)
    }

    /// Takes a free window, if there is one, for the block that the next consent names. The key's lowest 8 bits are ours to
    /// choose (InfiniBand Architecture Specification, volume 1, 10.6.7.2): others for every use.
    package mutating func name() -> (window: Int, key: UInt32)? {
        guard let window = free.popLast() else { return nil }
        keys[window] = keys[window] & ~0xFF | (keys[window] &+ 1) & 0xFF
        states[window] = .named
        named.append(window)
        return (window, keys[window])
    }

    /// The message is over for which `key` was given. Nothing for a key that is none.
    package mutating func forget(_ key: UInt32) {
        for window in keys.indices where keys[window] == key {
            switch states[window] {
            case .named:
                // Its bind is still to come.
                states[window] = .dropped
            case .bound: end(window)
            case .free, .dropped, .ending: return
            }
            forgotten += 1
            return
        }
    }

    /// What must be posted before a frame of `kind`, which is then to be posted: before a consent the bind of what it names,
    /// before another frame an end, if one waits.
    package mutating func change(before kind: FrameHeader.Kind?) -> Change? {
        if kind == .consent {
            guard !named.isEmpty else { return nil }
            let window = named.removeFirst()
            if states[window] == .dropped { end(window) } else { states[window] = .bound }
            return .bind(window: window, key: keys[window])
        }
        guard !ending.isEmpty else { return nil }
        let window = ending.removeFirst()
        states[window] = .free
        free.append(window)
        ended += 1
        return .end(window: window, key: keys[window])
    }

    private mutating func end(_ window: Int) {
        states[window] = .ending
        ending.append(window)
    }
}
