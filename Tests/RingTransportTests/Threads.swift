// Results that cross from a thread to the test that started it.
import Glibc
import RingCore
import RingTransport
import Synchronization

/// A fake peer made on another thread.
final class Joining: Sendable {
    private let result = Mutex<Result<FakePeer, any Error>?>(nil)
    func run(_ body: () throws -> FakePeer) {
        let made = Result { try body() }
        result.withLock { $0 = made }
    }
    func peer() throws -> FakePeer {
        guard let result = result.withLock({ $0 }) else { throw Failure("no peer was made") }
        return try result.get()
    }
}

/// A sentence from another thread.
final class Told: Sendable {
    private let sentence = Mutex("")
    func set(_ text: String) { sentence.withLock { $0 = text } }
    var text: String { sentence.withLock { $0 } }
}

/// Runs every body on a thread of its own and throws the first error after all have ended.
func together(_ bodies: [@Sendable () throws -> Void]) throws {
    let failures = Mutex<[String]>([])
    let box = Box(failures)
    var threads: [PinnedThread] = []
    for (place, body) in bodies.enumerated() {
        threads.append(
            try PinnedThread.start(name: "test-\(place)") {
                do { try body() } catch { box.failures.withLock { $0.append("\(place): \(error)") } }
            })
    }
    for thread in threads { thread.join() }
    let all = box.failures.withLock { $0 }
    if !all.isEmpty { throw Failure(all.joined(separator: "; ")) }
}

private final class Box: Sendable {
    let failures: Mutex<[String]>
    init(_ failures: consuming Mutex<[String]>) { self.failures = failures }
}

/// A number that threads count up.
final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    func increment() { count.add(1, ordering: .relaxed) }
    var value: Int { count.load(ordering: .relaxed) }
}

/// A port that one thread opens and another calls.
final class PortBox: Sendable {
    private let value = Atomic<Int>(0)
    func set(_ port: UInt16) { value.store(Int(port), ordering: .releasing) }
    func port() throws -> UInt16 {
        for _ in 0..<2000 {
            let port = value.load(ordering: .acquiring)
            if port != 0 { return UInt16(port) }
            usleep(1000)
        }
        throw Failure("no port was opened")
    }
}

/// A flag that threads set.
final class Flag: Sendable {
    private let state = Atomic<Bool>(false)
    func set() { state.store(true, ordering: .releasing) }
    var isSet: Bool { state.load(ordering: .acquiring) }
}

/// A small generator with a seed, so that a failure can be replayed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        // SplitMix64: Steele, Lea, Flood 2014.
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

/// What each rank found its pairs to have chosen.
final class Found: Sendable {
    private let choices: Mutex<[[LaneChoice?]]>
    init(_ ranks: Int) { choices = Mutex(Array(repeating: [], count: ranks)) }
    func set(_ rank: Int, _ found: [LaneChoice?]) { choices.withLock { $0[rank] = found } }
    var all: [[LaneChoice?]] { choices.withLock { $0 } }
}
