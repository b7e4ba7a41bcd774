// Where the time of a layer's linear parts goes: each compute thread counts its own, by part.
import RingCore
import RingEngine
import Synchronization

/// The parts of a transformer block beside attention.
public enum LayerPart: String, CaseIterable, Hashable, Sendable {
    /// Queries, keys and values out of hidden states.
    case queryKeyValue = "qkv"
    /// What attention found, back into hidden states.
    case output
    /// The feed-forward's first two layers.
    case gateUp = "gate_up"
    /// Its last.
    case down
    /// Activations into the form that meets packed weights.
    case packing
    /// Norms, rotation, SiLU, the end of the softmax, keys and values into their blocks.
    case elementwise
}

/// Seconds by part, over all threads.
public struct LayerPartSeconds: Hashable, Sendable {
    private var values = [Double](repeating: 0, count: LayerPart.allCases.count)

    /// None.
    public init() {}

    /// Seconds of one part.
    public subscript(part: LayerPart) -> Double {
        get { values[Self.place(of: part)] }
        set { values[Self.place(of: part)] = newValue }
    }

    /// Seconds of all parts.
    public var total: Double { values.reduce(0, +) }

    /// Adds another count.
    public mutating func add(_ other: LayerPartSeconds) { for part in LayerPart.allCases { self[part] += other[part] } }

    private static func place(of part: LayerPart) -> Int {
        switch part {
        case .queryKeyValue: 0
        case .output: 1
        case .gateUp: 2
        case .down: 3
        case .packing: 4
        case .elementwise: 5
        }
    }
}

/// One thread's clock. Its lock is never waited for: the thread laps, and the engine thread reads between two loops.
final class LinearClock: Sendable {
    private let state = Mutex((last: EngineClock.now(), seconds: LayerPartSeconds()))

    /// Begins to count: what was before belongs to no part.
    func begin() { state.withLock { $0.last = EngineClock.now() } }

    /// What has passed since the last look at the clock was `part`.
    func lap(_ part: LayerPart) {
        state.withLock {
            let now = EngineClock.now()
            $0.seconds[part] += now.seconds(since: $0.last)
            $0.last = now
        }
    }

    var seconds: LayerPartSeconds { state.withLock { $0.seconds } }
}
