// A peer made by hand: it knows the handshake and the frames, and says what no honest rank would say, or nothing at all.
import CRingSystem
import Glibc
import RingCore
import RingTransport
import Synchronization

struct Failure: Error, CustomStringConvertible {
    var description: String
    init(_ text: String) { description = text }
}

/// A raw connection. Every wait has a deadline.
final class FakePeer: Sendable {
    static let secret = Array("a secret".utf8)
    let descriptor: Int32
    private let isClosed = Atomic<Bool>(false)
    /// What it agreed on, if not the connection. Written before the peer is handed over, used by one thread at a time.
    nonisolated(unsafe) var lane: (any Lane)?

    /// Connects to a port and says nothing.
    init(to port: UInt16) throws {
        descriptor = unsafe ring_socket_dial("127.0.0.1", port)
        if descriptor < 0 { throw Failure("cannot connect: \(descriptor)") }
        guard wait(POLLOUT), ring_socket_error(descriptor) == 0 else { throw Failure("cannot connect") }
    }

    deinit { close() }

    func close() {
        if !isClosed.exchange(true, ordering: .relaxed) { _ = ring_socket_close(descriptor) }
    }

    private func wait(_ events: Int32, seconds: Double = 20) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        return unsafe poll(&entry, 1, Int32(seconds * 1000)) == 1
    }

    /// Writes everything; false when the other side has closed.
    @discardableResult
    func write(_ bytes: [UInt8]) throws -> Bool {
        var rest = bytes[...]
        while !rest.isEmpty {
            var copy = Array(rest)
            let count = unsafe copy.withUnsafeMutableBytes { raw in
                var run = unsafe ring_bytes(base: raw.baseAddress, count: raw.count)
                return unsafe ring_socket_write(descriptor, &run, 1)
            }
            if count == -Int64(EAGAIN) {
                guard wait(POLLOUT) else { throw Failure("the other side takes nothing") }
            } else if count < 0 {
                return false
            } else {
                rest = rest.dropFirst(Int(count))
            }
        }
        return true
    }

    /// Up to `count` bytes; fewer when the connection ends first.
    func read(_ count: Int, seconds: Double = 20) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            guard wait(POLLIN, seconds: seconds) else { throw Failure("nothing came within \(seconds) s") }
            var buffer = [UInt8](repeating: 0, count: count - bytes.count)
            let got = unsafe buffer.withUnsafeMutableBytes { raw in
                var run = unsafe ring_bytes(base: raw.baseAddress, count: raw.count)
                return unsafe ring_socket_read(descriptor, &run, 1)
            }
            if got == -Int64(EAGAIN) { continue }
            if got <= 0 { return bytes }
            bytes += buffer[..<Int(got)]
        }
        return bytes
    }

    /// True when the other side closes within the time, whatever it says before.
    func isHungUp(within seconds: Double) throws -> Bool {
        let start = MonotonicClock.now()
        while MonotonicClock.now().seconds(since: start) < seconds {
            do { if try read(1, seconds: 0.05).isEmpty { return true } } catch is Failure {}
        }
        return false
    }

    /// Joins the mesh of rank 0 as rank 1 of 2.
    static func join(
        _ port: UInt16, epoch: UInt64 = 1, job: UInt64 = 1, isSealed: Bool = false, wishes: LaneWishes = LaneWishes()
    ) throws -> FakePeer {
        let peer = try FakePeer(to: port)
        let identity = HandshakeIdentity(
            rank: Rank(1), world: WorldSize(2), epoch: Epoch(epoch), job: JobNumber(job), secret: secret, isSealed: isSealed)
        var handshake = DialerHandshake(identity, to: Rank(0), nonce: (0..<32).map { UInt8($0) })
        try peer.write(handshake.greeting.bytes)
        while true {
            switch handshake.receive(try peer.read(handshake.wantedByteCount)) {
            case .answer(let bytes): try peer.write(bytes)
            case .established:
                guard let session = handshake.session else { throw Failure("the handshake has no session") }
                try peer.choose(session, wishes)
                return peer
            case let other: throw Failure("the handshake ends with \(other)")
            }
        }
    }

    /// Agrees on a lane, as the caller.
    private func choose(_ session: HandshakeSession, _ wishes: LaneWishes) throws {
        let talk = LaneTalk(session, wishes, isDialer: true)
        try write(talk.offer())
        while true {
            var message = try read(LaneMessage.headBytes)
            guard let count = LaneMessage.byteCount(of: message) else { throw Failure("the other side says nothing about lanes") }
            message += try read(count - message.count)
            switch talk.receive(message) {
            case .answer(let bytes): try write(bytes)
            case .chosen(let bytes, let lane, _):
                unsafe self.lane = lane
                try write(bytes)
                return
            case .failed(_, let reason): throw Failure("no lane: \(reason)")
            case .drop(let reason): throw Failure("the choice of the lane ends: \(reason)")
            }
        }
    }

    static func frame(
        _ kind: FrameHeader.Kind, tag: MessageTag? = nil, epoch: UInt64 = 1, source: Int = 1,
        _ change: (inout FrameHeader) -> Void = { _ in }
    ) -> FrameHeader {
        var header = FrameHeader(kind, from: Rank(source), epoch: Epoch(epoch), job: JobNumber(1), tag: tag)
        change(&header)
        return header
    }

    func send(_ header: FrameHeader, payload: [UInt8] = []) throws {
        try write(header.bytes + payload)
    }

    /// The next frame that is no heartbeat; its payload is read and dropped.
    func nextFrame() throws -> FrameHeader {
        while true {
            let bytes = try read(FrameHeader.byteCount)
            guard bytes.count == FrameHeader.byteCount else { throw Failure("the connection ended") }
            let header = try FrameHeader(decoding: bytes.span)
            if header.kind.hasPayload { _ = try read(header.payloadByteCount) }
            if header.kind != .heartbeat { return header }
        }
    }
}

extension FrameHeader {
    var bytes: [UInt8] {
        var bytes = [UInt8](repeating: 0, count: Self.byteCount)
        var span = bytes.mutableSpan
        encode(into: &span)
        return bytes
    }
}

/// Rank 0 of a ring of two, connected to a fake rank 1.
func withVictim<Result>(
    options: TCPOptions = TCPOptions(), wishes: LaneWishes = LaneWishes(), _ body: (inout TCPTransport, FakePeer) throws -> Result
) throws -> Result {
    let listener = try TCPListener(report: { _ in })
    let port = listener.port
    let joining = Joining()
    let thread = try PinnedThread.start(name: "fake-peer") {
        joining.run { try FakePeer.join(port, isSealed: options.isSealed, wishes: wishes) }
    }
    var transport = try connectTransport(listener, options: options)
    thread.join()
    let peer = try joining.peer()
    defer { peer.close() }
    let result = try body(&transport, peer)
    transport.close()
    return result
}

/// A rank of a ring on this machine.
func connectTransport(
    _ listener: TCPListener, rank: Int = 0, peers: [PeerAddress]? = nil, world: Int = 2, secret: [UInt8] = FakePeer.secret,
    epoch: UInt64 = 1,
    job: UInt64 = 1, deadline: Duration = .seconds(20), options: TCPOptions = TCPOptions()
) throws(TransportError) -> TCPTransport {
    try TCPTransport.connect(
        listener: listener, rank: Rank(rank), world: WorldSize(world), peers: peers ?? Array(repeating: listener.address, count: world),
        secret: secret, epoch: Epoch(epoch), job: JobNumber(job), deadline: deadline, options: options)
}
