// Makes the full mesh: rank i calls every j < i and is called by every j > i, all at once on the caller's thread, with
// one deadline. Strangers at the port cost a bounded amount of attention and never a connection.
import CRingSystem
import RingCore

/// An established connection.
struct MeshLink {
    let descriptor: Int32
    /// What encrypts it, if the ring is sealed.
    let keys: SealKeys?
    /// What frames travel by, if not by the connection.
    let lane: (any Lane)?
    let choice: LaneChoice

    /// Lets go of both.
    func close() {
        lane?.close()
        _ = ring_socket_close(descriptor)
    }
}

/// The connections of one rank while its mesh comes about.
struct MeshBuilder: ~Copyable {
    private let listener: TCPListener
    private let identity: HandshakeIdentity
    private let peers: [PeerAddress]
    private let options: TCPOptions
    private let start: Moment
    private let deadline: Moment
    private let seconds: Double
    private let poll: PollSet
    /// Rings when somebody calls.
    private let bell: Doorbell

    /// Established connections by rank.
    private var established: [MeshLink?]
    private var conversations: [Conversation] = []
    /// When to call each lower rank, and why the last call failed.
    private var nextCall: [Moment]
    private var pause: [Double]
    private var lastFailure: [String?]
    private var nextKey: UInt64 = 1

    /// Key of the bell in the poll set; conversations count from one.
    private static let bellKey: UInt64 = 0
    private static let pauseMin = 0.01
    private static let pauseMax = 0.5

    init(listener: TCPListener, identity: HandshakeIdentity, peers: [PeerAddress], options: TCPOptions, deadline: Duration)
        throws(TransportError)
    {
        let (bell, poll) = (try Doorbell(), try PollSet())
        poll.watch(bell.descriptor, key: Self.bellKey)
        (self.bell, self.poll) = (bell, poll)
        (self.listener, self.identity, self.peers, self.options) = (listener, identity, peers, options)
        seconds = deadline.inSeconds
        start = MonotonicClock.now()
        self.deadline = start.advanced(bySeconds: seconds)
        let count = identity.world.count
        established = Array(repeating: nil, count: count)
        nextCall = Array(repeating: start, count: count)
        pause = Array(repeating: Self.pauseMin, count: count)
        lastFailure = Array(repeating: nil, count: count)
    }

    deinit {
        listener.reception.forget(bell)
        for conversation in conversations { conversation.close() }
        for case let link? in established { link.close() }
    }

    /// Runs until every rank is connected and returns the connections by rank (none to itself).
    mutating func build() throws(TransportError) -> [MeshLink?] {
        while let missing = firstMissing {
            let now = MonotonicClock.now()
            if now >= deadline { throw failure(missing) }
            call(at: now)
            dropOverdue(at: now)
            bell.arm()
            for caller in listener.reception.takeCallers(ringing: bell) { try welcome(caller) }
            let isDone = firstMissing == nil
            let count = poll.wait(milliseconds: isDone ? 0 : milliseconds(from: now))
            bell.disarm(rang: (0..<count).contains { poll.event(at: $0).key == Self.bellKey })
            for index in 0..<count where poll.event(at: index).key != Self.bellKey { try advance(poll.event(at: index).key) }
        }
        let result = established
        for rank in established.indices { established[rank] = nil }
        return result
    }

    private var firstMissing: Rank? {
        identity.world.ranks.first { $0 != identity.rank && established[$0.index] == nil }
    }

    private func failure(_ missing: Rank) -> TransportError {
        if let reason = lastFailure[missing.index] { return .unreachable(missing, reason: reason + ", for \(seconds) s") }
        return .timedOut(missing, seconds: seconds)
    }

    /// Until the deadline, the next call or the next conversation's end, at most 100 ms.
    private func milliseconds(from now: Moment) -> Int32 {
        var next = min(deadline, now.advanced(bySeconds: 0.1))
        for rank in 0..<identity.rank.index where needsCall(rank) { next = min(next, nextCall[rank]) }
        return Int32(max(next.seconds(since: now) * 1000, 0).rounded(.up))
    }

    private func needsCall(_ rank: Int) -> Bool {
        established[rank] == nil && !conversations.contains { $0.callee?.index == rank }
    }

    private mutating func call(at now: Moment) {
        for rank in 0..<identity.rank.index where needsCall(rank) && nextCall[rank] <= now {
            let address = peers[rank]
            let descriptor = unsafe ring_socket_dial(address.host, address.port)
            if descriptor < 0 {
                postpone(rank, "\(address.host) port \(address.port): \(systemText(-descriptor))")
                continue
            }
            let handshake = DialerHandshake(identity, to: Rank(rank), nonce: Self.nonce())
            // A call waits as long as the mesh does: in the peer's backlog it costs nothing.
            add(descriptor, "\(address.host) port \(address.port)", deadline, Rank(rank), .dialer(handshake))
        }
    }

