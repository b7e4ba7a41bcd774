// epoll, with what the three loops of the TCP transport need of it.
import CRingSystem

/// Descriptors and what each is waited for, level-triggered. One thread at a time uses it.
final class PollSet {
    /// One report.
    struct Event {
        var key: UInt64
        /// Something can be read, or the other side has gone: a read says which.
        var isReadable: Bool
        var isWritable: Bool
    }

    private let descriptor: Int32
    private var reports = [ring_poll_event](repeating: ring_poll_event(), count: 64)

    init() throws(TransportError) {
        descriptor = ring_poll_create()
        if descriptor < 0 { throw .system("no poll set (epoll): \(systemText(-descriptor))") }
    }

    deinit { if descriptor >= 0 { _ = ring_socket_close(descriptor) } }

    /// Begins to report about a descriptor under `key`.
    func watch(_ watched: Int32, key: UInt64, readable: Bool = true, writable: Bool = false) {
        _ = ring_poll_watch(descriptor, watched, key, readable, writable, false)
    }

    /// Changes what is reported about a descriptor that is watched.
    func change(_ watched: Int32, key: UInt64, readable: Bool = true, writable: Bool) {
        _ = ring_poll_watch(descriptor, watched, key, readable, writable, true)
    }

    func forget(_ watched: Int32) { _ = ring_poll_forget(descriptor, watched) }

    /// Sleeps until there is something to report (or `milliseconds` are over, -1: for ever) and returns how many reports
    /// there are; `event(at:)` reads them. A failure counts as none: the set itself cannot fail once it was made.
    func wait(milliseconds: Int32) -> Int {
        let count = unsafe ring_poll_wait(descriptor, &reports, Int32(reports.count), milliseconds)
        return Int(max(count, 0))
    }

    /// A report of the last wait.
    func event(at index: Int) -> Event {
        let report = reports[index]
        return Event(
            key: report.key, isReadable: report.events & (ring_poll_readable | ring_poll_hangup) != 0,
            isWritable: report.events & ring_poll_writable != 0)
    }
}
