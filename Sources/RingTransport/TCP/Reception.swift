// Receives callers at a listening port for as long as the port is open: takes every connection, so that the kernel's queue
// never fills with strangers, listens to the first words, and keeps those who may be members until a mesh wants them.
import CRingSystem
import Glibc
import RingCore
import Synchronization

/// A connection whose first words are the protocol's greeting; nothing has been proved yet.
struct Caller {
    var descriptor: Int32
    /// Numeric address, for messages.
    var address: String
    var greeting: [UInt8]
    var deadline: Moment
}

/// The body of a listener's thread.
///
/// Unchecked because of `strangers`, `poll` and their like, which only `run` touches after `init`; what other threads see is
/// atomic or under the lock.
final class Reception: @unchecked Sendable {
    private struct Stranger {
        var descriptor: Int32
        var key: UInt64
        var address: String
        var bytes: [UInt8] = []
        var deadline: Moment
    }
    private struct Shared {
        var callers: [Caller] = []
        /// Wakes the mesh that is being connected.
        var meshBell: Doorbell?
    }

    private let listener: Int32
    private let greetingLimit: Double
    private let ledger: RefusalLedger
    private let shared = Mutex(Shared())
    private let stopping = Atomic<Bool>(false)
    private let bell: Doorbell
    private let poll: PollSet
    private var strangers: [Stranger] = []
    private var nextKey: UInt64 = 2
    /// Set while the system has no descriptors left for new connections.
    private var pausedUntil: Moment?

    private static let listenerKey: UInt64 = 0
    private static let bellKey: UInt64 = 1
    /// How long a caller waits for a mesh; then it may call again.
    private static let callerSeconds = 10.0
    private static let pauseSeconds = 0.1

    init(descriptor: Int32, greetingLimit: Duration, ledger: RefusalLedger) throws(TransportError) {
        (listener, self.greetingLimit, self.ledger) = (descriptor, greetingLimit.inSeconds, ledger)
        bell = try Doorbell()
        poll = try PollSet()
        poll.watch(listener, key: Self.listenerKey)
        poll.watch(bell.descriptor, key: Self.bellKey)
    }

    /// Ends `run`.
    func stop() {
        stopping.store(true, ordering: .releasing)
        bell.ring()
    }

    /// The callers that wait, and a bell for those to come.
    func takeCallers(ringing meshBell: Doorbell) -> [Caller] {
        shared.withLock { shared in
            shared.meshBell = meshBell
            defer { shared.callers = [] }
            return shared.callers
        }
    }

    /// A mesh is complete or given up; its bell rings no more.
    func forget(_ meshBell: Doorbell) {
        shared.withLock { if $0.meshBell === meshBell { $0.meshBell = nil } }
    }

    /// The thread's body.
    func run() {
        while !stopping.load(ordering: .acquiring) {
            let now = MonotonicClock.now()
            dropOverdue(at: now)
            let milliseconds = timeout(from: now)
            bell.arm()
            let isStopping = stopping.load(ordering: .acquiring)
            var rang = false
            for index in 0..<poll.wait(milliseconds: isStopping ? 0 : milliseconds) {
                switch poll.event(at: index).key {
                case Self.bellKey: rang = true
                case Self.listenerKey: accept()
                case let key: read(key)
                }
            }
            bell.disarm(rang: rang)
        }
        _ = ring_socket_close(listener)
        for stranger in strangers { _ = ring_socket_close(stranger.descriptor) }
        for caller in shared.withLock({ $0.callers }) { _ = ring_socket_close(caller.descriptor) }
    }

    private func timeout(from now: Moment) -> Int32 {
        let waits = !strangers.isEmpty || pausedUntil != nil || shared.withLock { !$0.callers.isEmpty }
        return waits ? 50 : -1
    }

    private func accept() {
        for _ in 0..<TransportLimits.pendingHandshakes {
            var name = [CChar](repeating: 0, count: 96)
            let descriptor = unsafe ring_socket_accept(listener, &name, name.count)
            if descriptor == -EAGAIN { return }
            let now = MonotonicClock.now()
            if descriptor < 0 {
                ledger.add("an unknown address", "the system cannot take it: \(systemText(-descriptor))", isStranger: true)
                poll.forget(listener)
                pausedUntil = now.advanced(bySeconds: Self.pauseSeconds)
                return
            }
            let address = String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            if strangers.count == TransportLimits.pendingHandshakes {
                drop(0, "too many connections say nothing and it is the oldest")
            }
            strangers.append(
                Stranger(
                    descriptor: descriptor, key: nextKey, address: address, deadline: now.advanced(bySeconds: greetingLimit)))
            poll.watch(descriptor, key: nextKey)
            nextKey += 1
        }
    }

    private func read(_ key: UInt64) {
        // Dropped by an earlier event of the same batch, to make room.
        guard let place = strangers.firstIndex(where: { $0.key == key }) else { return }
        var buffer = [UInt8](repeating: 0, count: Greeting.byteCount - strangers[place].bytes.count)
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            var run = unsafe ring_bytes(base: bytes.baseAddress, count: bytes.count)
            return unsafe ring_socket_read(strangers[place].descriptor, &run, 1)
        }
        if count == -Int64(EAGAIN) { return }
        // Who comes, says nothing and goes may be another worker that looks whether the port can be reached: counted, not written about.
        if count <= 0 { return drop(place, "it went without a handshake", isQuiet: count == 0 && strangers[place].bytes.isEmpty) }
        strangers[place].bytes += buffer[..<Int(count)]
        guard couldBeHandshake(strangers[place].bytes) else {
            return drop(place, "it does not speak the ringmaster data plane")
        }
        if strangers[place].bytes.count == Greeting.byteCount { promote(place) }
    }

    private func promote(_ place: Int) {
        let stranger = strangers.remove(at: place)
        poll.forget(stranger.descriptor)
        let caller = Caller(
            descriptor: stranger.descriptor, address: stranger.address, greeting: stranger.bytes,
            deadline: MonotonicClock.now().advanced(bySeconds: Self.callerSeconds))
        let (meshBell, oldest) = shared.withLock { shared in
            shared.callers.append(caller)
            let isCrowded = shared.callers.count > TransportLimits.waitingCallers
            return (shared.meshBell, isCrowded ? shared.callers.removeFirst() : nil)
        }
        if let oldest { sendAway(oldest, "too many callers wait for a mesh and it is the oldest") }
        meshBell?.ring()
    }

    private func dropOverdue(at now: Moment) {
        if let until = pausedUntil, until <= now {
            pausedUntil = nil
            poll.watch(listener, key: Self.listenerKey)
        }
        while let place = strangers.firstIndex(where: { $0.deadline <= now }) {
            drop(place, "no handshake within \(greetingLimit) s")
        }
        let overdue = shared.withLock { shared in
            let overdue = shared.callers.filter { $0.deadline <= now }
            shared.callers.removeAll { $0.deadline <= now }
            return overdue
        }
        for caller in overdue { sendAway(caller, "no mesh wanted it within \(Self.callerSeconds) s") }
    }

    private func sendAway(_ caller: Caller, _ reason: String) {
        ledger.add(caller.address, reason, isStranger: false)
        _ = ring_socket_close(caller.descriptor)
    }

    private func drop(_ place: Int, _ reason: String, isQuiet: Bool = false) {
        let stranger = strangers.remove(at: place)
        ledger.add(stranger.address, reason, isStranger: true, isQuiet: isQuiet)
        _ = ring_socket_close(stranger.descriptor)
    }
}