    private mutating func postpone(_ rank: Int, _ reason: String) {
        lastFailure[rank] = reason
        nextCall[rank] = MonotonicClock.now().advanced(bySeconds: pause[rank])
        pause[rank] = min(pause[rank] * 2, Self.pauseMax)
    }

    @discardableResult
    private mutating func add(
        _ descriptor: Int32, _ address: String, _ deadline: Moment, _ callee: Rank?, _ role: Conversation.Role, received: [UInt8] = []
    ) -> UInt64 {
        let milliseconds = Int32(clamping: Int64(options.silenceLimit.inSeconds * 1000))
        _ = ring_socket_tune(descriptor, Int32(clamping: options.socketBufferBytes), milliseconds)
        let conversation = Conversation(
            descriptor: descriptor, key: nextKey, address: address, deadline: deadline, callee: callee, role: role,
            wishes: LaneWishes(only: options.lane, of: options.laneSources), received: received)
        nextKey += 1
        conversations.append(conversation)
        poll.watch(descriptor, key: conversation.key, readable: callee == nil, writable: callee != nil)
        return conversation.key
    }

    /// Somebody has called and said its greeting.
    private mutating func welcome(_ caller: Caller) throws(TransportError) {
        let guests = conversations.indices.filter { conversations[$0].callee == nil }
        if guests.count >= TransportLimits.waitingCallers {
            let oldest = conversations[guests[0]]
            listener.refused(oldest.address, "too many handshakes are under way and it is the oldest", isStranger: true)
            end(oldest)
        }
        let limit = MonotonicClock.now().advanced(bySeconds: options.handshakeLimit.inSeconds)
        let role = Conversation.Role.acceptor(AcceptorHandshake(identity, nonce: Self.nonce()))
        let key = add(caller.descriptor, caller.address, limit, nil, role, received: caller.greeting)
        try advance(key)
    }

    private mutating func dropOverdue(at now: Moment) {
        for conversation in conversations where conversation.callee == nil && conversation.deadline <= now {
            listener.refused(
                conversation.address, "no handshake within \(options.handshakeLimit.inSeconds) s", isStranger: true)
            end(conversation)
        }
    }

    private mutating func advance(_ key: UInt64) throws(TransportError) {
        // Ended by an earlier event of the same batch.
        guard let conversation = conversations.first(where: { $0.key == key }) else { return }
        let outcome: Conversation.Outcome
        if conversation.isConnecting {
            outcome = conversation.connected()
            if case .goesOn = outcome { poll.change(conversation.descriptor, key: key, writable: false) }
        } else {
            outcome = conversation.advance()
        }
        switch outcome {
        case .goesOn: break
        case .established(let rank, let link): establish(rank, link, conversation)
        case .laneless(let rank, let reason):
            end(conversation)
            throw .refused(reason: "\(rank) at \(conversation.address): no lane between the two; \(reason)")
        case .refused(let reason, let isStranger):
            end(conversation)
            if let callee = conversation.callee {
                postpone(callee.index, "\(conversation.address): \(reason)")
            } else {
                listener.refused(conversation.address, reason, isStranger: isStranger)
            }
        case .turnedDown(let refusal):
            end(conversation)
            guard let callee = conversation.callee else { break }
            if refusal.isFinal { throw .refused(reason: "\(callee) at \(conversation.address): \(refusal.sentence)") }
            postpone(callee.index, "\(conversation.address): \(refusal.sentence)")
        case .ended(let reason):
            end(conversation)
            if let callee = conversation.callee {
                postpone(callee.index, "\(conversation.address): \(reason)")
            } else {
                listener.refused(conversation.address, "\(reason) before the handshake was done", isStranger: true)
            }
        }
    }

    private mutating func establish(_ rank: Rank, _ link: MeshLink, _ conversation: Conversation) {
        conversations.removeAll { $0 === conversation }
        poll.forget(conversation.descriptor)
        // A member that calls again gave up its earlier call.
        established[rank.index]?.close()
        established[rank.index] = link
    }

    private mutating func end(_ conversation: Conversation) {
        conversations.removeAll { $0 === conversation }
        conversation.close()
    }

    private static func nonce() -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 32)
        let error = unsafe bytes.withUnsafeMutableBytes { raw in
            guard let base = raw.baseAddress else { return Int32(0) }
            return unsafe ring_random_fill(base, raw.count)
        }
        precondition(error == 0, "the kernel's random source fails: \(systemText(error))")
        return bytes
    }
}
