// The thread that copies between the memories of an in-process ring. It alone owns the tables, so there is no lock: posts
// come in through the mailboxes, completions go out through them.
import RingCore
import Synchronization

/// Matches sends with receives and copies, a slice of each transfer in turn.
///
/// Unchecked because its tables are plain variables: only `run`, on the mover's thread, touches them; other threads call
/// `stop`, which is atomic, and the mailboxes, which are safe.
final class InProcessMover: @unchecked Sendable {
    /// One matched message under way.
    private struct Transfer: BitwiseCopyable {
        var send: Command
        var receive: Command
        var offset: Int
        var notBefore: Int64
        /// Index into `faults`, or -1.
        var fault: Int
        var transmissions: Int
    }
    /// A send that waits for its receive, with the fault that will meet it.
    private struct WaitingSend: BitwiseCopyable {
        var command: Command
        var fault: Int
    }

    private let mailboxes: [Mailbox]
    private let bell: Doorbell
    private let faults: [TransportFault]
    private let stopping = Atomic<Bool>(false)

    private let world: Int
    private var sends: SlotPool<WaitingSend>
    private var receives: SlotPool<Command>
    private var transfers: SlotPool<Transfer>
    private var active = SlotList()
    /// Waiting posts of the pair (source, destination), at `source * world + destination`.
    private var waitingSends: [SlotList]
    private var waitingReceives: [SlotList]
    private var sentMessages: [Int]
    private var severed: [Bool]
    private var left: [Bool]

    init(mailboxes: [Mailbox], bell: Doorbell, faults: [TransportFault]) {
        (self.mailboxes, self.bell, self.faults) = (mailboxes, bell, faults)
        world = mailboxes.count
        sends = SlotPool(capacity: world * TransportLimits.sends)
        receives = SlotPool(capacity: world * TransportLimits.receives)
        transfers = SlotPool(capacity: world * TransportLimits.sends)
        waitingSends = Array(repeating: SlotList(), count: world * world)
        waitingReceives = waitingSends
        sentMessages = Array(repeating: 0, count: world * world)
        severed = Array(repeating: false, count: world * world)
        left = Array(repeating: false, count: world)
    }

    /// Ends `run`.
    func stop() {
        stopping.store(true, ordering: .releasing)
        bell.ring()
    }

    /// The thread's body.
    func run() {
        while !stopping.load(ordering: .acquiring) {
            var didWork = takePosts()
            let wake = advanceTransfers(didWork: &didWork)
            if didWork { continue }
            bell.sleep(nanoseconds: max(wake - MonotonicClock.now().nanoseconds, 0)) { hasNews }
        }
    }

    private var hasNews: Bool {
        if stopping.load(ordering: .acquiring) { return true }
        for rank in 0..<world {
            if !mailboxes[rank].commands.isEmpty { return true }
            if !left[rank] && mailboxes[rank].closeRequested.load(ordering: .acquiring) { return true }
        }
        return false
    }

    private func takePosts() -> Bool {
        var didWork = false
        for rank in 0..<world {
            while let command = mailboxes[rank].commands.pop() {
                didWork = true
                if command.isSend { accept(send: command, of: rank) } else { accept(receive: command, of: rank) }
            }
            if !left[rank] && mailboxes[rank].closeRequested.load(ordering: .acquiring) {
                didWork = true
                leave(rank)
            }
        }
        return didWork
    }

    private func accept(send: Command, of source: Int) {
        let pair = source * world + Int(send.peer)
        let message = sentMessages[pair]
        sentMessages[pair] += 1
        if severed[pair] { return mailboxes[source].finish(send, .lost) }
        let fault = faults.firstIndex {
            $0.message == message && $0.source.index == source && $0.destination.index == Int(send.peer)
        }
        let waiting = WaitingSend(command: send, fault: fault ?? -1)
        if let slot = firstReceive(send.tag, pair) {
            let receive = receives[slot]
            receives.remove(slot, from: &waitingReceives[pair])
            receives.release(slot)
            begin(waiting, receive)
        } else {
            guard let slot = sends.take(waiting) else { preconditionFailure("more sends than posts") }
            sends.append(slot, to: &waitingSends[pair])
        }
    }

    private func accept(receive: Command, of destination: Int) {
        let pair = Int(receive.peer) * world + destination
        if severed[pair] { return mailboxes[destination].finish(receive, .lost) }
        if let slot = firstSend(receive.tag, pair) {
            let waiting = sends[slot]
            sends.remove(slot, from: &waitingSends[pair])
            sends.release(slot)
            begin(waiting, receive)
        } else {
            guard let slot = receives.take(receive) else { preconditionFailure("more receives than posts") }
            receives.append(slot, to: &waitingReceives[pair])
        }
    }

    private func firstReceive(_ tag: UInt64, _ pair: Int) -> Int? {
        var at = waitingReceives[pair].head
        while let slot = at, receives[slot].tag != tag { at = receives.next(after: slot) }
        return at
    }

    private func firstSend(_ tag: UInt64, _ pair: Int) -> Int? {
        var at = waitingSends[pair].head
        while let slot = at, sends[slot].command.tag != tag { at = sends.next(after: slot) }
        return at
    }

