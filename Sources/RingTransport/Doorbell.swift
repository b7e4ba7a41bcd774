// How one thread wakes another that may be asleep, and pays for a system call only if it is.
import CRingSystem
import Synchronization

/// An eventfd that is written only when the sleeper has armed it. The order "arm, look again, sleep" on one side and
/// "publish, ring" on the other, with a full fence in each, cannot miss a wake-up; it may wake once too often.
final class Doorbell: Sendable {
    /// For epoll.
    let descriptor: Int32
    private let armed = Atomic<Bool>(false)

    init() throws(TransportError) {
        descriptor = ring_event_create()
        if descriptor < 0 { throw .system("no doorbell (eventfd): \(systemText(-descriptor))") }
    }

    deinit { _ = ring_socket_close(descriptor) }

    /// Wakes the sleeper. Call after publishing what it shall find.
    func ring() {
        atomicMemoryFence(ordering: .sequentiallyConsistent)
        if armed.load(ordering: .relaxed) && armed.exchange(false, ordering: .sequentiallyConsistent) {
            ring_event_signal(descriptor)
        }
    }

    /// Announces sleep. Look for work once more before sleeping.
    func arm() {
        armed.store(true, ordering: .sequentiallyConsistent)
        atomicMemoryFence(ordering: .sequentiallyConsistent)
    }

    /// Ends sleep, however it ended. `rang` says that the descriptor was seen readable.
    func disarm(rang: Bool) {
        // Who rings takes the arming away before the descriptor turns readable, so either sign may come alone.
        let wasArmed = armed.exchange(false, ordering: .sequentiallyConsistent)
        if rang || !wasArmed { ring_event_drain(descriptor) }
    }

    /// Sleeps, at most so long, unless `isNeeded` finds work after the arming.
    func sleep(nanoseconds: Int64, unless isNeeded: () -> Bool) {
        arm()
        var rang = false
        if !isNeeded() { rang = ring_event_wait(descriptor, nanoseconds) > 0 }
        disarm(rang: rang)
    }
}
