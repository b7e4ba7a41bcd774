// The I/O thread of a TCP transport: takes posts from the mailbox, moves bytes between lanes and registered memory, and
// reports completions. What the frames mean is in TCPLoop+Sending and TCPLoop+Receiving, how bytes move in TCPLoop+Writing
// and TCPLoop+Reading, lanes apart in TCPLoop+Lanes, how it ends in
// TCPLoop+Endings.
import CRingSystem
import RingCore

/// One transport's sockets and tables.
///
/// Unchecked because its tables are plain variables: after `init` only `run`, on the transport's own thread, touches them.
@safe final class TCPLoop: @unchecked Sendable {
    let rank: Rank
    let epoch: Epoch
    let job: JobNumber
    let options: TCPOptions
    let mailbox: Mailbox

    /// By rank; `nil` for the own one.
    let links: [Link?]
    var sends = SlotPool<SendSlot>(capacity: TransportLimits.sends)
    var receives = SlotPool<ReceiveSlot>(capacity: TransportLimits.receives)
    /// Counts the uses of slots, so that late frames about an earlier use are told apart.
    private var generation: UInt32 = 0
    /// How often each fault has struck.
    var faultHits: [Int]
    var now: Moment

    private let poll: PollSet
    /// Links that may have something to write.
    private var pending: [Int] = []
    private var nextTick: Moment
    /// When leaving ends at the latest; `nil` while we stay.
    private(set) var leaveBy: Moment?

    /// Links whose frames travel beside their connection.
    let apart: [Link]
    /// Something has moved over one of them since we last thought of sleeping.
    var isLively = false

    private static let bellKey = UInt64.max
    /// Marks the keys of lanes' bells; the rest is the peer.
    private static let laneKey = UInt64(1) << 32
    /// Heartbeats, silence and held-back messages are looked at this often.
    private static let tickSeconds = 0.05

    init(identity: HandshakeIdentity, mesh: [MeshLink?], options: TCPOptions, mailbox: Mailbox) throws(TransportError) {
        (rank, epoch, job) = (identity.rank, identity.epoch, identity.job)
        (self.options, self.mailbox) = (options, mailbox)
        now = MonotonicClock.now()
        nextTick = now
        faultHits = Array(repeating: 0, count: options.faults.count)
        var links: [Link?] = []
        for (peer, end) in mesh.enumerated() {
            guard let end else {
                links.append(nil)
                continue
            }
            let lane: any Lane = if let apart = end.lane { apart } else { try SocketLane(descriptor: end.descriptor, keys: end.keys) }
            links.append(try Link(peer: peer, descriptor: end.descriptor, lane: lane, now: now))
        }
        self.links = links
        apart = links.compactMap { $0 }.filter(\.lane.isApart)
        pending.reserveCapacity(links.count)
        poll = try PollSet()
        poll.watch(mailbox.moverBell.descriptor, key: Self.bellKey)
        for case let link? in links {
            poll.watch(link.descriptor, key: UInt64(link.peer))
            if link.lane.bell >= 0 { poll.watch(link.lane.bell, key: UInt64(link.peer) | Self.laneKey) }
        }
    }

    /// The thread's body.
    func run() {
        while true {
            now = MonotonicClock.now()
            takeCommands()
            returnLoans()
            if leaveBy == nil && mailbox.closeRequested.load(ordering: .acquiring) { beginLeaving() }
            flushPending()
            if leaveBy != nil && hasLeft { break }
            if now >= nextTick { tick() }
            visitLanes()
            awaitEvents()
        }
        for case let link? in links where link.isOpen { close(link) }
        mailbox.confirmClosed()
    }

    private func takeCommands() {
        while let command = mailbox.commands.pop() {
            guard let link = links[Int(command.peer)] else { preconditionFailure("a post to the rank itself came through") }
            if !link.isOpen {
                mailbox.finish(command, .lost)
            } else if command.isSend {
                accept(send: command, on: link)
            } else {
                accept(receive: command, on: link)
            }
        }
    }