    private func begin(_ waiting: WaitingSend, _ receive: Command) {
        let send = waiting.command
        var notBefore = Int64.min
        if waiting.fault >= 0 {
            switch faults[waiting.fault].action {
            case .drop: notBefore = .max
            case .delay(let seconds): notBefore = MonotonicClock.now().advanced(bySeconds: seconds).nanoseconds
            case .damage, .sever: break
            }
        }
        let transfer = Transfer(
            send: send, receive: receive, offset: 0, notBefore: notBefore, fault: waiting.fault, transmissions: 0)
        guard let slot = transfers.take(transfer) else { preconditionFailure("more transfers than sends") }
        transfers.append(slot, to: &active)
        if send.byteCount != receive.byteCount {
            let (source, destination) = (Int(receive.peer), Int(send.peer))
            sever(
                source, destination,
                mismatchReason(tag: send.tag, sent: send.byteCount, expected: receive.byteCount))
        }
    }

    /// Copies one slice of every transfer that is due. Returns when the earliest of the others will be.
    private func advanceTransfers(didWork: inout Bool) -> Int64 {
        let now = MonotonicClock.now().nanoseconds
        // Far enough to be never, near enough to subtract from.
        var wake = now + 1_000_000_000
        for _ in 0..<active.count {
            guard let slot = transfers.removeFirst(of: &active) else { break }
            transfers.append(slot, to: &active)
            let notBefore = transfers[slot].notBefore
            if notBefore > now {
                wake = min(wake, notBefore)
                continue
            }
            didWork = true
            advance(slot)
        }
        return wake
    }

    private func advance(_ slot: Int) {
        let transfer = transfers[slot]
        let count = min(transfer.send.byteCount - transfer.offset, TransportLimits.copyBytes)
        unsafe (transfer.receive.start + transfer.offset).copyMemory(from: transfer.send.start + transfer.offset, byteCount: count)
        transfers[slot].offset += count
        let action: TransportFault.Action? = transfer.fault >= 0 ? faults[transfer.fault].action : nil
        if case .sever = action, transfers[slot].offset * 2 >= transfer.send.byteCount {
            return sever(Int(transfer.receive.peer), Int(transfer.send.peer), "the link was cut on purpose")
        }
        guard transfers[slot].offset == transfer.send.byteCount else { return }
        if case .damage(let times) = action, transfer.transmissions < times, transfer.send.byteCount > 0 {
            return damage(slot)
        }
        finish(slot, .sent, .received)
    }

    /// Flips a byte, finds it by checksum as a socket's reader would, and begins again or gives up.
    private func damage(_ slot: Int) {
        let transfer = transfers[slot]
        let (sent, arrived, count) = unsafe (transfer.send.start, transfer.receive.start, transfer.send.byteCount)
        unsafe arrived.storeBytes(of: arrived.load(as: UInt8.self) ^ 0x10, as: UInt8.self)
        let before = unsafe Checksum.crc32c(UnsafeRawBufferPointer(start: sent, count: count))
        let after = unsafe Checksum.crc32c(UnsafeRawBufferPointer(start: arrived, count: count))
        precondition(before != after, "a flipped byte must change the checksum")
        mailboxes[Int(transfer.send.peer)].counters.checksumFailures.add(1, ordering: .relaxed)
        if transfer.transmissions == TransportLimits.retransmissions { return finish(slot, .damaged, .damaged) }
        mailboxes[Int(transfer.receive.peer)].counters.retransmissions.add(1, ordering: .relaxed)
        transfers[slot].transmissions += 1
        transfers[slot].offset = 0
    }

    private func finish(_ slot: Int, _ sendOutcome: Completion.Outcome, _ receiveOutcome: Completion.Outcome) {
        let transfer = transfers[slot]
        transfers.remove(slot, from: &active)
        transfers.release(slot)
        mailboxes[Int(transfer.send.peer)].finish(transfer.receive, receiveOutcome)
        mailboxes[Int(transfer.receive.peer)].finish(transfer.send, sendOutcome)
    }

    /// Ends everything between two ranks, in both directions, with an outcome for each.
    private func sever(_ one: Int, _ other: Int, _ reason: String) {
        mailboxes[one].losses.record(Rank(other), reason)
        mailboxes[other].losses.record(Rank(one), reason)
        settle(one, other, .lost, .lost)
    }

    /// A rank closed its transport: its own posts are cancelled, its peers have lost it.
    private func leave(_ rank: Int) {
        left[rank] = true
        for other in 0..<world where other != rank {
            mailboxes[other].losses.record(Rank(rank), "it closed its transport")
            settle(rank, other, .cancelled, .lost)
        }
        mailboxes[rank].confirmClosed()
    }

    private func settle(_ one: Int, _ other: Int, _ oneOutcome: Completion.Outcome, _ otherOutcome: Completion.Outcome) {
        for (source, destination) in [(one, other), (other, one)] {
            let pair = source * world + destination
            severed[pair] = true
            let (ofSource, ofDestination) = source == one ? (oneOutcome, otherOutcome) : (otherOutcome, oneOutcome)
            while let slot = sends.removeFirst(of: &waitingSends[pair]) {
                mailboxes[source].finish(sends[slot].command, ofSource)
                sends.release(slot)
            }
            while let slot = receives.removeFirst(of: &waitingReceives[pair]) {
                mailboxes[destination].finish(receives[slot], ofDestination)
                receives.release(slot)
            }
            var at = active.head
            while let slot = at {
                at = transfers.next(after: slot)
                let isOfPair = Int(transfers[slot].receive.peer) == source && Int(transfers[slot].send.peer) == destination
                if isOfPair { finish(slot, ofSource, ofDestination) }
            }
        }
    }
}

/// Why a message that does not fit its receive ends a link.
func mismatchReason(tag: UInt64, sent: Int, expected: Int) -> String {
    let name = MessageTag(bits: tag)?.description ?? "tag \(tag)"
    return "message \(name) has \(sent) bytes where the receive has \(expected)"
}
