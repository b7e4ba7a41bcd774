// The caller's half of a transport, the same for every implementation whose bytes are moved by a thread of its own:
// regions, limits, tickets, polling and sleeping. The mover's half sits behind the mailbox.
import RingCore

/// Turns posts into commands and completions back into values, and enforces the limits on the way.
///
/// Unchecked because the region table holds pointers: a transport has one owner, who may hand it to another thread whole.
@safe struct TransportFront: ~Copyable, @unchecked Sendable {
    let rank: Rank
    let world: WorldSize
    let mailbox: Mailbox
    /// Where memory must be registered, too.
    private let registrar: (any MemoryRegistrar)?
    /// What may be lent of it.
    private let loans: LoanBook?
    private(set) var isClosed = false
    private var regions = RegionTable()
    private var lastTicket: UInt64 = 0
    private var sends = 0
    private var receives = 0
    private var sendsByPeer: [Int]
    private var receivesByPeer: [Int]

    init(rank: Rank, world: WorldSize, mailbox: Mailbox, registrar: (any MemoryRegistrar)? = nil, loans: LoanBook? = nil) {
        (self.rank, self.world, self.mailbox, self.registrar, self.loans) = (rank, world, mailbox, registrar, loans)
        sendsByPeer = Array(repeating: 0, count: world.count)
        receivesByPeer = sendsByPeer
    }

    mutating func register(_ memory: UnsafeMutableRawBufferPointer, keeping owner: (any AnyObject & Sendable)? = nil)
        throws(TransportError) -> RegionKey
    {
        if isClosed { throw .closed }
        let key = try unsafe regions.register(memory, keeping: owner)
        do {
            try unsafe registrar?.register(memory, at: key.index)
        } catch {
            try regions.unregister(key)
            throw error
        }
        unsafe loans?.register(memory, of: owner, at: key.index)
        return key
    }

    mutating func unregister(_ region: RegionKey) throws(TransportError) {
        try regions.unregister(region)
        registrar?.unregister(at: region.index)
        if loans?.unregister(at: region.index) == true { mailbox.moverBell.ring() }
    }

    mutating func post(isSend: Bool, _ block: BlockRef, _ peer: Rank, _ tag: MessageTag) throws(TransportError) -> Posted {
        if isClosed { throw .closed }
        guard peer.index < world.count else { throw .unreachable(peer, reason: "the ring has \(world) ranks") }
        guard peer != rank else { throw .unreachable(peer, reason: "a rank has no connection to itself") }
        let start = try unsafe regions.start(of: block)
        guard block.byteCount <= TransportLimits.messageBytes else { throw .outOfBounds(block) }
        if let reason = mailbox.losses.reason(of: peer) { throw .lost(peer, reason: reason) }
        guard hasRoom(isSend: isSend, peer) else { return .full }
        lastTicket += 1
        let command = unsafe Command(
            isSend: isSend, peer: Int32(peer.index), region: Int32(block.region.index), ticket: lastTicket, tag: tag.bits,
            start: start, byteCount: block.byteCount)
        precondition(mailbox.commands.push(command), "the command ring holds every outstanding post")
        count(isSend: isSend, Int(command.peer), by: 1)
        regions.addPost(on: block.region.index)
        mailbox.moverBell.ring()
        return .ticket(Ticket(number: lastTicket))
    }

    mutating func poll(into completions: inout [Completion]) -> Int {
        var found = 0
        while let end = mailbox.finished.pop() {
            guard let tag = MessageTag(bits: end.tag), let outcome = Completion.Outcome(rawValue: end.outcome) else {
                preconditionFailure("a completion changed on its way up: \(end)")
            }
            count(isSend: end.isSend, Int(end.peer), by: -1)
            regions.removePost(on: Int(end.region))
            completions.append(
                Completion(
                    ticket: Ticket(number: end.ticket), peer: Rank(Int(end.peer)), tag: tag, outcome: outcome,
                    byteCount: end.byteCount))
            found += 1
        }
        return found
    }

    func wait(atMost timeout: Duration) -> Bool {
        if !mailbox.finished.isEmpty { return true }
        let nanoseconds = timeout.nanosecondsClamped
        if nanoseconds <= 0 { return false }
        let start = MonotonicClock.now().nanoseconds
        while true {
            let left = nanoseconds - (MonotonicClock.now().nanoseconds - start)
            if left <= 0 { return !mailbox.finished.isEmpty }
            mailbox.callerBell.sleep(nanoseconds: left) { !mailbox.finished.isEmpty }
            if !mailbox.finished.isEmpty { return true }
        }
    }

    mutating func close() {
        isClosed = true
        mailbox.close()
    }

    private func hasRoom(isSend: Bool, _ peer: Rank) -> Bool {
        isSend
            ? sends < TransportLimits.sends && sendsByPeer[peer.index] < TransportLimits.sendsPerPeer
            : receives < TransportLimits.receives && receivesByPeer[peer.index] < TransportLimits.receivesPerPeer
    }

    private mutating func count(isSend: Bool, _ peer: Int, by change: Int) {
        if isSend {
            sends += change
            sendsByPeer[peer] += change
        } else {
            receives += change
            receivesByPeer[peer] += change
        }
    }
}