    private func awaitEvents() {
        var milliseconds = pending.isEmpty ? Int32(max(nextTick.seconds(since: now) * 1000, 0).rounded(.up)) : 0
        if milliseconds > 0 && spin() { milliseconds = 0 }
        mailbox.moverBell.arm()
        if !mailbox.commands.isEmpty || (leaveBy == nil && mailbox.closeRequested.load(ordering: .acquiring)) { milliseconds = 0 }
        let sleeps = milliseconds > 0 && !apart.isEmpty
        if sleeps && !armLanes() { milliseconds = 0 }
        let count = poll.wait(milliseconds: milliseconds)
        let slept = now
        now = MonotonicClock.now()
        forgiveOwnAbsence(since: slept)
        if sleeps { disarmLanes() }
        var rang = false
        for index in 0..<count {
            let event = poll.event(at: index)
            if event.key == Self.bellKey {
                rang = true
                continue
            }
            guard let link = links[Int(event.key & ~Self.laneKey)], link.isOpen else { continue }
            if event.key & Self.laneKey != 0 {
                // By waking us it has done its work: the lane itself is looked at in any case.
                if !link.lane.hush() { end(link, Self.closedReason) }
                continue
            }
            if event.isReadable { link.lane.isApart ? readConnection(link) : read(link) }
            if link.isOpen && event.isWritable { markPending(link) }
        }
        mailbox.moverBell.disarm(rang: rang)
    }

    /// When this process itself stood still, its peers' words wait in the sockets: their silence is not theirs.
    private func forgiveOwnAbsence(since slept: Moment) {
        if now.seconds(since: slept) < 1 { return }
        for case let link? in links { link.heardAt = now }
    }

    private func tick() {
        nextTick = now.advanced(bySeconds: Self.tickSeconds)
        for case let link? in links where link.isOpen && !link.isClosing {
            let silence = now.seconds(since: link.heardAt)
            if silence > options.silenceLimit.inSeconds {
                lose(link, "silent for \(Double(Int(silence * 10)) / 10) s, though its connection stands")
                continue
            }
            if link.heldBack > 0 { matchHeldBack(link) }
            if !link.hasOutput && now.seconds(since: link.wroteAt) >= options.heartbeatInterval.inSeconds {
                queue(frame(.heartbeat, on: link, about: nil), on: link)
            }
        }
    }

    // MARK: Links with output

    /// Puts a link on the list of those that may have something to write.
    func markPending(_ link: Link) {
        if link.isPending || !link.isOpen { return }
        link.isPending = true
        pending.append(link.peer)
    }

    /// One turn for every link that was pending; those with more to write stay on the list.
    private func flushPending() {
        for _ in 0..<pending.count {
            let peer = pending.removeFirst()
            guard let link = links[peer] else { continue }
            link.isPending = false
            if link.isOpen { write(link) }
        }
    }

    /// Says whether the poll set, or a look at the lane, shall report when the lane takes more.
    func watchWritable(_ link: Link, _ wanted: Bool) {
        if link.watchesWritable == wanted { return }
        link.watchesWritable = wanted
        if !link.lane.isApart { poll.change(link.descriptor, key: UInt64(link.peer), writable: wanted) }
    }

    /// Closes the lane and the socket.
    func close(_ link: Link) {
        link.isOpen = false
        if link.lane.bell >= 0 { poll.forget(link.lane.bell) }
        link.lane.close()
        poll.forget(link.descriptor)
        _ = ring_socket_close(link.descriptor)
    }

    // MARK: Frames

    /// The next use of a slot; never zero.
    func nextGeneration() -> UInt32 {
        generation = generation == (1 << 20) - 1 ? 1 : generation + 1
        return generation
    }

    /// The number by which the wire knows a slot: 12 bits of index under 20 bits of generation.
    static func number(slot: Int, generation: UInt32) -> UInt32 { generation << 12 | UInt32(slot) }

    func frame(_ kind: FrameHeader.Kind, on link: Link, about tag: UInt64?) -> FrameHeader {
        FrameHeader(kind, from: rank, epoch: epoch, job: job, tag: tag.flatMap { MessageTag(bits: $0) })
    }

    /// Queues a frame without payload. A queue that is full means that the peer breaks the rules.
    func queue(_ header: FrameHeader, on link: Link) {
        if !link.isOpen { return }
        guard link.control.append(header) else {
            return lose(link, "it caused more than \(TransportLimits.controlFrames) control frames to wait")
        }
        markPending(link)
    }

    // MARK: Leaving

    private func beginLeaving() {
        leaveBy = now.advanced(bySeconds: options.closeLinger.inSeconds)
        nextTick = now
        for case let link? in links where link.isOpen { leave(link) }
    }

    private var hasLeft: Bool {
        if let leaveBy, now >= leaveBy { return true }
        return links.allSatisfy { $0.map { !$0.isOpen } ?? true }
    }
}
