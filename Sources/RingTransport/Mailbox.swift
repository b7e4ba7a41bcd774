// What a caller's thread and a mover's thread share: posts down, completions up, losses and counters.
import RingCore
import Synchronization

/// One post on its way to the mover.
@safe struct Command: BitwiseCopyable {
    var isSend: Bool
    var peer: Int32
    var region: Int32
    var ticket: UInt64
    var tag: UInt64
    var start: UnsafeMutableRawPointer
    var byteCount: Int
}

/// One completion on its way to the caller.
struct Finished: BitwiseCopyable {
    var isSend: Bool
    var outcome: UInt8
    var peer: Int32
    var region: Int32
    var ticket: UInt64
    var tag: UInt64
    var byteCount: Int

    init(_ command: Command, _ outcome: Completion.Outcome) {
        (isSend, peer, region) = (command.isSend, command.peer, command.region)
        (ticket, tag, byteCount) = (command.ticket, command.tag, command.byteCount)
        self.outcome = outcome.rawValue
    }
}

/// The meeting point of one transport's two threads.
final class Mailbox: Sendable {
    let commands: HandoffRing<Command>
    let finished: HandoffRing<Finished>
    /// Wakes the mover.
    let moverBell: Doorbell
    /// Wakes the caller.
    let callerBell: Doorbell
    let losses: LossBoard
    let counters = CounterBoard()
    /// Set by the caller: leave the ring.
    let closeRequested = Atomic<Bool>(false)
    /// Set by the mover: no region is touched any more.
    let closed = Atomic<Bool>(false)

    init(world: WorldSize, moverBell: Doorbell) throws(TransportError) {
        let capacity = TransportLimits.sends + TransportLimits.receives
        commands = HandoffRing(capacity: capacity)
        finished = HandoffRing(capacity: capacity)
        self.moverBell = moverBell
        callerBell = try Doorbell()
        losses = LossBoard(world: world)
    }

    /// Reports an end to the caller, and counts it.
    func finish(_ command: Command, _ outcome: Completion.Outcome) {
        switch outcome {
        case .sent:
            counters.messagesSent.add(1, ordering: .relaxed)
            counters.bytesSent.add(UInt64(command.byteCount), ordering: .relaxed)
        case .received:
            counters.messagesReceived.add(1, ordering: .relaxed)
            counters.bytesReceived.add(UInt64(command.byteCount), ordering: .relaxed)
        case .lost, .damaged, .cancelled: break
        }
        // The ring holds every post that can be outstanding, so there is always room.
        precondition(finished.push(Finished(command, outcome)), "more completions than posts")
        callerBell.ring()
    }
}

extension Mailbox {
    /// Asks the mover to let go of everything and waits until it has. Asking again returns at once.
    func close() {
        closeRequested.store(true, ordering: .releasing)
        moverBell.ring()
        // The mover never blocks, and what it waits for has deadlines of its own. Until it answers, the regions are in
        // use, so to give up here would be worse than to wait.
        while !closed.load(ordering: .acquiring) {
            callerBell.sleep(nanoseconds: 100_000_000) { closed.load(ordering: .acquiring) }
        }
    }

    /// The mover's answer.
    func confirmClosed() {
        closed.store(true, ordering: .releasing)
        callerBell.ring()
    }
}

/// Which peers are gone and why.
final class LossBoard: Sendable {
    private let count = Atomic<Int>(0)
    private let reasons: Mutex<[String?]>

    init(world: WorldSize) { reasons = Mutex(Array(repeating: nil, count: world.count)) }

    /// Records the first reason of a loss; later ones are consequences.
    func record(_ rank: Rank, _ reason: String) {
        reasons.withLock { if $0[rank.index] == nil { $0[rank.index] = reason } }
        count.add(1, ordering: .releasing)
    }

    func reason(of rank: Rank) -> String? {
        if count.load(ordering: .acquiring) == 0 { return nil }
        return reasons.withLock { rank.index < $0.count ? $0[rank.index] : nil }
    }

    var ranks: [Rank] {
        if count.load(ordering: .acquiring) == 0 { return [] }
        return reasons.withLock { all in all.indices.filter { all[$0] != nil }.map(Rank.init) }
    }
}

/// Counters that the mover writes and anybody reads.
final class CounterBoard: Sendable {
    let bytesSent = Atomic<UInt64>(0)
    let bytesReceived = Atomic<UInt64>(0)
    let bytesBorrowed = Atomic<UInt64>(0)
    let messagesSent = Atomic<UInt64>(0)
    let messagesReceived = Atomic<UInt64>(0)
    let retransmissions = Atomic<UInt64>(0)
    let checksumFailures = Atomic<UInt64>(0)

    var values: TransportCounters {
        var values = TransportCounters()
        values.bytesSent = bytesSent.load(ordering: .relaxed)
        values.bytesReceived = bytesReceived.load(ordering: .relaxed)
        values.bytesBorrowed = bytesBorrowed.load(ordering: .relaxed)
        values.messagesSent = messagesSent.load(ordering: .relaxed)
        values.messagesReceived = messagesReceived.load(ordering: .relaxed)
        values.retransmissions = retransmissions.load(ordering: .relaxed)
        values.checksumFailures = checksumFailures.load(ordering: .relaxed)
        return values
    }
}
